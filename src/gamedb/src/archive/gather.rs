use std::{
    io::Read,
    path::{Path, PathBuf},
};

use super::{
    backup::{BackedUp, seal},
    manifest::{Absent, Manifest, Member, Part},
    partial::Partial,
    send::Arriving,
};
use crate::{
    course::Course,
    error::{DbError, Result},
    find::is_name,
};

/// An archive into which the databases of several nodes are put as they arrive, one after the other.
///
/// One that ends early leaves `OUTPUT.partial`; the next one of the same nodes goes on behind its last whole database.
pub struct Gathering {
    output: PathBuf,
    partial: Partial,
    resumed: usize,
}

impl Gathering {
    /// Begins one of these nodes, or goes on with it.
    ///
    /// # Errors
    ///
    /// If `output` exists, or another backup writes it.
    pub fn open(nodes: &[&str], output: &Path) -> Result<Self> {
        if output.exists() {
            return Err(DbError::Exists(output.to_owned()));
        }
        let partial = Partial::open(output, &nodes.join(","), Path::new(""))?;
        Ok(Self { output: output.to_owned(), resumed: partial.databases().len(), partial })
    }

    /// Whether an earlier attempt, or this one, has the database `name` of `node`.
    pub fn has(&self, node: &str, name: &str) -> bool {
        let name = full(node, name);
        self.partial.databases().iter().any(|member| member.name == name)
    }

    /// Adds a database of a node, whose bytes arrive as [`Offer::send`](super::Offer::send) sends them. It is in it for good
    /// when this is done; if this fails, nothing of it is.
    ///
    /// # Errors
    ///
    /// If it does not arrive as it was announced, the disk is full, or it shall stop.
    pub fn add(&mut self, node: &str, member: Member, compressed: impl Read, course: &mut Course<'_>) -> Result<()> {
        if !is_name(&member.name) {
            let why = "its name is no place of a game database".to_owned();
            return Err(DbError::NotArrived { name: full(node, &member.name), why });
        }
        let member = Member { name: full(node, &member.name), ..member };
        let (name, size) = (PathBuf::from(&member.name), member.size_bytes);
        let mut tell = |done| course.at("receiving", &name, done, size);
        let announced = member.clone();
        let mut arriving = Arriving::new(&announced, compressed, &mut tell)?;
        let added = self.partial.add(member, &mut arriving);
        arriving.explain(added)
    }

    /// Ends the archive, reads all of it again, and gives it its name. What is missing is named with its node's name before it.
    ///
    /// # Errors
    ///
    /// If no database is in it, the disk is full, or it shall stop.
    pub fn finish(
        self,
        nodes: Vec<Part>,
        missing: Vec<(String, Absent)>,
        others: Vec<(String, Absent)>,
        course: &mut Course<'_>,
    ) -> Result<BackedUp> {
        if self.partial.databases().is_empty() {
            let whys = nodes.iter().filter(|part| !part.reason.is_empty());
            let whys: Vec<String> = whys.map(|part| format!("{}: {}", part.node, part.reason)).collect();
            let why = if whys.is_empty() { "no node has a game database".to_owned() } else { whys.join("; ") };
            self.stop();
            return Err(DbError::NoneGathered(why));
        }
        let named = |absent: Vec<(String, Absent)>| {
            absent.into_iter().map(|(node, one)| Absent { name: full(&node, &one.name), reason: one.reason }).collect()
        };
        let manifest = Manifest::of_nodes(self.partial.databases().to_vec(), named(missing), named(others), nodes);
        seal(self.partial, manifest, &self.output, self.resumed, course)
    }

    /// Leaves what is whole to a later attempt.
    pub fn stop(self) {
        self.partial.give_up();
    }
}

impl std::fmt::Debug for Gathering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gathering").field("output", &self.output).finish_non_exhaustive()
    }
}

fn full(node: &str, name: &str) -> String {
    format!("{node}/{name}")
}
