use super::file;

/// What `check` says of a text, without the file's name.
fn check(text: &str) -> Vec<String> {
    file(text).check().iter().map(|f| f.to_string().replacen("hosts.yaml:", "", 1)).collect()
}

/// A file with these voters, all of them good, and these lines for `a`.
fn with(voters: &[&str], lines_of_a: &str) -> String {
    let mut text = format!("p2p_voters: [{}]\nhosts:\n", voters.join(", "));
    let mut hosts: Vec<&str> = voters.to_vec();
    if !hosts.contains(&"a") {
        hosts.push("a");
    }
    for (i, host) in hosts.iter().enumerate() {
        let lines = if *host == "a" { lines_of_a } else { "" };
        let text_of_host = [format!("ssh_host: 10.0.0.{}", i + 1), "status: ready".into(), "role: backbone".into()]
            .into_iter()
            .filter(|line| !lines.contains(line.split(':').next().unwrap()))
            .chain(lines.lines().map(str::to_owned))
            .fold(String::new(), |text, line| text + "    " + &line + "\n");
        text = text + "  " + host + ":\n" + &text_of_host;
    }
    text
}

const FIVE: [&str; 5] = ["a", "b", "c", "d", "e"];

#[test]
fn a_good_file_needs_no_advice() {
    assert_eq!(check(&with(&FIVE, "")), Vec::<String>::new());
    assert_eq!(check(&with(&FIVE[..3], "")), Vec::<String>::new());
}

#[test]
fn the_number_of_voters_is_judged() {
    let ten: Vec<String> = (0..11).map(|i| format!("v{i}")).collect();
    let eleven: Vec<&str> = ten.iter().map(String::as_str).collect();
    for (voters, expected) in [
        (&FIVE[..1], &["1: p2p_voters: 1 of 3 to 9 voters: the loss of one stops the cluster"][..]),
        (
            &FIVE[..2],
            &[
                "1: p2p_voters: 2 voters survive the loss of 0 of them, as 1 would: drop one or add one",
                "1: p2p_voters: 2 of 3 to 9 voters: the loss of one stops the cluster",
            ],
        ),
        (&FIVE[..4], &["1: p2p_voters: 4 voters survive the loss of 1 of them, as 3 would: drop one or add one"]),
        (&eleven, &["1: p2p_voters: 11 voters: more than 9 make every decision slower and none safer"]),
        (&[], &["1: p2p_voters: the list is empty: no daemon starts on this file, except with --single-node"]),
    ] {
        assert_eq!(check(&with(voters, "")), expected, "{voters:?}");
    }
    assert_eq!(
        check("hosts: {a: {ssh_host: h, status: ready, role: mixed}}\n"),
        [" p2p_voters: missing: no daemon starts on this file, except with --single-node; list 3 to 9 stable hosts"]
    );
}

#[test]
fn a_voter_that_will_not_vote_is_told() {
    for (lines, expected) in [
        ("status: offline", "6: hosts.a.status: is a voter and its status is offline: it counts against the quorum"),
        ("p2p_enabled: false", "7: hosts.a.p2p_enabled: is a voter and runs no daemon: it counts against the quorum"),
        ("is_ephemeral: true", "7: hosts.a.is_ephemeral: is a voter and may be gone at any time"),
        (
            "gpu: M3 Max/Ultra (MPS)",
            "3: hosts.a: is a voter and seems to run macOS: the daemon is built for Linux, and laptops sleep",
        ),
        (
            "ringrift_path: /Users/operator/ringrift",
            "3: hosts.a: is a voter and seems to run macOS: the daemon is built for Linux, and laptops sleep",
        ),
        (
            "storage_paths: {games: /Volumes/Data/games}",
            "3: hosts.a: is a voter and seems to run macOS: the daemon is built for Linux, and laptops sleep",
        ),
        (
            "nat_blocked: true",
            "7: hosts.a.nat_blocked: is a voter that cannot be dialled: two such voters reach each other through a third only",
        ),
    ] {
        let lines_of = check(&with(&FIVE, lines));
        assert!(lines_of.iter().any(|line| line == expected), "{lines}: {lines_of:?}");
    }
    // The same hosts are nobody's business as long as they do not vote.
    for lines in
        ["status: offline", "p2p_enabled: false", "is_ephemeral: true", "gpu: M3 Max (MPS)", "nat_blocked: true"]
    {
        assert_eq!(check(&with(&FIVE[1..4], lines)), Vec::<String>::new(), "{lines}");
    }
}

