//! The contract of socket passing, with real descriptors in a real process.
//!
//! Each case runs this very test again as a child that a shell starts the way systemd does: sockets from descriptor 3 on, and
//! `$LISTEN_PID` naming the child itself. The child tells what it got; an error there could not be faked by a fallback,
//! since it opens no socket of its own.

#![allow(clippy::unwrap_used, reason = "a test program")]

use std::{
    env,
    io::Write as _,
    net::{TcpListener, TcpStream, UdpSocket},
    os::{fd::OwnedFd, unix::net::UnixListener},
    process::{Command, Stdio},
};

use ringrift_systemd::{Listeners, Socket};

const CHILD: &str = "RINGRIFT_TEST_CHILD";

/// Moves standard input and output to where systemd puts sockets, then becomes the child.
const LIKE_SYSTEMD: &str = r#"exec 3<&0 4<&1 0</dev/null 1>&2; export LISTEN_PID="${FOR_PID:-$$}"; exec "$@""#;

/// What the child writes to standard error between these two lines is its answer.
const BEGIN: &str = "<<answer";
const END: &str = "answer>>";

/// Starts the child with up to two sockets and returns its answer.
fn rerun(test: &str, sockets: [Option<OwnedFd>; 2], environment: &[(&str, &str)]) -> String {
    let [first, second] = sockets.map(|socket| socket.map_or_else(Stdio::null, Stdio::from));
    let output = Command::new("sh")
        .args(["-c", LIKE_SYSTEMD, "sh"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .envs(environment.iter().copied())
        .stdin(first)
        .stdout(second)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    let written = String::from_utf8(output.stderr).unwrap();
    let answer = written.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    answer.unwrap_or_else(|| panic!("the child gave no answer: {written}")).0.trim().to_owned()
}

fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

fn answer(text: &str) {
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "{BEGIN}\n{text}\n{END}\n").unwrap();
}

/// What was passed, as `api=[ports] link=[ports] health=[ports]`, or the error.
fn describe() -> String {
    match Listeners::from_environment() {
        Err(error) => format!("error: {error}"),
        Ok(mut listeners) => Socket::ALL
            .map(|socket| {
                let ports: Vec<u16> =
                    listeners.take(socket).iter().map(|listener| listener.local_addr().unwrap().port()).collect();
                format!("{}={ports:?}", socket.name())
            })
            .join(" "),
    }
}

fn listener() -> (OwnedFd, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener.into(), port)
}

#[test]
fn sockets_are_told_apart_by_name_whatever_their_order() {
    if is_child() {
        return answer(&describe());
    }
    for (names, expected) in [
        ("api:link", "api=[A] link=[B] health=[] models=[]"),
        ("link:api", "api=[B] link=[A] health=[] models=[]"),
        ("health:link", "api=[] link=[B] health=[A] models=[]"),
        ("api:api", "api=[A, B] link=[] health=[] models=[]"),
        ("models:api", "api=[B] link=[] health=[] models=[A]"),
    ] {
        let ((first, a), (second, b)) = (listener(), listener());
        let heard = rerun(
            "sockets_are_told_apart_by_name_whatever_their_order",
            [Some(first), Some(second)],
            &[("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", names)],
        );
        let expected = expected.replace('A', &a.to_string()).replace('B', &b.to_string());
        assert_eq!(heard, expected, "{names}");
    }
}

#[test]
fn nothing_is_passed_to_a_daemon_that_was_started_by_hand_or_for_another_process() {
    if is_child() {
        return answer(&describe());
    }
    for environment in [&[][..], &[("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "api"), ("FOR_PID", "1")][..]] {
        let heard = rerun(
            "nothing_is_passed_to_a_daemon_that_was_started_by_hand_or_for_another_process",
            [Some(listener().0), None],
            environment,
        );
        assert_eq!(heard, "api=[] link=[] health=[] models=[]", "{environment:?}");
    }
}

#[test]
fn a_socket_of_the_wrong_name_or_kind_is_an_error_that_names_it() {
    if is_child() {
        return answer(&describe());
    }
    let folder = tempfile::tempdir().unwrap();
    let (server, _port) = listener();
    let server = TcpListener::from(server);
    let connection = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let cases: [(OwnedFd, &str, &str); 5] = [
        (listener().0, "web", "a socket named `web` (descriptor 3)"),
        (UdpSocket::bind("127.0.0.1:0").unwrap().into(), "api", "`api` (descriptor 3) is a datagram socket"),
        (
            UnixListener::bind(folder.path().join("socket")).unwrap().into(),
            "link",
            "`link` (descriptor 3) is not an internet socket",
        ),
        (connection.into(), "health", "`health` (descriptor 3) is a connection, not a listener"),
        (tempfile::tempfile().unwrap().into(), "api", "`api` (descriptor 3) is not an internet socket"),
    ];
    for (socket, name, expected) in cases {
        let heard = rerun(
            "a_socket_of_the_wrong_name_or_kind_is_an_error_that_names_it",
            [Some(socket), None],
            &[("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", name)],
        );
        assert!(heard.starts_with("error: ") && heard.contains(expected), "{name}: {heard}");
    }
}

#[test]
fn a_socket_without_a_name_is_not_dropped_in_silence() {
    if is_child() {
        return answer(&describe());
    }
    for environment in [&[("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "api")][..], &[("LISTEN_FDS", "2")][..]] {
        let heard = rerun(
            "a_socket_without_a_name_is_not_dropped_in_silence",
            [Some(listener().0), Some(listener().0)],
            environment,
        );
        assert!(heard.starts_with("error: ") && heard.contains("says 2 sockets"), "{environment:?}: {heard}");
    }
}

#[test]
fn a_connection_made_before_the_start_is_served_and_no_child_inherits_the_socket() {
    if is_child() {
        let mut listeners = Listeners::from_environment().unwrap();
        let listener = listeners.take(Socket::Api).remove(0);
        let (mut waiting, _) = listener.accept().unwrap();
        waiting.write_all(b"served").unwrap();
        let next = listener.accept().map(drop).map_err(|error| error.kind());
        let left = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"].map(|name| env::var_os(name).is_some());
        let again = Listeners::from_environment().unwrap().is_empty();
        let inherited = Command::new("sh").args(["-c", "test -e /proc/self/fd/3"]).status().unwrap().success();
        return answer(&format!("next {next:?}, variables left {left:?}, empty again {again}, inherited {inherited}"));
    }
    let (socket, port) = listener();
    let early = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let heard = rerun(
        "a_connection_made_before_the_start_is_served_and_no_child_inherits_the_socket",
        [Some(socket), None],
        &[("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "api")],
    );
    assert_eq!(heard, "next Err(WouldBlock), variables left [false, false, false], empty again true, inherited false");
    assert_eq!(std::io::read_to_string(early).unwrap(), "served");
}
