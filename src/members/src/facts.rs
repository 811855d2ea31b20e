use serde::{Serialize, de::DeserializeOwned};

/// What a node tells the others about itself.
///
/// Give every field a serde default: nodes of different versions read each other's facts.
pub trait Facts: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static> Facts for T {}
