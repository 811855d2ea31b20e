//! Which cluster succeeds which.

use proptest::prelude::*;
use ringrift_state::ClusterId;

#[test]
fn only_a_later_recovery_of_the_same_cluster_succeeds_it() {
    let cases = [
        ("abc", "abc-r1-x", true),
        ("abc", "abc-r3-x", true),
        ("abc-r1-x", "abc-r2-y", true),
        ("abc-r9-x", "abc-r10-y", true),
        ("abc", "abc", false),
        ("abc-r1-x", "abc", false),
        ("abc-r1-x", "abc-r1-y", false),
        ("abc", "abd-r1-x", false),
        ("abc", "abc-rx-y", false),
        ("abc", "abc-r0-y", false),
        ("abc", "abc-r99999999999-y", false),
        ("one-two", "one-two-r1-x", true),
        ("", "", false),
    ];
    for (old, new, succeeds) in cases {
        assert_eq!(ClusterId::parse(new).succeeds(&ClusterId::parse(old)), succeeds, "{new} after {old}");
    }
}

#[test]
fn a_cluster_takes_its_first_name_and_those_of_recoveries_and_no_other() {
    for (now, next, takes) in [
        ("", "f-1", true),
        ("f-1", "f-2", false),
        ("f-1", "f-1", false),
        ("f-1", "f-1-r1-x", true),
        ("f-1-r1-x", "f-1-r1-y", false),
        ("f-1-r1-x", "f-1", false),
        ("f-1", "f-2-r1-x", false),
        ("", "", false),
        ("", &"f".repeat(129), false),
    ] {
        assert_eq!(ClusterId::takes(now, next), takes, "{next} after {now}");
    }
}

proptest! {
    #[test]
    fn an_id_reads_back_as_it_was_written(text in ".{0,40}", salt in "[a-z0-9]{1,8}") {
        let id = ClusterId::parse(&text);
        prop_assert_eq!(id.to_string(), text);
        let next = id.recovered(&salt);
        prop_assert!(next.succeeds(&id));
        prop_assert_eq!(ClusterId::parse(&next.to_string()), next);
    }
}
