//! What a node's eligibility is, as if there were one copy of it: the specification that histories are held against.
//!
//! The search is Wing's, Gong's and Lowe's, as in Porcupine and Knossos.

use std::collections::BTreeSet;

use ringrift_api::EligibilityState;
use todc_utils::{Action, History, Specification, WGLChecker};

use crate::clients::Record;

/// Whether a node is given work, and the number of the write that said so; 0 where it is eligible, which keeps no reason.
pub(crate) type Value = (EligibilityState, u64);

/// A request, with what its client was told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation {
    /// Sets the state. Nothing changes where it is the same already, so that the old number stays.
    Set {
        to: EligibilityState,
        number: u64,
        /// What the answer said; `None` when there was none.
        changed: Option<bool>,
    },
    /// Reads state and number.
    Read(Value),
}

/// One node's eligibility.
struct Eligibility;

/// A state that can be looked up: the API's has no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct State(&'static str, u64);

impl Specification for Eligibility {
    type State = State;
    type Operation = Operation;

    fn init() -> State {
        State(EligibilityState::Eligible.as_str(), 0)
    }

    fn apply(operation: &Operation, state: &State) -> (bool, State) {
        match *operation {
            Operation::Set { to, number, changed } => {
                let changes = state.0 != to.as_str();
                let new = match to {
                    _ if !changes => *state,
                    EligibilityState::Eligible => State(to.as_str(), 0),
                    EligibilityState::Cordoned | EligibilityState::Draining => State(to.as_str(), number),
                };
                (changed.is_none_or(|told| told == changes), new)
            }
            Operation::Read((found, number)) => (State(found.as_str(), number) == *state, *state),
        }
    }
}

type Actions = Vec<(usize, Action<Operation>)>;

/// A write without an answer may have happened at any time since or never, so that many of them make the search long. Those that
/// nobody can have seen are first taken not to have happened: what can be explained without them can be explained.
fn linearizable(actions: &Actions) -> bool {
    let seen: BTreeSet<u64> = actions
        .iter()
        .filter_map(|(_, action)| match action {
            Action::Call(Operation::Read((_, number))) => Some(*number),
            _ => None,
        })
        .collect();
    let without = |all_eligible: bool| -> Actions {
        let happened = |operation: &Operation| match *operation {
            Operation::Set { to: EligibilityState::Eligible, changed: None, .. } => !all_eligible,
            Operation::Set { number, changed: None, .. } => seen.contains(&number),
            Operation::Set { .. } | Operation::Read(_) => true,
        };
        let kept =
            actions.iter().filter(|(_, Action::Call(operation) | Action::Response(operation))| happened(operation));
        kept.cloned().collect()
    };
    let explained = |actions: Actions| {
        actions.is_empty() || WGLChecker::<Eligibility>::is_linearizable(History::from_actions(actions))
    };
    explained(without(true)) || explained(without(false)) || explained(actions.clone())
}

/// Panics, naming the object, if what was recorded cannot have happened to one copy of it. An object has nothing to do with the
/// others, so that each has its own history.
pub(crate) fn check(record: &Record) {
    for (node, actions) in record.histories() {
        let count = actions.len() / 2;
        assert!(linearizable(&actions), "{node}: no order explains what was seen:\n{}", told(&actions));
        eprintln!("{node}: {count} requests, linearizable");
    }
}

fn told(actions: &[(usize, Action<Operation>)]) -> String {
    let lines: Vec<String> = actions.iter().map(|(client, action)| format!("{client:3} {action:?}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use ringrift_api::EligibilityState::{Cordoned, Eligible};
    use todc_utils::Action::{Call, Response};

    use super::{
        Operation::{Read, Set},
        linearizable,
    };

    fn set(number: u64, changed: Option<bool>) -> super::Operation {
        Set { to: Cordoned, number, changed }
    }

    #[test]
    fn the_check_tells_histories_that_can_be_from_those_that_cannot() {
        let write = |changed| [(0, Call(set(1, changed))), (0, Response(set(1, changed)))];
        let read = |found| [(1, Call(Read(found))), (1, Response(Read(found)))];
        let old = (Eligible, 0);
        let new = (Cordoned, 1);
        for (can_be, history) in [
            (true, [write(Some(true)), read(new)].concat()),
            // A stale read.
            (false, [write(Some(true)), read(old)].concat()),
            // A change that is lost again.
            (false, [write(Some(true)), read(new), read(old)].concat()),
            // It says that nothing changed.
            (false, [write(Some(false)), read(new)].concat()),
        ] {
            assert_eq!(linearizable(&history), can_be, "{history:?}");
        }
    }

    #[test]
    fn a_write_without_an_answer_happens_late_or_never_but_not_twice() {
        let unknown = |history: &[(usize, todc_utils::Action<super::Operation>)]| {
            let call = (0, Call(set(1, None)));
            let end = (0, Response(set(1, None)));
            [&[call], history, &[end]].concat()
        };
        let read = |found| [(1, Call(Read(found))), (1, Response(Read(found)))];
        let eligible = Set { to: Eligible, number: 2, changed: Some(true) };
        let undone = [(2, Call(eligible)), (2, Response(eligible))];
        let (old, new) = ((Eligible, 0), (Cordoned, 1));
        assert!(linearizable(&unknown(&[read(old), read(old)].concat())));
        assert!(linearizable(&unknown(&[read(old), read(new)].concat())));
        assert!(!linearizable(&unknown(&[read(new), read(old)].concat())));
        assert!(linearizable(&unknown(&[read(new), undone.clone(), read(old)].concat())));
        assert!(!linearizable(&unknown(&[read(new), undone, read(old), read(new)].concat())));
        // Nobody has read it, and somebody was told that there was nothing to change any more.
        let again = Set { to: Cordoned, number: 3, changed: Some(false) };
        let told = [(2, Call(again)), (2, Response(again))];
        assert!(linearizable(&unknown(&told)));
        assert!(!linearizable(&told.to_vec()));
    }
}
