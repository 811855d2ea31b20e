//! A test in namespaces of its own: it cuts its loopback network and mounts what it likes, and nobody else sees it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{env, process::Command};

const INSIDE: &str = "RINGRIFT_TEST_IN_NAMESPACE";

/// Runs `test` in a user, network and mount namespace of its own: this program runs itself again there, with the test of that
/// name alone.
pub(crate) fn run_in_own(name: &str, test: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap();
        assert!(up.success(), "cannot bring the loopback interface up");
        test();
        return;
    }
    let ran = Command::new("unshare")
        .args(["--map-root-user", "--net", "--mount", "--"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare, of util-linux");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success(),
        "{name} in namespaces of its own: {}\n{said}{}",
        ran.status,
        String::from_utf8_lossy(&ran.stdout)
    );
    eprintln!("{said}");
}
