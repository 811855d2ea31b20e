//! YAML in which every key and value knows its line.
//!
//! `serde_yaml` tells a place only in its errors, keeps the first of two equal keys to itself, and stops at the first fault;
//! the files here are written by hand, and a fault must be named with file, line and key. So the events come from
//! `saphyr-parser`, and `serde_yaml` writes files and carries values that nobody here understands. What YAML 1.1 and 1.2
//! readers read differently is refused (anchors, tags, merge keys) or pointed out ([`Scalar::ambiguity`]).

mod node;
mod reader;
mod scalar;
#[cfg(test)]
mod tests;

pub(crate) use node::{Data, Entry, Map, Node};
pub(crate) use reader::{Fault, parse};
pub(crate) use scalar::{Resolved, Scalar};
