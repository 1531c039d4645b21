//! Finds the rules for a host: the exact name first, then the longest wildcard, then `*`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

type ByText<T> = HashMap<Vec<u8>, T, foldhash::fast::RandomState>;

/// Hosts and what was put down for each.
#[derive(Clone, Debug)]
pub(super) struct Hosts<T> {
    exact: ByText<T>,
    /// By what follows the star, the longest first.
    suffixes: BTreeMap<Reverse<usize>, ByText<T>>,
    any: Option<T>,
}

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Self { exact: ByText::default(), suffixes: BTreeMap::new(), any: None }
    }
}

impl<T> Hosts<T> {
    /// What is there for a host as rules name it, or what `make` gives.
    pub(super) fn entry(&mut self, host: &str, make: impl FnOnce() -> T) -> &mut T {
        match host.strip_prefix('*') {
            Some("") => self.any.get_or_insert_with(make),
            Some(suffix) => {
                let alike = self.suffixes.entry(Reverse(suffix.len())).or_default();
                alike.entry(suffix.as_bytes().to_vec()).or_insert_with(make)
            }
            None => self.exact.entry(host.as_bytes().to_vec()).or_insert_with(make),
        }
    }

    /// What is there for every host, where nothing is for some of them.
    pub(super) fn for_all(&self) -> Option<&T> {
        self.any.as_ref().filter(|_| self.exact.is_empty() && self.suffixes.is_empty())
    }

    /// What is there for a host that a request names, without its port. The star stands for at least one
    /// character, as in Envoy.
    pub(super) fn find(&self, host: &[u8]) -> Option<&T> {
        if let Some(any) = self.for_all() {
            return Some(any);
        }
        let host = host.to_ascii_lowercase();
        let suffix = || {
            self.suffixes.iter().find_map(|(Reverse(length), alike)| {
                let start = host.len().checked_sub(*length).filter(|start| *start > 0)?;
                alike.get(host.get(start..)?)
            })
        };
        self.exact.get(&host).or_else(suffix).or(self.any.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_name_goes_before_the_longest_wildcard_and_that_before_any() {
        let mut hosts = Hosts::default();
        for host in ["*", "*.com", "*.example.com", "a.example.com", "*-bar.example.com"] {
            hosts.entry(host, || host.to_owned());
        }
        for (host, found) in [
            ("a.example.com", "a.example.com"),
            ("A.Example.COM", "a.example.com"),
            ("b.example.com", "*.example.com"),
            ("x.a.example.com", "*.example.com"),
            ("foo-bar.example.com", "*-bar.example.com"),
            ("example.com", "*.com"),
            (".example.com", "*.com"),
            ("com", "*"),
            ("", "*"),
        ] {
            assert_eq!(hosts.find(host.as_bytes()).map(String::as_str), Some(found), "{host}");
        }
    }

    #[test]
    fn without_any_some_hosts_have_no_rules() {
        let mut hosts = Hosts::default();
        hosts.entry("a", || 1);
        assert_eq!((hosts.find(b"a"), hosts.find(b"b"), hosts.for_all()), (Some(&1), None, None));
        assert_eq!(*hosts.entry("a", || 2), 1);
        assert_eq!(hosts.entry("*", || 3), &3);
        assert_eq!((hosts.find(b"b"), hosts.for_all()), (Some(&3), None));
    }

    #[test]
    fn what_is_for_all_hosts_is_found_without_looking_at_any() {
        let mut hosts = Hosts::default();
        hosts.entry("*", || 1);
        assert_eq!((hosts.find(b"a"), hosts.find(b""), hosts.for_all()), (Some(&1), Some(&1), Some(&1)));
    }
}
