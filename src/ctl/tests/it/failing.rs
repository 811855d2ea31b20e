//! Every way to fail has its number, its sentence and its advice.

use std::fs;

use ringrift_api::{ErrorBody, ErrorCode};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    cluster,
    ctl::{command, folder, ran, run},
    fake::{Answer, Fake, Seen},
};

#[tokio::test]
async fn a_refused_connection_ends_with_3() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let refused = ran(command().args(["--api", &closed, "status"]), &closed).await;
    insta::assert_snapshot!("refused", refused.told());
    let refused = ran(command().env("RINGRIFT_API", &closed).args(["voters", "--json"]), &closed).await;
    assert_eq!(refused.out, "");
    assert_eq!(refused.json_error()["exit_code"], 3);
    assert_eq!(refused.json_error()["error"], "http://API/api/voters: connection refused");
}

#[tokio::test]
async fn each_answer_has_its_exit_code() {
    let fake = Fake::start(|seen: &Seen| {
        let code = ErrorCode::ALL[seen.path.rsplit('=').next().unwrap().parse::<usize>().unwrap_or(0)];
        Answer::json(&ErrorBody::new(code, "the daemon's words")).status(code.status().as_u16())
    })
    .await;
    // The server tells by the number in the path which error to send; `events` is where a number can be given.
    for (i, code) in ErrorCode::ALL.into_iter().enumerate() {
        let expected = match code {
            ErrorCode::Unauthorized => 4,
            ErrorCode::NoLeader => 5,
            ErrorCode::Timeout | ErrorCode::Unreachable => 3,
            _ => 1,
        };
        let told = run(&fake, &["events", "--since", &i.to_string(), "--json"]).await;
        assert_eq!(told.code, Some(expected), "{}: {told:?}", code.as_str());
        assert_eq!(told.json_error()["error_code"], code.as_str());
    }
}

#[tokio::test]
async fn a_missing_and_a_wrong_token_have_different_advice() {
    let fake =
        Fake::start(|_: &Seen| Answer::json(&ErrorBody::new(ErrorCode::Unauthorized, "unauthorized")).status(401))
            .await;
    insta::assert_snapshot!("no_token", run(&fake, &["leader", "transfer"]).await.told());
    let mut with = command();
    with.env("RINGRIFT_CLUSTER_AUTH_TOKEN", "x".repeat(64)).args(["--api", &fake.url(), "leader", "transfer"]);
    insta::assert_snapshot!("wrong_token", ran(&mut with, &fake.addr().to_string()).await.told());
}

#[tokio::test]
async fn without_a_leader_the_advice_is_to_wait_or_to_look_at_the_voters() {
    let fake =
        Fake::start(|_: &Seen| Answer::json(&ErrorBody::new(ErrorCode::NoLeader, "no leader")).status(503)).await;
    insta::assert_snapshot!("no_leader", run(&fake, &["nodes", "cordon", "a"]).await.told());
    let told = run(&fake, &["nodes", "cordon", "a", "--json"]).await;
    assert_eq!(
        told.json_error(),
        json!({
            "error": "http://API/api/nodes/a/cordon: no leader",
            "error_code": "NO_LEADER",
            "details": {},
            "exit": "no_leader",
            "exit_code": 5,
            "advice": "An election takes seconds: try again; if it stays so, `ringriftctl voters` shows which voters are missing.",
        })
    );
}

#[tokio::test]
async fn a_daemon_that_says_nothing_is_given_up() {
    let fake = Fake::start(|_: &Seen| Answer::silence()).await;
    insta::assert_snapshot!("timeout", run(&fake, &["--timeout", "0.2", "status"]).await.told());
}

#[tokio::test]
async fn what_is_no_daemon_is_called_so() {
    let fake = Fake::start(|_: &Seen| Answer::text("text/html", "<h1>It works!</h1>")).await;
    insta::assert_snapshot!("no_daemon", run(&fake, &["status"]).await.told());
}

#[tokio::test]
async fn tokens_come_from_the_flag_then_the_environment() {
    let fake = Fake::start(|_: &Seen| Answer::json(&cluster::healthy())).await;
    let folder = folder();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (flag, env_file, empty) = (file("flag", "of-the-flag\n"), file("env", "of-the-file\n"), file("empty", "\n"));
    let (variable, variable_file) = ("RINGRIFT_CLUSTER_AUTH_TOKEN", "RINGRIFT_CLUSTER_AUTH_TOKEN_FILE");
    for (args, env, sent) in [
        (vec![], vec![(variable_file, env_file.as_str())], "of-the-file"),
        (vec![], vec![(variable_file, env_file.as_str()), (variable, " of-the-variable ")], "of-the-variable"),
        (vec!["--token-file", &flag], vec![(variable, "of-the-variable")], "of-the-flag"),
        (vec![], vec![(variable_file, env_file.as_str()), (variable, "")], "of-the-file"),
    ] {
        let mut with = command();
        with.envs(env).args(["--api", &fake.url(), "status"]).args(&args);
        assert_eq!(ran(&mut with, "").await.code, Some(0));
        assert_eq!(fake.seen().last().unwrap().headers["authorization"], format!("Bearer {sent}"));
    }
    for (path, reason) in [("/no/such/file", "cannot read the token file"), (&empty, "is empty")] {
        let told = run(&fake, &["status", "--token-file", path]).await;
        assert!(told.code == Some(1) && told.err.contains(reason), "{told:?}");
    }
    assert_eq!(fake.seen().len(), 4, "nothing is asked with a token that cannot be read");
}

#[tokio::test]
async fn a_command_line_that_makes_no_sense_ends_with_2() {
    for args in [
        &["frobnicate"][..],
        &[],
        &["nodes", "cordon"],
        &["nodes", "cordon", "not a node"],
        &["status", "--timeout", "0"],
        &["--api", "https://h", "status"],
        &["events", "--since", "1", "--last", "2"],
    ] {
        let told = ran(command().args(args), "").await;
        assert_eq!((told.code, told.out.as_str()), (Some(2), ""), "{args:?}: {told:?}");
        assert!(!told.err.is_empty());
        let told = ran(command().args(args).arg("--json"), "").await;
        assert_eq!(told.json_error()["exit_code"], 2, "{args:?}");
    }
    let told = ran(command().args(["--json", "nodes"]), "").await;
    assert_eq!(told.json_error()["error"], "a command is missing");
}

#[tokio::test]
async fn help_and_version_end_with_0() {
    for args in [&["--help"][..], &["-h"], &["--version"], &["help", "nodes", "cordon"], &["status", "--help"]] {
        let told = ran(command().args(args), "").await;
        assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{args:?}");
    }
    insta::assert_snapshot!("help", ran(command().arg("-h"), "").await.out);
    insta::assert_snapshot!("help_cordon", ran(command().args(["nodes", "cordon", "--help"]), "").await.out);
}
