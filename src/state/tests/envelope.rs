//! State files.

mod support;

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use ringrift_state::envelope::{FileError, load, open, save, seal};
use ringrift_state::{Agreed, Command, Eligibility, EntryMeta, NewEvent, decode, encode};
use support::{after, commands, id, ids};

/// A little of everything.
fn sample() -> Agreed {
    let set = |node, eligibility| Command::SetEligibility {
        node: id(node),
        eligibility,
        by: "ada".into(),
        reason: "disk".into(),
        at_ms: 1_700_000_000_000,
    };
    let form = Command::FormCluster {
        cluster_id: "c0ffee".into(),
        voters: ids(&["a", "b", "c"]),
        revision: "ab12".into(),
        by: "a".into(),
        at_ms: 1,
    };
    let event = NewEvent::leader_elected(&id("a"), 4, 5).with("list", vec!["x", "y"]).with("load", 0.5);
    let record = Command::Once { request_id: "r1".into(), inner: Box::new(Command::Record { event }) };
    after(&[form, set("n1", Eligibility::Cordoned), set("n2", Eligibility::Draining), record])
}

#[test]
fn a_file_of_format_1_is_still_read() {
    let hex = include_str!("agreed-format-1.hex");
    let file: Vec<u8> = hex
        .split_ascii_whitespace()
        .flat_map(|line| (0..line.len()).step_by(2).map(move |at| u8::from_str_radix(&line[at..at + 2], 16).unwrap()))
        .collect();
    assert_eq!(open::<Agreed>(&file).unwrap(), sample());
}

#[test]
fn what_an_older_program_left_out_has_its_default() {
    let older = encode(&serde_json::json!({"index": 5, "term": 2, "state": {"last_seq": 0, "unheard_of": 1}})).unwrap();
    let agreed: Agreed = decode(&older).unwrap();
    assert_eq!(agreed, Agreed { index: 5, term: 2, ..Agreed::default() });
}

/// Half a kilobyte of lists in lists, each of which says that it has 65,535 elements. Deep enough, they had a reader set aside a gigabyte.
#[test]
fn lists_in_lists_that_claim_to_be_long_are_refused_before_memory_is_set_aside_for_them() {
    let nested = [b"\x82\xa4name".as_slice(), &[0xdc, 0xff, 0xff].repeat(160)].concat();
    let error = decode::<Command>(&nested).unwrap_err();
    assert!(error.to_string().contains("depth"), "{error}");
}

#[test]
fn the_deepest_that_is_written_can_be_read() {
    let deepest = (2..NewEvent::MAX_DEPTH).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
    let mut agreed = Agreed::default();
    let record = Command::Record { event: NewEvent::new("E", "deep", 1).with("list", deepest) };
    agreed.apply(EntryMeta { term: 1, index: 1 }, &record).unwrap();
    let state = Box::new(agreed.state.clone());
    let restore = Command::Restore { state, source: String::new(), by: String::new(), at_ms: 1 };
    let command = Command::Once { request_id: "r".into(), inner: Box::new(restore) };
    assert_eq!(decode::<Command>(&encode(&command).unwrap()).unwrap(), command);
    // Between voters a command is six levels deep: message, request, append, entries, entry and payload.
    let mut message = serde_json::to_value(&command).unwrap();
    for _ in 0..6 {
        message = serde_json::json!([message]);
    }
    assert!(decode::<serde_json::Value>(&encode(&message).unwrap()).is_ok());
}

#[test]
fn events_with_a_gap_are_not_a_log() {
    let event = |seq: u64| serde_json::json!({"seq": seq, "event": {"kind": "E"}});
    let log = |seqs: &[u64]| {
        let events: Vec<_> = seqs.iter().map(|seq| event(*seq)).collect();
        decode::<Agreed>(&encode(&serde_json::json!({"state": {"events": events}})).unwrap())
    };
    assert_eq!(log(&[4, 5, 6]).unwrap().state.events.len(), 3);
    assert_eq!(log(&[4, 6]).unwrap_err().to_string(), "event 6 follows event 4: sequence numbers must have no gaps");
    for broken in [&[5, 4][..], &[4, 4], &[0], &[u64::MAX]] {
        log(broken).unwrap_err();
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let file = seal(&sample()).unwrap();
    for bit in 0..file.len() * 8 {
        let mut bad = file.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(open::<Agreed>(&bad).is_err(), "bit {bit}");
    }
}

#[test]
fn every_file_that_was_cut_off_or_went_on_is_noticed() {
    let mut file = seal(&sample()).unwrap();
    for end in 0..file.len() {
        assert!(open::<Agreed>(&file[..end]).is_err(), "{end} bytes");
    }
    file.push(0);
    assert!(open::<Agreed>(&file).is_err());
}

#[test]
fn a_file_that_cannot_be_used_is_left_alone_and_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let good = seal(&sample()).unwrap();
    let mut newer = good.clone();
    newer[8] = 9;
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let cases = [
        ("empty", Vec::new()),
        ("foreign", b"SQLite format 3\0".to_vec()),
        ("newer", newer),
        ("cut", good[..good.len() - 7].to_vec()),
        ("flipped", flipped),
        ("other", seal("a text").unwrap()),
    ];
    let mut told = String::new();
    for (name, bytes) in cases {
        let path = dir.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let error = load::<Agreed>(&path).unwrap_err().to_string();
        writeln!(told, "{name}: {}", error.replace(dir.path().to_str().unwrap(), "DIR")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes, "{name}");
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_saved_file_replaces_the_old_one_whole_and_leaves_nothing_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agreed.state");
    assert!(load::<Agreed>(&path).unwrap().is_none());
    save(&path, &Agreed::default()).unwrap();
    // What a crash in the middle of a save left behind.
    fs::write(dir.path().join(".agreed.state.new"), vec![7; 100_000]).unwrap();
    save(&path, &sample()).unwrap();
    assert_eq!(load::<Agreed>(&path).unwrap(), Some(sample()));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0, "not for everybody to read");
}

#[test]
fn a_save_that_fails_says_where_and_keeps_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone/agreed.state");
    let error = save(&gone, &sample()).unwrap_err();
    assert!(matches!(error, FileError::Io { .. }));
    let error = error.to_string();
    assert!(error.starts_with("cannot write ") && error.contains("gone/agreed.state"), "{error}");

    let path = dir.path().join("agreed.state");
    save(&path, &sample()).unwrap();
    // The way of the new bytes is blocked by a folder.
    fs::create_dir(dir.path().join(".agreed.state.new")).unwrap();
    save(&path, &Agreed::default()).unwrap_err();
    assert_eq!(load::<Agreed>(&path).unwrap(), Some(sample()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_sealed_opens(commands in commands(40)) {
        let agreed = after(&commands);
        prop_assert_eq!(open::<Agreed>(&seal(&agreed).unwrap()).unwrap(), agreed);
    }

    #[test]
    fn opening_garbage_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), with_magic: bool) {
        let bytes = if with_magic { [b"RINGRIFT\x01\0\0\0".as_slice(), &bytes].concat() } else { bytes };
        prop_assert!(open::<Agreed>(&bytes).is_err());
    }
}
