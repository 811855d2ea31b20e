//! Is this host well?
//!
//! [`Sampler`] reads the load of the host, or of the container that the daemon runs in, every five seconds.

mod cgroup;
mod host;
mod resources;
mod sampler;

pub use resources::Resources;
pub use sampler::Sampler;
