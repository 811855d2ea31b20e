//! Is this host well?

mod resources;
mod sampler;

pub use resources::Resources;
pub use sampler::Sampler;
