//! Is this host well?
//!
//! [`PipelineSampler`] reads what the programs that play, train and evaluate leave on the disk, and [`Open`] what this process keeps
//! open.
//!
//! [`Sampler`] reads the load of the host, or of the container that the daemon runs in, every five seconds.
//! [`Admission`] decides from that whether the host takes one more job.

mod admission;
mod cgroup;
mod host;
mod pipeline;
mod process;
mod resources;
mod sampler;

pub use admission::{Admission, Thresholds, Verdict};
pub use pipeline::{Folders, Found, Games, Pipeline, PipelineSampler, Training};
pub use process::Open;
pub use resources::Resources;
pub use sampler::Sampler;
