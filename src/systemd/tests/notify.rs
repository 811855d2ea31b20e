//! What really arrives on systemd's notification socket. `$NOTIFY_SOCKET` can only be set for another process, so each test
//! runs itself again as a child.

#![allow(clippy::unwrap_used, reason = "a test program")]

use std::{
    env,
    os::unix::net::UnixDatagram,
    process::{Command, Stdio},
    time::Duration,
};

use ringrift_systemd::{Notifier, credential, watchdog::watchdog_interval};

const CHILD: &str = "RINGRIFT_TEST_CHILD";

fn child(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test]).env(CHILD, "1").stdout(Stdio::null());
    command
}

fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

#[test]
fn a_life_from_ready_to_stopping_arrives_in_order() {
    if is_child() {
        let notifier = Notifier::from_environment();
        notifier.status("follows alpha in term 7");
        notifier.ready();
        drop(notifier.reloading());
        notifier.extend_timeout(Duration::from_secs(20));
        return notifier.stopping();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let status = child("a_life_from_ready_to_stopping_arrives_in_order").env("NOTIFY_SOCKET", &path).status().unwrap();
    assert!(status.success());
    let mut received = Vec::new();
    let mut buffer = [0; 512];
    while let Ok(length) = socket.recv(&mut buffer) {
        received.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
    }
    // The time stamp is the one part that differs from run to run.
    let (reloading, stamp) = received[2].trim_end().split_once("\nMONOTONIC_USEC=").unwrap();
    assert!(stamp.parse::<u64>().unwrap() > 0);
    assert_eq!(reloading, "RELOADING=1");
    received.remove(2);
    assert_eq!(
        received,
        [
            "STATUS=follows alpha in term 7\n",
            "READY=1\n",
            "READY=1\n",
            "EXTEND_TIMEOUT_USEC=20000000\n",
            "STOPPING=1\n"
        ]
    );
}

#[test]
fn without_systemd_nothing_is_sent_and_no_watchdog_waits() {
    if is_child() {
        let notifier = Notifier::from_environment();
        notifier.ready();
        notifier.stopping();
        assert_eq!(watchdog_interval(), None);
        return;
    }
    let status = child("without_systemd_nothing_is_sent_and_no_watchdog_waits")
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn the_watchdogs_interval_is_the_units() {
    if is_child() {
        assert_eq!(watchdog_interval(), Some(Duration::from_secs(30)));
        return;
    }
    let status = child("the_watchdogs_interval_is_the_units").env("WATCHDOG_USEC", "30000000").status().unwrap();
    assert!(status.success());
}

#[test]
fn a_credential_is_found_by_name_and_never_outside_its_folder() {
    if is_child() {
        let folder = std::path::PathBuf::from(env::var_os("CREDENTIALS_DIRECTORY").unwrap());
        assert_eq!(credential("token"), Some(folder.join("token")));
        assert_eq!(credential("token-old"), None);
        assert_eq!(credential("../outside"), None);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let credentials = folder.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::write(credentials.join("token"), "secret").unwrap();
    std::fs::write(folder.path().join("outside"), "secret").unwrap();
    let status = child("a_credential_is_found_by_name_and_never_outside_its_folder")
        .env("CREDENTIALS_DIRECTORY", &credentials)
        .status()
        .unwrap();
    assert!(status.success());
}
