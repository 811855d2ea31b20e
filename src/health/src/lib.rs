//! Is this host well?

mod resources;

pub use resources::Resources;
