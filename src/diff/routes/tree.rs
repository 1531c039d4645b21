//! Paths as trees of their segments, in which places with many names are opened.

/// One tree for each root.
#[derive(Clone, Debug, Default)]
pub(super) struct Forest;

impl Forest {
    pub(super) fn count(&mut self, _root: &[u8], _path: &str) {}

    pub(super) fn opened(&self) -> Self {
        self.clone()
    }

    pub(super) fn open(&self, _root: &[u8], path: &str) -> String {
        path.to_owned()
    }

    pub(super) fn is_closed(&self) -> bool {
        true
    }
}
