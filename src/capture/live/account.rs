//! What became of the packets on each interface.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::anomaly::{Anomaly, AnomalyCounts};
use crate::capture::InterfaceCounts;
use crate::packet::LinkType;

/// An interface and its counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAccount {
    /// Its name.
    pub name: String,
    /// Its link layer.
    pub link: LinkType,
    /// What the kernel counted.
    pub counts: InterfaceCounts,
    /// Why nothing comes from it any more, where that is so.
    pub gone: Option<String>,
}

/// The counts of all interfaces of a capture, for whoever shows them from another thread.
#[derive(Debug)]
pub struct Account(Mutex<Vec<InterfaceAccount>>);

impl Account {
    pub(super) fn new(interfaces: Vec<InterfaceAccount>) -> Self {
        Self(Mutex::new(interfaces))
    }

    /// Each interface, in the order of their numbers.
    #[must_use]
    pub fn interfaces(&self) -> Vec<InterfaceAccount> {
        self.lock().clone()
    }

    /// All of them together.
    #[must_use]
    pub fn total(&self) -> InterfaceCounts {
        let mut total = InterfaceCounts::default();
        for InterfaceAccount { counts, .. } in self.lock().iter() {
            total.received += counts.received;
            total.dropped_by_kernel += counts.dropped_by_kernel;
            total.dropped_by_interface += counts.dropped_by_interface;
        }
        total
    }

    /// What was lost, as anomalies.
    #[must_use]
    pub fn anomalies(&self) -> AnomalyCounts {
        let total = self.total();
        let mut counts = AnomalyCounts::default();
        counts.add(Anomaly::DroppedByKernel, total.dropped_by_kernel);
        counts.add(Anomaly::DroppedByInterface, total.dropped_by_interface);
        counts
    }

    /// Why nothing comes any more from the interfaces that are gone, each as a sentence without its end.
    #[must_use]
    pub fn gone(&self) -> Vec<String> {
        let all = self.lock();
        let gone = all.iter().filter_map(|one| Some(format!("{}: {}", one.name, one.gone.as_ref()?)));
        gone.collect()
    }

    pub(super) fn set(&self, interface: u32, change: impl FnOnce(&mut InterfaceAccount)) {
        if let Some(account) = self.lock().get_mut(interface as usize) {
            change(account);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<InterfaceAccount>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
