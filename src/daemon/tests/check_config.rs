//! `ringrift-p2p check-config`, and what `run` says of its settings before it starts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs::File,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

const HOSTS: &str = "\
p2p_voters: [a, b, c]
hosts:
  a: {ssh_host: h1, status: ready, role: mixed}
  b: {ssh_host: h2, status: ready, role: mixed}
  c: {ssh_host: h3, status: ready, role: mixed}
";

/// A machine on which nothing is configured but a hosts file.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        std::fs::write(machine.path("hosts.yaml"), HOSTS).unwrap();
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, command: &str, args: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_ringrift-p2p"));
        program.env_clear().current_dir(self.0.path()).stdin(Stdio::null());
        program.args([command, "--settings", "none", "--hosts", "hosts.yaml"]).args(args);
        program
    }

    fn check(&self, args: &[&str]) -> (Option<i32>, String, String) {
        told(self.command("check-config", args).output().unwrap())
    }
}

fn told(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn it_shows_every_setting_and_what_this_node_is() {
    let machine = Machine::new();
    let (code, out, err) = machine.check(&["--node-id", "b"]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.lines().any(|l| l.split_whitespace().eq(["node_id", "b", "(--node-id)"])), "{out}");
    assert!(out.lines().any(|l| l.split_whitespace().eq(["http_port", "8770", "(default)"])), "{out}");
    assert!(out.ends_with("b votes; 3 voters, 0 warnings. `run` takes these settings.\n"), "{out}");
}

#[test]
fn what_keeps_a_node_from_starting_is_a_sentence_and_ends_with_1() {
    let machine = Machine::new();
    for (args, expected) in [
        (&["--node-id", "d"][..], "this node is d (--node-id)"),
        (&["--node-id", "a", "--log", "a=b=c"], "log (--log) cannot be used: log filter `a=b=c`"),
        (
            &["--node-id", "a", "--tls-ca", "x", "--tls-cert", "x", "--tls-key", "x"],
            "own certificates (tls_ca, tls_cert, tls_key): x: ",
        ),
        (&["--node-id", "a", "--bind-addr", "0.0.0.0"], "there is no cluster token"),
    ] {
        let (code, out, err) = machine.check(args);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{args:?}: {err}");
        assert!(err.contains(expected) && err.lines().count() == 1, "{args:?}: {err}");
        let (code, out, _) = machine.check(&[args, &["--json"]].concat());
        let report: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &report["ok"]), (Some(1), &Value::Bool(false)));
        assert!(report["error"].as_str().unwrap().contains(expected), "{report}");
    }
}

#[test]
fn a_misspelt_variable_is_named_where_it_keeps_a_node_from_starting() {
    let machine = Machine::new();
    let told = told(machine.command("check-config", &[]).env("RINGRIFT_NODE_IDD", "a").output().unwrap());
    assert_eq!(told.0, Some(1));
    assert!(
        told.2.contains("RINGRIFT_NODE_IDD is set, and nothing reads it; did you mean RINGRIFT_NODE_ID?"),
        "{told:?}"
    );
}

#[test]
fn an_output_that_cannot_be_written_is_a_failure_and_a_reader_that_left_is_none() {
    let machine = Machine::new();
    for args in [&["--node-id", "a"][..], &["--node-id", "a", "--json"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (code, _, err) = told(machine.command("check-config", args).stdout(full).output().unwrap());
        assert!(code == Some(1) && err.contains("cannot write the output: No space left"), "{code:?} {err}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let (code, _, err) = told(machine.command("check-config", args).stdout(writer).output().unwrap());
        assert_eq!((code, err.as_str()), (Some(0), ""));
    }
}

#[test]
fn a_start_logs_every_setting_with_its_source_and_every_variable_that_nothing_reads() {
    let machine = Machine::new();
    let (_, shown, _) = machine.check(&["--node-id", "a", "--state-dir", "/dev/null/state"]);
    // It ends because its state can be nowhere; by then all of this is logged.
    let mut run = machine.command("run", &["--node-id", "a", "--state-dir", "/dev/null/state"]);
    let (code, _, log) = told(run.env("RINGRIFT_P2P_PROT", "1").env("RINGRIFT_OTHER", "2").output().unwrap());
    assert_eq!(code, Some(1), "{log}");
    let settings: Vec<_> = shown.lines().take_while(|l| !l.is_empty()).collect();
    assert!(settings.len() > 20, "{shown}");
    for line in settings {
        let (key, rest) = line.split_once(' ').unwrap();
        let (value, source) = rest.trim().rsplit_once("  ").unwrap();
        assert!(log.contains(&format!("{key} = {value} {source}")), "{line} is not in\n{log}");
    }
    for name in ["RINGRIFT_P2P_PROT", "RINGRIFT_OTHER"] {
        assert!(
            log.lines().any(|l| l.contains("WARN") && l.contains(&format!("{name} is set, and nothing reads it"))),
            "{log}"
        );
    }
}
