//! Claims about changing hosts files.

mod in_place;
mod model;
mod property;
mod refused;
mod round_trip;
mod saving;

use std::path::Path;

use super::HostsDraft;
use crate::NodeId;

fn draft(text: &str) -> HostsDraft {
    HostsDraft::parse(text.to_owned(), Path::new("hosts.yaml")).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn id(name: &str) -> NodeId {
    name.parse().unwrap()
}

fn settings(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
