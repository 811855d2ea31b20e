//! What must hold for every history.

mod support;

use proptest::prelude::*;
use ringrift_state::{
    Agreed, ClusterState, Command, EntryMeta, EventLog, NewEvent, RecentRequests, Update, VoterHistory, decode, encode,
};
use support::{after, commands, new_event, replay, update};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_same_history_gives_the_same_state_on_every_node(commands in commands(60)) {
        let one = after(&commands);
        let other = after(&commands);
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(encode(&one).unwrap(), encode(&other).unwrap());
    }

    #[test]
    fn a_snapshot_and_the_rest_give_what_the_whole_log_gives(commands in commands(60), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(commands.len() + 1);
        let whole = after(&commands);
        let mut resumed: Agreed = decode(&encode(&after(&commands[..cut])).unwrap()).unwrap();
        replay(&mut resumed, &commands[cut..]);
        prop_assert_eq!(&resumed, &whole);
        prop_assert_eq!(encode(&resumed).unwrap(), encode(&whole).unwrap());
    }

    #[test]
    fn events_are_numbered_without_gaps_and_never_go_back(commands in commands(60)) {
        let mut agreed = Agreed::default();
        for command in &commands {
            let before = agreed.state.last_seq;
            replay(&mut agreed, std::slice::from_ref(command));
            let state = &agreed.state;
            prop_assert!(state.last_seq >= before);
            prop_assert_eq!(state.last_seq, state.events.last_seq());
            let seqs: Vec<u64> = state.events.iter().map(|event| event.seq).collect();
            let expected: Vec<u64> = (state.last_seq + 1 - seqs.len() as u64..=state.last_seq).collect();
            prop_assert_eq!(seqs, expected);
        }
    }

    #[test]
    fn since_answers_with_just_the_later_events(commands in commands(40), seq in 0..60u64) {
        let events = after(&commands).state.events;
        let wanted: Vec<_> = events.iter().filter(|event| event.seq > seq).collect();
        prop_assert!(events.since(seq).eq(wanted));
    }

    #[test]
    fn every_update_survives_its_encoding(update in update()) {
        let back: Update = decode(&encode(&update).unwrap()).unwrap();
        prop_assert_eq!(back, update);
    }

    #[test]
    fn decoding_garbage_is_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode::<Agreed>(&bytes);
        let _ = decode::<Update>(&bytes);
        let _ = decode::<Command>(&bytes);
    }

    #[test]
    fn decoding_what_was_tampered_with_is_no_panic_and_what_decodes_can_go_on(
        commands in commands(30), at in any::<prop::sample::Index>(), byte in any::<u8>(), more in commands(6),
    ) {
        let mut bytes = encode(&after(&commands)).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(mut agreed) = decode::<Agreed>(&bytes) && agreed.index < u64::MAX / 2 {
            replay(&mut agreed, &more);
        }
    }

    #[test]
    fn an_event_of_any_size_leaves_the_log_bounded(event in new_event(), times in 1..80usize) {
        let long = NewEvent { message: event.message.repeat(200 * times), kind: event.kind.repeat(times), ..event };
        let mut state = ClusterState::default();
        for index in 1..=3 {
            state.apply(EntryMeta { term: 1, index }, &Command::Record { event: long.clone() });
        }
        prop_assert_eq!(state.events.len(), 3);
        for kept in state.events.iter() {
            prop_assert!(kept.event.message.len() <= NewEvent::MAX_MESSAGE);
            prop_assert!(kept.event.kind.len() <= 64);
        }
    }
}

#[test]
fn many_large_commands_leave_a_bounded_state() {
    let mut state = ClusterState::default();
    let big = "x".repeat(NewEvent::MAX_MESSAGE);
    let voters = |n: u64| support::ids(&[&format!("v{}", n % 100)]);
    for index in 1..=30_000u64 {
        let entry = EntryMeta { term: 1, index };
        let event = NewEvent::new("BUSY", if index % 2 == 0 { big.as_str() } else { "short" }, index);
        let inner = Box::new(Command::Record { event });
        state.apply(entry, &Command::Once { request_id: format!("r{index}"), inner });
        if index % 100 == 0 {
            let adopt = Command::AdoptVoters {
                voters: voters(index / 100),
                replaced: voters(index / 100 - 1),
                revision: "0".repeat(1000),
                by: "ops".into(),
                at_ms: 0,
            };
            state.apply(entry, &adopt);
        }
    }
    assert!((1000..EventLog::MAX).contains(&state.events.len()), "bound by bytes, not number: {}", state.events.len());
    assert_eq!(state.requests.len(), RecentRequests::MAX);
    assert_eq!(state.voters.len(), VoterHistory::MAX);
    let size = encode(&state).unwrap().len();
    assert!(size < 3 << 20, "{size} bytes");
}

#[test]
fn the_log_keeps_just_as_many_events_as_it_says() {
    let mut state = ClusterState::default();
    for index in 1..=(EventLog::MAX as u64 + 10) {
        state.apply(EntryMeta { term: 1, index }, &Command::Record { event: NewEvent::new("E", "m", index) });
    }
    assert_eq!((state.events.len(), state.events.front().unwrap().seq), (EventLog::MAX, 11));
}
