//! Who may connect: so many in all, so many from one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// Counts connections.
#[derive(Debug)]
pub(crate) struct Admission {
    max: usize,
    max_per_address: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    admission: Arc<Admission>,
    address: IpAddr,
}

/// Why a connection is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAdmitted {
    #[error("this address has {0} connections already")]
    Address(usize),
    #[error("{0} connections are open already")]
    All(usize),
}

impl Admission {
    pub(crate) fn new(max: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self { max, max_per_address, counts: Mutex::default() })
    }

    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admitted, NotAdmitted> {
        let address = address.to_canonical();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        // First the address: who has too many must not hear that it is everybody's fault.
        if counts.by_address.get(&address).is_some_and(|count| *count >= self.max_per_address) {
            return Err(NotAdmitted::Address(self.max_per_address));
        }
        if counts.all >= self.max {
            return Err(NotAdmitted::All(self.max));
        }
        counts.all += 1;
        *counts.by_address.entry(address).or_default() += 1;
        Ok(Admitted { admission: Arc::clone(self), address })
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = self.admission.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(count) = counts.by_address.get_mut(&self.address) {
            *count -= 1;
            // The map holds addresses that are connected, not all that ever were.
            if *count == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_and_all_together_have_a_limit() {
        let admission = Admission::new(3, 2);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let one = admission.admit(address("10.0.0.1")).unwrap();
        // The same address, as a socket for both families shows it.
        let two = admission.admit(address("::ffff:10.0.0.1")).unwrap();
        assert_eq!(admission.admit(address("10.0.0.1")).unwrap_err(), NotAdmitted::Address(2));
        let three = admission.admit(address("10.0.0.2")).unwrap();
        assert_eq!(admission.admit(address("10.0.0.3")).unwrap_err(), NotAdmitted::All(3));
        drop(one);
        let four = admission.admit(address("10.0.0.1")).unwrap();
        drop((two, three, four));
        assert_eq!(admission.open(), 0);
        assert!(admission.counts.lock().unwrap().by_address.is_empty());
    }
}
