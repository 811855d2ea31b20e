//! What reads bytes from outside, for coverage-guided tests (`tests/fuzz`). Each function takes any bytes and panics if the crate does
//! what it must not.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use rand::{SeedableRng as _, rngs::SmallRng};
use ringrift_config::NodeId;

use crate::{
    Input, Machine, MembersConfig, Moment, Output, Timing,
    wire::{MAX_ROWS, Message},
};

fn id(name: &str) -> NodeId {
    name.parse().expect("a node id")
}

fn at(at: Duration) -> Moment {
    Moment { at, wall_ms: 1_700_000_000_000 }
}

/// A node called `b` that knows `a` and `c`, at its tenth second.
fn machine() -> Machine<BTreeMap<String, u64>> {
    let config = MembersConfig { node: id("b"), instance: 7, timing: Timing::default() };
    let facts = BTreeMap::from([("cpu".to_owned(), 3)]);
    let known = vec![id("a"), id("c")];
    Machine::new(config, facts, known, SmallRng::seed_from_u64(1), at(Duration::from_secs(10)), &mut Vec::new())
}

/// A message of `a`: as a request, and as an answer to whatever it is asked.
pub fn message(bytes: &[u8]) {
    if let Ok(message) = Message::decode(bytes, "a") {
        assert_eq!(Message::decode(&message.encode(), "a"), Ok(message));
    }
    let payload = Bytes::copy_from_slice(bytes);
    let mut machine = machine();
    let mut out = Vec::new();
    let mut now = Duration::from_secs(10);
    machine.step(at(now), Input::Request { ticket: 1, from: id("a"), payload: payload.clone() }, &mut out);
    let mut answers = 0;
    // Long enough for a probe that `a` asked for to end without an answer.
    let end = now + Duration::from_secs(12);
    while now < end {
        for output in std::mem::take(&mut out) {
            match output {
                Output::Send { call, to, .. } if to == id("a") => {
                    machine.step(at(now), Input::Answer { call, outcome: Ok(payload.clone()) }, &mut out);
                }
                Output::Reply { ticket, .. } => {
                    assert_eq!(ticket, 1);
                    answers += 1;
                }
                Output::Send { call, .. } => {
                    let outcome = Err(crate::Failure::NoAnswer);
                    machine.step(at(now), Input::Answer { call, outcome }, &mut out);
                }
                Output::Event(_) | Output::Left => {}
            }
        }
        now = machine.wake_at().max(now + Duration::from_millis(50));
        machine.step(at(now), Input::Tick, &mut out);
    }
    assert_eq!(answers, 1, "a request is answered once");
    assert!(machine.records().count() <= MAX_ROWS + 3, "nobody fills the table beyond its bound");
    assert!(machine.member(&id("b")).is_some_and(|(state, _)| state.is_present()), "nobody is talked into being dead");
}

#[cfg(test)]
#[path = "../../../tests/fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        State,
        wire::{Head, Raw, Row},
    };

    #[test]
    fn no_message_of_the_corpus_upsets_a_node() {
        let head = Head { node: "a", instance: 9, incarnation: 3, beat: 40, wall_ms: 1_700_000_000_000 };
        let facts = rmp_serde::to_vec_named(&BTreeMap::from([("cpu", 5)])).expect("it can be encoded");
        let row = |node, state| Row {
            node,
            instance: 4,
            incarnation: 2,
            state,
            version: 0,
            beat: 7,
            accuser: None,
            facts: None,
        };
        let full = Row { version: 2, facts: Some(Raw(&facts)), ..row("c", State::Alive) };
        let accused = Row { instance: 7, incarnation: 1, accuser: Some("c"), ..row("b", State::Dead) };
        let empty = Message { head, ..Message::default() };
        let digest = vec![row("a", State::Alive), row("b", State::Suspect), row("d", State::Left)];
        let seeds = [
            ("ping", empty.clone()),
            ("digest", Message { digest: Some(digest), ..empty.clone() }),
            ("news", Message { rows: vec![full, accused], wants: vec!["b", "c"], ..empty.clone() }),
            ("favour", Message { probe: Some("c"), ..empty.clone() }),
            ("reached", Message { reached: Some(true), ..empty }),
        ];
        corpus::replay("members_message", message, &seeds.map(|(name, message)| (name, message.encode().to_vec())));
    }
}
