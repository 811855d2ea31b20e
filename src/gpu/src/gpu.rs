use std::time::Instant;

use crate::{Reading, Trouble};

/// One GPU. Figures are as of the last look; those that are not known are `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// Counted from 0 in the order of the PCI bus.
    pub index: u32,
    /// Its identity, `GPU-…`; empty if the driver could never read it.
    pub uuid: String,
    /// Its model, `NVIDIA GeForce RTX 4090`; empty if the driver could never read it.
    pub name: String,
    /// Its memory.
    pub memory: Option<Memory>,
    /// Percent of the last moment in which a kernel ran on it.
    pub percent: Option<u8>,
    /// Degrees Celsius.
    pub temperature: Option<u32>,
    /// Uncorrected ECC errors since the driver was loaded.
    pub ecc_uncorrected: Option<u64>,
    /// Who computes on it, at most [`Gpu::MAX_PROCESSES`] of them.
    pub processes: Vec<Process>,
    /// Xid errors since this program started.
    pub xid: Option<Xid>,
    /// Why it cannot be used, if it cannot.
    pub trouble: Option<Trouble>,
}

/// Memory of a GPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Bytes that there are, those that the driver keeps for itself included.
    pub total: u64,
    /// Bytes that processes have.
    pub used: u64,
}

/// A process that computes on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// As the driver sees it: in a container that is not the number that it has there.
    pub pid: u32,
    /// Bytes of the GPU's memory, where the driver says.
    pub bytes: Option<u64>,
}

/// What the driver reported as Xid errors of one GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Xid {
    /// The newest one's number.
    pub code: u64,
    /// How many there were.
    pub count: u64,
    /// When the newest was found.
    pub at: Instant,
}

impl Gpu {
    /// The most processes that are kept of one GPU.
    pub const MAX_PROCESSES: usize = 64;

    /// A GPU of which nothing but its place is known.
    pub(crate) fn unread(index: u32) -> Self {
        Self {
            index,
            uuid: String::new(),
            name: String::new(),
            memory: None,
            percent: None,
            temperature: None,
            ecc_uncorrected: None,
            processes: Vec::new(),
            xid: None,
            trouble: None,
        }
    }

    /// A GPU as it was read. Its Xid errors are counted by whoever saw the readings before.
    pub(crate) fn of(index: u32, reading: Reading) -> Self {
        let mut processes = reading.processes;
        processes.truncate(Self::MAX_PROCESSES);
        Self {
            uuid: reading.uuid,
            name: reading.name,
            memory: reading.memory,
            percent: reading.percent.map(|percent| percent.min(100)),
            temperature: reading.temperature,
            ecc_uncorrected: reading.ecc_uncorrected,
            processes,
            ..Self::unread(index)
        }
    }

    /// The same GPU without what was true at the last look only.
    pub(crate) fn without_figures(&self) -> Self {
        Self {
            uuid: self.uuid.clone(),
            name: self.name.clone(),
            memory: self.memory.map(|memory| Memory { used: 0, ..memory }),
            xid: self.xid,
            trouble: self.trouble.clone(),
            ..Self::unread(self.index)
        }
    }
}

impl Xid {
    /// Whether a program's own mistake is its usual cause, by NVIDIA's catalogue of Xid errors: 13 a graphics engine
    /// exception, 31 a page fault, 43 a program that was stopped, 45 the clean-up after one.
    pub fn is_the_programs(&self) -> bool {
        matches!(self.code, 13 | 31 | 43 | 45)
    }
}
