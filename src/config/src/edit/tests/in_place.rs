use super::{super::HostsDraft, draft, id, settings};

/// As people write it: comments everywhere, quotes of both kinds, a host on one line.
const FILE: &str = "\
# The cluster.
p2p_voters:
  - a # the first
  - b
  # c votes when its disk is new
hosts:
  # Voters.
  a:
    ssh_host: '10.0.0.1' # by cable
    status: \"ready\"   # since March

    # What it is for.
    role: coordinator

  b: # behind the door
    ssh_host: 10.0.0.2
    role: backbone
    storage_paths:
      games: /g # on the big disk
      models: /m
    # Nothing else.

  # Workers.
  c: {ssh_host: 10.0.0.3, role: selfplay, status: ready}
sync_routing: {excluded_hosts: [a, c], priority_hosts: [b]}
elo_sync:
  coordinator: b
";

fn changed(change: impl FnOnce(&mut HostsDraft)) -> String {
    let mut draft = draft(FILE);
    change(&mut draft);
    draft.text().to_owned()
}

/// What is different, line by line: `-` of the old, `+` of the new.
fn difference(new: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (FILE.lines().collect(), new.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - same;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let minus = old[same..old.len() - tail].iter().map(|line| format!("-{line}"));
    minus.chain(new[same..new.len() - tail].iter().map(|line| format!("+{line}"))).collect()
}

#[test]
fn a_value_is_replaced_where_it_stands() {
    for (host, key, value, expected) in [
        (
            "a",
            "status",
            "disabled",
            ["-    status: \"ready\"   # since March", "+    status: \"disabled\"   # since March"],
        ),
        ("a", "ssh_host", "10.9.9.9", ["-    ssh_host: '10.0.0.1' # by cable", "+    ssh_host: '10.9.9.9' # by cable"]),
        (
            "b",
            "storage_paths.games",
            "/new",
            ["-      games: /g # on the big disk", "+      games: /new # on the big disk"],
        ),
        ("b", "role", "gpu: big", ["-    role: backbone", "+    role: 'gpu: big'"]),
        (
            "c",
            "status",
            "maintenance",
            [
                "-  c: {ssh_host: 10.0.0.3, role: selfplay, status: ready}",
                "+  c: {ssh_host: 10.0.0.3, role: selfplay, status: maintenance}",
            ],
        ),
    ] {
        let text = changed(|draft| draft.set(&id(host), key, value).unwrap());
        assert_eq!(difference(&text), expected, "{host}.{key}");
    }
}

#[test]
fn a_key_is_added_behind_the_others_of_its_host() {
    for (host, key, value, expected) in [
        ("a", "cpus", "8", "+    cpus: 8"),
        ("a", "ssh_user", "123", "+    ssh_user: '123'"),
        ("a", "p2p_enabled", "false", "+    p2p_enabled: false"),
        ("a", "storage_paths.games", "/g", "+    storage_paths:\n+      games: /g"),
        ("b", "note", "# 1", "+    note: '# 1'"),
        ("b", "storage_paths.logs", "/l", "+      logs: /l"),
        ("a", "p2p_public_port", "{8770: 41234}", "+    p2p_public_port: {8770: 41234}"),
    ] {
        let text = changed(|draft| draft.set(&id(host), key, value).unwrap());
        assert_eq!(difference(&text).join("\n"), expected, "{host}.{key}");
    }
    let text = changed(|draft| draft.set(&id("c"), "storage_paths.games", "/g, h").unwrap());
    assert!(text.contains("status: ready, storage_paths: {games: '/g, h'}}"), "{text}");
}

#[test]
fn a_key_is_taken_away_with_its_line() {
    for (host, key, expected) in [
        ("a", "status", "-    status: \"ready\"   # since March"),
        ("a", "role", "-    role: coordinator"),
        ("b", "storage_paths.models", "-      models: /m"),
        ("b", "storage_paths", "-    storage_paths:\n-      games: /g # on the big disk\n-      models: /m"),
        ("a", "nothing", ""),
    ] {
        let text = changed(|draft| draft.unset(&id(host), key).unwrap());
        assert_eq!(difference(&text).join("\n"), expected, "{host}.{key}");
    }
    for (key, expected) in [
        ("ssh_host", "  c: {role: selfplay, status: ready}\n"),
        ("role", "  c: {ssh_host: 10.0.0.3, status: ready}\n"),
        ("status", "  c: {ssh_host: 10.0.0.3, role: selfplay}\n"),
    ] {
        let text = changed(|draft| draft.unset(&id("c"), key).unwrap());
        assert!(text.contains(expected), "{text}");
    }
    let text = changed(|draft| {
        draft.unset(&id("b"), "storage_paths.games").unwrap();
        draft.unset(&id("b"), "storage_paths.models").unwrap();
    });
    assert!(text.contains("    role: backbone\n    # Nothing else.\n"), "{text}");
    let text = changed(|draft| {
        draft.unset(&id("b"), "storage_paths.games").unwrap();
        draft.unset(&id("b"), "storage_paths.models").unwrap();
        draft.set(&id("b"), "storage_paths.logs", "/l").unwrap();
    });
    assert!(text.contains("    storage_paths:\n      logs: /l\n    # Nothing else.\n"), "{text}");
}

#[test]
fn a_host_is_added_as_the_others_are_written() {
    let pairs = settings(&[("ssh_host", "10.0.0.4"), ("status", "ready"), ("role", "mixed"), ("gpu", "8x RTX 4090")]);
    let text = changed(|draft| draft.add(&id("d"), &pairs).unwrap());
    assert_eq!(
        difference(&text),
        ["+  d:", "+    ssh_host: 10.0.0.4", "+    status: ready", "+    role: mixed", "+    gpu: 8x RTX 4090"]
    );
    // By four, with a blank line in between, and no end of line at the end.
    let mut draft = draft("hosts:\n    a:\n        role: mixed\n\n    b:\n        role: mixed");
    draft.add(&id("c"), &settings(&[("role", "mixed"), ("storage_paths.games", "/g")])).unwrap();
    assert_eq!(
        draft.text(),
        "hosts:\n    a:\n        role: mixed\n\n    b:\n        role: mixed\n\n    c:\n        role: mixed\n        storage_paths:\n          games: /g\n"
    );
    let mut draft = super::draft("{hosts: {a: {role: mixed}}, p2p_voters: [a]}");
    draft.add(&id("b"), &settings(&[("role", "a, b")])).unwrap();
    draft.set_voter(&id("b"), true).unwrap();
    assert_eq!(draft.text(), "{hosts: {a: {role: mixed}, b: {role: 'a, b'}}, p2p_voters: [a, b]}");
}

#[test]
fn a_host_is_removed_with_what_is_written_below_it_and_from_the_lists() {
    let mut draft = draft(FILE);
    let left = draft.remove(&id("b")).unwrap();
    assert_eq!(left, ["elo_sync.coordinator"]);
    let text = draft.text();
    for gone in ["- b", "behind the door", "big disk", "priority_hosts: [b]", "Nothing else"] {
        assert!(!text.contains(gone), "{gone}:\n{text}");
    }
    for kept in ["# c votes when its disk is new", "# Workers.", "# Voters.", "- a # the first", "priority_hosts: []"] {
        assert!(text.contains(kept), "{kept}:\n{text}");
    }
    let text = changed(|draft| assert!(draft.remove(&id("c")).unwrap().is_empty()));
    assert!(text.contains("excluded_hosts: [a]") && !text.contains("  c:") && text.contains("# Workers."), "{text}");
    let text = changed(|draft| assert!(draft.remove(&id("a")).unwrap().is_empty()));
    assert!(text.contains("excluded_hosts: [c]") && text.contains("  # Voters.\n\n  b: # behind"), "{text}");
}

#[test]
fn what_was_apart_leaves_its_neighbours_apart() {
    let mut draft = draft("hosts:\n  a: {}\n\n  b:\n    cpus: 1\n\n  c: {}\n");
    draft.remove(&id("b")).unwrap();
    assert_eq!(draft.text(), "hosts:\n  a: {}\n\n  c: {}\n");
    draft.add(&id("d"), &[]).unwrap();
    assert_eq!(draft.text(), "hosts:\n  a: {}\n\n  c: {}\n\n  d:\n");
    draft.remove(&id("d")).unwrap();
    assert_eq!(draft.text(), "hosts:\n  a: {}\n\n  c: {}\n");
}

#[test]
fn a_host_is_renamed_wherever_it_is_named() {
    let text = changed(|draft| draft.rename(&id("b"), &id("backbone-1")).unwrap());
    let expected = FILE
        .replace("  - b\n", "  - backbone-1\n")
        .replace("  b: #", "  backbone-1: #")
        .replace("priority_hosts: [b]", "priority_hosts: [backbone-1]")
        .replace("coordinator: b\n", "coordinator: backbone-1\n");
    assert_eq!(text, expected);
    assert_eq!(changed(|draft| draft.rename(&id("b"), &id("b")).unwrap()), FILE);
}

#[test]
fn a_voter_is_named_and_no_longer() {
    let text = changed(|draft| draft.set_voter(&id("c"), true).unwrap());
    assert_eq!(difference(&text), ["+  - c"]);
    let text = changed(|draft| draft.set_voter(&id("a"), false).unwrap());
    assert_eq!(difference(&text), ["-  - a # the first"]);
    let text = changed(|draft| draft.set_voter(&id("c"), false).unwrap());
    assert_eq!(text, FILE);
    let mut draft = draft("# top\nhosts:\n  a:\n    role: mixed\n");
    draft.set_voter(&id("a"), true).unwrap();
    assert_eq!(draft.text(), "# top\np2p_voters: [a]\nhosts:\n  a:\n    role: mixed\n");
    draft.set_voter(&id("a"), false).unwrap();
    assert_eq!(draft.text(), "# top\np2p_voters: []\nhosts:\n  a:\n    role: mixed\n");
    // Where nobody votes any more, the key without a list is filled again.
    let mut draft = super::draft("p2p_voters:\n  - a\nhosts:\n  a:\n    role: mixed\n");
    draft.set_voter(&id("a"), false).unwrap();
    draft.set_voter(&id("a"), true).unwrap();
    assert_eq!(draft.text(), "p2p_voters: [a]\nhosts:\n  a:\n    role: mixed\n");
}

#[test]
fn line_ends_letters_and_a_byte_order_mark_stay_as_they_are() {
    let text = "\u{feff}# Zürich → Genève\r\nhosts:\r\n  a:\r\n    note: 'é' # ü\r\n    role: mixed\r\n";
    let mut draft = draft(text);
    draft.set(&id("a"), "note", "ö: 1").unwrap();
    draft.set(&id("a"), "cpus", "8").unwrap();
    draft.add(&id("b"), &settings(&[("role", "mixed")])).unwrap();
    draft.set_voter(&id("b"), true).unwrap();
    assert_eq!(
        draft.text(),
        "\u{feff}# Zürich → Genève\r\np2p_voters: [b]\r\nhosts:\r\n  a:\r\n    note: 'ö: 1' # ü\r\n    role: mixed\r\n    cpus: 8\r\n  b:\r\n    role: mixed\r\n"
    );
}

#[test]
fn a_text_of_many_lines_is_one_value() {
    let text = "hosts:\n  a:\n    note: |\n      one\n      two\n\n    role: mixed\n  b:\n    note: >-\n      folded\n      text\n# end\n";
    let mut draft = draft(text);
    draft.set(&id("a"), "note", "short").unwrap();
    draft.unset(&id("b"), "note").unwrap();
    assert_eq!(draft.text(), "hosts:\n  a:\n    note: short\n\n    role: mixed\n  b:\n# end\n");
}
