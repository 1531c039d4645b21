//! The user's own route templates.

use std::borrow::Cow;

use super::super::template;

/// One template of the user: `[[route]]` in the rules file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteTemplate {
    /// The path, with `{name}` for a segment that may be anything: `/users/{user}/profile`.
    pub template: String,
    /// The method; any where it is left out.
    pub method: Option<String>,
    /// The host without a port, in any case; any where it is left out.
    pub host: Option<String>,
}

/// The user's templates, the first that fits a target counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteTemplates(Vec<RouteTemplate>);

impl RouteTemplates {
    /// Templates in the order in which they are tried.
    ///
    /// # Errors
    /// Names the template that does not begin with `/`, or is longer than a template may be.
    pub fn new(templates: Vec<RouteTemplate>) -> Result<Self, String> {
        match templates.iter().find(|route| !route.template.starts_with('/') || route.template.len() > 256) {
            Some(route) => Err(format!(
                "the route `{}` must begin with / and have at most 256 characters",
                route.template
            )),
            None => Ok(Self(templates)),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The route of a request before anything is learned of others: the template of the user that fits it, else what its
    /// target shows by itself. Without the method.
    #[must_use]
    pub fn route(&self, method: &[u8], host: &[u8], target: &[u8]) -> Cow<'_, str> {
        self.find(method, host, target).map_or_else(|| Cow::Owned(template::template(target)), Cow::Borrowed)
    }

    /// Whether it is one of them.
    pub(super) fn has(&self, template: &str) -> bool {
        self.0.iter().any(|route| route.template == template)
    }

    /// The template that fits a request.
    pub(super) fn find(&self, method: &[u8], host: &[u8], target: &[u8]) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        let path = template::path_of(target);
        let found = self.0.iter().find(|route| {
            route.method.as_ref().is_none_or(|wanted| wanted.as_bytes().eq_ignore_ascii_case(method))
                && route.host.as_ref().is_none_or(|wanted| is_host(host, wanted.as_bytes()))
                && fits(&route.template, path)
        });
        found.map(|route| route.template.as_str())
    }
}

fn is_host(host: &[u8], wanted: &[u8]) -> bool {
    let port = host.len() > wanted.len() && host[wanted.len()] == b':';
    (host.len() == wanted.len() || port) && host[..wanted.len()].eq_ignore_ascii_case(wanted)
}

fn fits(template: &str, path: &[u8]) -> bool {
    let mut segments = path.split(|&b| b == b'/');
    let open = |part: &str| part.len() > 2 && part.starts_with('{') && part.ends_with('}');
    let fit = |part: &str, segment: &[u8]| {
        if open(part) { !segment.is_empty() } else { part.as_bytes() == segment }
    };
    template.split('/').all(|part| segments.next().is_some_and(|segment| fit(part, segment)))
        && segments.next().is_none()
}
