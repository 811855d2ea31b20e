//! What is asked of a driver. [`Nvml`](crate::Nvml) asks the real one; tests have their own.

use crate::{Memory, Process};

/// A way to a driver. Every call may block for ever.
pub trait Library: Send {
    /// Opens the driver, gives it to `used` until that returns, and closes it.
    fn open(&mut self, used: &mut dyn FnMut(&mut dyn Driver)) -> Result<(), Trouble>;
}

/// A driver that was opened. Every call may block for ever.
pub trait Driver {
    /// What it calls itself; empty where it does not say.
    fn versions(&mut self) -> Versions;

    /// How many GPUs it has, those included that this process may not use.
    fn count(&mut self) -> Result<u32, Trouble>;

    /// How the GPU `index` is, counted from 0 in the order of the PCI bus.
    fn gpu(&mut self, index: u32) -> Result<Reading, Trouble>;
}

/// Versions of the driver, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    /// Of the driver, `580.82.07`.
    pub driver: String,
    /// The newest CUDA that it serves, `13.0`.
    pub cuda: String,
}

/// What the driver says of one GPU at one instant. What it does not know of a model is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Its identity, `GPU-…`: unlike the index it stays the same when another GPU is lost.
    pub uuid: String,
    /// Its model, `NVIDIA GeForce RTX 4090`.
    pub name: String,
    /// Its memory.
    pub memory: Option<Memory>,
    /// Percent of the last moment in which a kernel ran on it.
    pub percent: Option<u8>,
    /// Degrees Celsius.
    pub temperature: Option<u32>,
    /// Uncorrected ECC errors since the driver was loaded.
    pub ecc_uncorrected: Option<u64>,
    /// Who computes on it.
    pub processes: Vec<Process>,
    /// Xid errors since the reading before.
    pub xids: Vec<u64>,
}

/// Why a driver or a GPU does not answer as it should. Each is a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// There is no library to load.
    #[error("there is no NVIDIA driver library here ({0})")]
    NoLibrary(String),
    /// The library is here, the driver is not.
    #[error("the NVIDIA driver is not loaded, or /dev/nvidiactl is not visible here")]
    NotLoaded,
    /// An upgrade of the driver that waits for a restart of the machine.
    #[error("the NVIDIA driver and its library are of different versions: restart the machine or reload the driver")]
    Mismatch,
    /// The devices are there and may not be opened.
    #[error("this process may not open the NVIDIA devices: the unit needs DeviceAllow=char-nvidia* rw")]
    NoPermission,
    /// The driver has no GPU.
    #[error("the NVIDIA driver finds no GPU")]
    NoGpu,
    /// The driver was closed under our feet.
    #[error("the NVIDIA driver was unloaded while it was in use")]
    Unloaded,
    /// One GPU is gone.
    #[error("the GPU has fallen off the bus")]
    Lost,
    /// One GPU must be reset.
    #[error("the GPU must be reset before it can be used again")]
    ResetRequired,
    /// Whatever else the driver says.
    #[error("the NVIDIA driver says: {0}")]
    Other(String),
}
