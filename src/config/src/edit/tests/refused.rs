use super::{super::EditError, draft, id, settings};

const FILE: &str = "p2p_voters: [a]\nhosts:\n  a:\n    role: mixed\n  gpu-1:\n    role: mixed\n";

#[test]
fn what_is_refused_changes_nothing_and_says_why() {
    let mut d = draft(FILE);
    for (refused, expected) in [
        (d.add(&id("a"), &[]), "hosts.yaml has a host a already, on line 3"),
        (d.set(&id("gpu1"), "role", "x"), "hosts.yaml has no host gpu1; did you mean gpu-1?"),
        (d.set(&id("a"), "", "x"), "hosts.a.: is no key: letters, digits, _ and -, and dots that lead into a map"),
        (
            d.set(&id("a"), "a..b", "x"),
            "hosts.a.a..b: is no key: letters, digits, _ and -, and dots that lead into a map",
        ),
        (
            d.set(&id("a"), "ssh_port", "99999"),
            "nothing was changed, since the file could not be used any more: hosts.yaml:5: hosts.a.ssh_port: expected a port \
             1..65535, found the number 99999",
        ),
        (d.rename(&id("a"), &id("gpu-1")), "hosts.yaml has a host gpu-1 already, on line 5"),
        (
            d.set(&id("a"), "role.deep", "x"),
            "hosts.yaml: role.deep is written in a way that cannot be changed in place: change it with an editor, then \
             `ringriftctl hosts check`",
        ),
        (
            d.add(&id("b"), &settings(&[("role", "mixed"), ("cpus", "many")])),
            "nothing was changed, since the file could not be used any more: hosts.yaml:9: hosts.b.cpus: expected a number, 0 or \
             more, found \"many\"",
        ),
    ] {
        assert_eq!(refused.unwrap_err().to_string(), expected);
    }
    assert_eq!(d.text(), FILE);
    assert!(!d.is_changed());
}

#[test]
fn the_last_host_stays() {
    let mut d = draft("hosts:\n  a:\n    role: mixed\n");
    assert!(matches!(d.remove(&id("a")), Err(EditError::Spoils(_))));
    assert!(!d.is_changed());
}

#[test]
fn a_file_with_errors_is_mended_by_hand_first() {
    let refused =
        super::HostsDraft::parse("hosts:\n  a:\n    ssh_port: x\n".to_owned(), std::path::Path::new("h.yaml"));
    assert!(matches!(refused, Err(EditError::Unusable(_))));
}

#[test]
fn what_is_not_understood_is_left_alone() {
    // A key with a question mark, two keys on one line, a list of lists.
    for (text, host) in [
        ("hosts:\n  ? a\n  : role: mixed\n  b:\n    role: mixed\n", "a"),
        ("p2p_voters:\n  -\n    a\nhosts:\n  a: {role: mixed}\n  b: {role: mixed}\n", "a"),
    ] {
        let mut d = draft(text);
        match d.remove(&id(host)) {
            Err(EditError::NotInPlace { .. }) => assert_eq!(d.text(), text),
            Ok(_) => assert!(!d.file().unwrap().hosts.contains_key(host)),
            Err(other) => panic!("{other}"),
        }
    }
}