#[test]
fn a_quorum_that_cannot_be_is_told() {
    let text = "p2p_voters: [a, b, c]\nhosts:\n  a: {ssh_host: h1, status: ready, role: mixed}\n  b: {ssh_host: h2, status: \
                retired, role: mixed}\n  c: {ssh_host: h3, status: retired, role: mixed}\n";
    assert_eq!(
        check(text)[0],
        "1: p2p_voters: only 1 of 3 voters are ready and p2p_enabled, and a leader needs 2: there will be none"
    );
}

#[test]
fn host_and_port_together_are_unique() {
    let one = "  a: {ssh_host: relay, ssh_port: 1001, status: retired, role: mixed}\n";
    for (line, expected) in [
        ("  b: {ssh_host: relay, ssh_port: 1002, status: retired, role: mixed}\n", None),
        (
            "  b: {ssh_host: relay, ssh_port: 1001, status: retired, role: mixed}\n",
            Some("4: hosts.b.ssh_host: relay:1001 belongs to a (line 3) as well"),
        ),
    ] {
        let found = check(&format!("p2p_voters: []\nhosts:\n{one}{line}"));
        assert_eq!(found.get(1).map(String::as_str), expected, "{line}");
    }
    let found = check(
        "p2p_voters: []\nhosts:\n  a: {tailscale_ip: 100.64.0.1, status: ready, role: mixed}\n  \
         b: {tailscale_ip: 100.64.0.1, status: ready, role: mixed}\n",
    );
    assert_eq!(found[1], "4: hosts.b.tailscale_ip: 100.64.0.1:22 belongs to a (line 3) as well");
}

#[test]
fn placeholders_are_told() {
    for (lines, expected) in [
        (
            "tailscale_ip: 100.x.x.x",
            "7: hosts.a.tailscale_ip: \"100.x.x.x\" is a placeholder; it is read as if nothing stood here",
        ),
        ("ssh_host: YOUR_HOST", "6: hosts.a.ssh_host: \"YOUR_HOST\" is a placeholder"),
        (
            "ringrift_path: /home/<user>/ringrift",
            "7: hosts.a.ringrift_path: \"/home/<user>/ringrift\" is a placeholder",
        ),
    ] {
        let found = check(&with(&FIVE, lines));
        assert!(found.iter().any(|line| line == expected), "{found:?}");
    }
    let odd = check(&with(&FIVE, "tailscale_ip: backbone"));
    assert_eq!(odd, ["7: hosts.a.tailscale_ip: \"backbone\" is not an IP address; it is dialled as a name"]);
}

#[test]
fn a_ready_host_whose_note_says_that_it_is_gone_is_told() {
    for (note, gone) in [
        ("Instance terminated - retired Jan 1 2026", true),
        ("DESTROYED Jan 1, 2026 - instance exited", true),
        ("P2P backbone node", false),
    ] {
        let found = check(&with(&FIVE, &format!("note: {note}")));
        assert_eq!(found.len(), usize::from(gone), "{found:?}");
        assert!(!gone || found[0].starts_with("7: hosts.a.note: the host is ready and its note says"), "{found:?}");
        let retired = check(&with(&FIVE[1..4], &format!("status: retired\nnote: {note}")));
        assert_eq!(retired, Vec::<String>::new());
    }
}

#[test]
fn a_host_that_others_cannot_dial_is_told() {
    let text = |line: &str| format!("p2p_voters: []\nhosts:\n  z: {{ssh_host: h, status: ready, role: mixed}}\n{line}");
    for (line, expected) in [
        ("  a: {status: ready, role: mixed}\n", Some("it has no address: set tailscale_ip or ssh_host")),
        (
            "  a: {ssh_host: localhost, status: ready, role: mixed}\n",
            Some("localhost is every host's own name for itself"),
        ),
        (
            "  a: {ssh_host: r, ssh_port: 1, status: ready, role: mixed}\n  b: {ssh_host: r, ssh_port: 2, status: retired, role: mixed}\n",
            Some("r forwards the ports of several hosts"),
        ),
        ("  a: {status: ready, role: mixed, nat_blocked: true}\n", None),
        ("  a: {status: ready, role: mixed, p2p_enabled: false}\n", None),
        ("  a: {status: retired, role: mixed}\n", None),
    ] {
        let found = check(&text(line));
        let told = found.iter().find(|line| line.contains("other nodes cannot dial this host"));
        assert_eq!(told.is_some(), expected.is_some(), "{line}: {found:?}");
        assert!(expected.is_none_or(|words| told.unwrap().contains(words)), "{told:?}");
    }
}

#[test]
fn a_pattern_that_fits_no_host_is_told() {
    let text = format!("{}auto_sync:\n  host_bandwidth_overrides:\n    a*: 1\n    vast-*: 50\n", with(&FIVE, ""));
    let lines = text.lines().count();
    assert_eq!(check(&text), [format!("{lines}: auto_sync.host_bandwidth_overrides.vast-*: the pattern fits no host")]);
}
