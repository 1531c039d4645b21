//! Groups requests that a person would call the same: method and path, with what varies left open.
//!
//! A rules file names few routes, and `--to` none, so the reports' routes come from the requests.

use std::borrow::Cow;
use std::sync::Arc;

use crate::diff::{Difference, Evidence, Fingerprint, Learned, general_path, push_template, template};
use crate::http::RequestHead;

/// Characters that are kept of a method; known ones are shorter.
const METHOD_CHARS: usize = 32;

/// What was asked for, as far as differences are told apart by it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    method: Vec<u8>,
    host: Vec<u8>,
    place: String,
}

/// The route of a request as the reports name it: `GET /users/{number}/orders`. Its room is used again for the next.
#[derive(Clone, Debug, Default)]
pub(super) struct RouteName {
    text: String,
    /// Where the part without the method begins.
    place: usize,
}

impl RouteName {
    /// All of it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the method is told as it is: neither cut nor lossy.
    pub(super) fn has_method(&self, method: &[u8]) -> bool {
        let told = self.place.checked_sub(1).and_then(|end| self.text.as_bytes().get(..end));
        told == Some(method)
    }

    /// Begins a name with a method.
    fn put_method(&mut self, method: &[u8]) {
        let method = String::from_utf8_lossy(method);
        let end = method.char_indices().nth(METHOD_CHARS).map_or(method.len(), |(end, _)| end);
        self.text.clear();
        self.text.push_str(method.get(..end).unwrap_or_default());
        self.text.push(' ');
        self.place = self.text.len();
    }

    /// The same without the method.
    pub(super) fn place(&self) -> &str {
        self.text.get(self.place..).unwrap_or_default()
    }
}

/// The routes of requests: as they look one by one, or as the whole capture has shown them to be.
#[derive(Clone, Debug, Default)]
pub struct Routes(Option<Arc<Learned>>);

impl Routes {
    /// The routes that were learned.
    #[must_use]
    pub const fn learned(learned: Arc<Learned>) -> Self {
        Self(Some(learned))
    }

    /// The route of a request as the reports name it: `GET /users/{number}/orders`.
    #[must_use]
    pub fn of(&self, head: &RequestHead) -> String {
        let mut name = RouteName::default();
        self.name(head, &mut name);
        name.text
    }

    /// The same in the place of another.
    pub(super) fn name(&self, head: &RequestHead, name: &mut RouteName) {
        if name.has_method(head.method()) {
            name.text.truncate(name.place);
        } else {
            name.put_method(head.method());
        }
        match &self.0 {
            Some(_) => name.text.push_str(&self.place(head)),
            None => push_template(&mut name.text, head.target()),
        }
    }

    /// The same without the method.
    #[must_use]
    pub fn place<'h>(&'h self, head: &'h RequestHead) -> Cow<'h, str> {
        match &self.0 {
            Some(learned) => learned.route(head.method(), head.host().unwrap_or_default(), head.target()),
            None => template(head.target()).into(),
        }
    }

    /// The name of a difference in an answer to a request.
    #[must_use]
    pub fn fingerprint(&self, head: &RequestHead, difference: &Difference) -> Fingerprint {
        self.fingerprint_at(&self.place(head), head, difference)
    }

    /// The same where the request's [place](Self::place) is known.
    pub(super) fn fingerprint_at(
        &self,
        place: &str,
        head: &RequestHead,
        difference: &Difference,
    ) -> Fingerprint {
        let (method, host) = (head.method(), head.host().unwrap_or_default());
        match &self.0 {
            Some(learned) => learned.fingerprint(method, host, place, difference),
            None => Fingerprint::of(method, host, place, difference),
        }
    }

    /// The place of a difference in the answers to such requests, for all that are like it.
    pub(super) fn path(&self, asked: &Asked, difference: &Difference) -> String {
        match &self.0 {
            Some(learned) => learned.place(&asked.method, &asked.host, &asked.place, difference),
            None => general_path(difference.layer, &difference.path).into_owned(),
        }
    }

    /// What evidence is found by, of all requests of a route.
    pub(super) fn asked(&self, head: &RequestHead) -> Asked {
        let host = head.host().unwrap_or_default();
        Asked { method: head.method().to_vec(), host: host.to_vec(), place: self.place(head).into_owned() }
    }

    /// What was measured of a difference in the answers to such requests.
    pub(super) fn evidence(&self, asked: &Asked, difference: &Difference) -> Option<Evidence> {
        let Asked { method, host, place } = asked;
        self.0.as_ref()?.evidence(method, host, place, difference).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Whatever room it is put into.
        #[test]
        fn a_name_does_not_depend_on_the_one_before(
            requests in proptest::collection::vec(("GET|GETS|PUT|[A-Z]{31,34}", "/a|/a/[0-9]|/b"), 1..8),
        ) {
            let (routes, mut name) = (Routes::default(), RouteName::default());
            for (method, target) in requests {
                let head = format!("{method} {target} HTTP/1.1\r\nHost: api\r\n\r\n");
                let head: RequestHead = crate::http::h1::parse_head(head.into()).unwrap();
                routes.name(&head, &mut name);
                let told: String = method.chars().take(METHOD_CHARS).collect();
                let place = template(target.as_bytes());
                proptest::prop_assert_eq!((name.text(), name.place()), (&*format!("{told} {place}"), &*place));
                proptest::prop_assert_eq!(name.has_method(method.as_bytes()), method.len() <= METHOD_CHARS);
            }
        }
    }
}
