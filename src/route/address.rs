//! Names of services: short, with their namespace, or whole, and how the user names destinations.

use std::fmt;
use std::sync::Arc;

/// What the names of a cluster's services end with.
const CLUSTER: &str = ".svc.cluster.local";

/// A host as rules mean it: a name without a dot is that of a service in the rule's namespace, and all
/// others stand as they are. Names of hosts have no case (RFC 9110, section 4.2.3).
#[must_use]
pub(super) fn resolve(host: &str, namespace: &str) -> String {
    let host = host.to_ascii_lowercase();
    if host.contains(['.', '*']) || host.is_empty() { host } else { format!("{host}.{namespace}{CLUSTER}") }
}

/// The names by which clients call a service: for one of the cluster, as much of its name as they need
/// within its namespace.
pub(super) fn names(host: &str) -> impl Iterator<Item = &str> {
    let service = host.strip_suffix(CLUSTER).and_then(|name| Some((name, name.split_once('.')?.0)));
    let shorter = service.map(|(name, bare)| [bare, name, &host[..name.len() + ".svc".len()]]);
    std::iter::once(host).chain(shorter.into_iter().flatten())
}

/// Where rules send requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The host, as `resolve` gives it.
    pub host: Arc<str>,
    /// The subset of it, where one is named.
    pub subset: Option<Arc<str>>,
    /// The port, where one is named.
    pub port: Option<u16>,
    /// The name in reports: the host as it is written in the rules, and `/subset`.
    pub name: Arc<str>,
}

impl Address {
    /// A destination as it is written in a rule of a namespace.
    #[must_use]
    pub fn new(host: &str, subset: Option<&str>, port: Option<u16>, namespace: &str) -> Self {
        let name = subset.map_or_else(|| host.to_owned(), |subset| format!("{host}/{subset}"));
        Self {
            host: resolve(host, namespace).into(),
            subset: subset.map(Into::into),
            port,
            name: name.into(),
        }
    }
}

/// A destination as the user names it: by its subset, its host, or both with a slash between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector(String);

impl Selector {
    /// The destinations of that name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// How closely it names a destination, from 1 to 3; `None` where it names another.
    #[must_use]
    pub fn closeness(&self, to: &Address) -> Option<u8> {
        let is_host = |name: &str| names(&to.host).any(|host| host.eq_ignore_ascii_case(name));
        let is_subset = |name: &str| to.subset.as_deref() == Some(name);
        match self.0.split_once('/') {
            Some((host, subset)) => (is_host(host) && is_subset(subset)).then_some(3),
            None if is_subset(&self.0) => Some(2),
            None if is_host(&self.0) => Some(1),
            None => None,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_that_of_a_service_in_the_rules_namespace() {
        for (host, resolved) in [
            ("httpbin", "httpbin.prod.svc.cluster.local"),
            ("HttpBin", "httpbin.prod.svc.cluster.local"),
            ("httpbin.test", "httpbin.test"),
            ("httpbin.test.svc.cluster.local", "httpbin.test.svc.cluster.local"),
            ("*", "*"),
            ("*.example.com", "*.example.com"),
        ] {
            assert_eq!(resolve(host, "prod"), resolved);
        }
    }

    #[test]
    fn clients_call_a_service_by_as_much_of_its_name_as_they_need() {
        let of = |host| names(host).collect::<Vec<_>>();
        assert_eq!(
            of("a.b.svc.cluster.local"),
            ["a.b.svc.cluster.local", "a", "a.b", "a.b.svc"],
            "for a service of the cluster"
        );
        assert_eq!(of("a.example.com"), ["a.example.com"]);
        assert_eq!(
            of("x.svc.cluster.local"),
            ["x.svc.cluster.local"],
            "without a namespace it is no service"
        );
    }

    #[test]
    fn the_closest_name_of_a_destination_is_host_and_subset() {
        let v2 = Address::new("httpbin", Some("v2"), None, "default");
        for (name, closeness) in [
            ("httpbin/v2", Some(3)),
            ("httpbin.default/v2", Some(3)),
            ("httpbin.default.svc.cluster.local/v2", Some(3)),
            ("v2", Some(2)),
            ("httpbin", Some(1)),
            ("HTTPBIN", Some(1)),
            ("v1", None),
            ("V2", None),
            ("other/v2", None),
            ("httpbin.other", None),
            ("httpbin/", None),
            ("", None),
        ] {
            assert_eq!(Selector::new(name).closeness(&v2), closeness, "{name}");
        }
    }
}
