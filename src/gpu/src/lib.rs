//! What GPUs are here, and how are they?
//!
//! [`Sampler`] asks NVIDIA's management library (NVML) every five seconds, in a thread of its own: a driver can hang for
//! ever inside a call, and then that thread alone does. The library is loaded at run time. A machine without it, without a
//! driver or without a GPU is an ordinary machine, and [`State`] tells these apart.
//!
//! [`GpuIdle`] finds the GPUs that do nothing although a job was given to them.

mod driver;
mod gpu;
mod idle;
mod nvml;
mod report;
mod sampler;
mod state;
mod watch;

pub use driver::{Driver, Library, Reading, Trouble, Versions};
pub use gpu::{Gpu, Memory, Process, Xid};
pub use idle::{GpuIdle, Idle};
pub use nvml::Nvml;
pub use report::Report;
pub use sampler::{Sampler, Timing};
pub use state::State;
