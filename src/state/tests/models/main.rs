//! Promotion, distribution, rollback.

mod bounds;
mod distribution;
mod promotion;
mod removal;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use ringrift_blob::{Blob, Digest};
use ringrift_config::NodeId;
use ringrift_state::{
    Agreed, ClusterState, Command, Distribution, DistributionState, EntryMeta, EventLog, MAX_CHUNKS,
    ModelDistributionEnded, ModelDistributionStarted, ModelPromoted, ModelRecord, ModelRemoved, ModelSetAside,
    NewEvent, Outcome, Removal, decode, encode,
};
use serde_json::json;
use support::{after, blob, commands, id, ids, model, promote, replay};

/// A cluster to which commands are given.
#[derive(Default)]
struct Cluster {
    agreed: Agreed,
}

impl Cluster {
    fn apply(&mut self, command: &Command) -> Outcome {
        let meta = EntryMeta { term: 3, index: self.agreed.index + 1 };
        self.agreed.apply(meta, command).expect("the next index")
    }

    fn done(&mut self, command: &Command) {
        assert_eq!(self.apply(command), Outcome::Done, "{command:?}");
    }

    fn refusal(&mut self, command: &Command) -> String {
        let before = self.agreed.state.clone();
        let outcome = self.apply(command);
        assert_eq!(self.agreed.state, before, "a refused command changes nothing");
        match outcome {
            Outcome::Refused { reason } => reason,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn record(&self, config: &str) -> &ModelRecord {
        &self.agreed.state.models[&model(config)]
    }

    fn newest(&self, count: usize) -> Vec<NewEvent> {
        let mut events: Vec<_> = self.agreed.state.events.iter().rev().take(count).map(|e| e.event.clone()).collect();
        events.reverse();
        events
    }
}

fn sha256(number: u64) -> Digest {
    blob(number, 2).sha256
}

fn roll_back(config: &str, number: u64) -> Command {
    Command::RollBackModel { name: model(config), sha256: sha256(number), by: "ada".into(), at_ms: 9_000 }
}

fn distribute(config: Option<&str>, force: bool) -> Command {
    Command::StartDistribution { name: config.map(model), by: "ops".into(), force, at_ms: 5_000 }
}

fn failing(failed: &[(&str, &str)]) -> BTreeMap<NodeId, String> {
    failed.iter().map(|(node, why)| (id(node), (*why).to_owned())).collect()
}

fn ended(config: &str, number: u64, generation: u64, succeeded: &[&str], failed: &[(&str, &str)]) -> Command {
    Command::DistributionEnded {
        name: model(config),
        sha256: sha256(number),
        generation,
        succeeded: ids(succeeded),
        failed: failing(failed),
        duration_ms: 12_340,
        at_ms: 1_700_000_012_590,
    }
}

fn over(config: &str, number: u64, over: u64) -> Command {
    let Command::PromoteModel { name, blob, elo, source, by, force, at_ms, .. } = promote(config, number) else {
        unreachable!()
    };
    Command::PromoteModel { name, blob, elo, source, by, force, over: Some(over), at_ms }
}

fn remove(config: &str) -> Command {
    Command::RemoveModel { name: model(config), by: "ada".into(), at_ms: 6_000 }
}
