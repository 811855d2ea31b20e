//! Jobs outlive a daemon that is killed, and the next one learns what happened meanwhile.
#![allow(clippy::unwrap_used, reason = "a test program")]

mod bench;

use std::{env, path::PathBuf, process::Command};

use bench::{Bench, eventually, settings};
use ringrift_job::How;
use ringrift_jobs::{PlainRunner, RunState, Runner, StopReason};

/// The directory that the other daemon works in.
const PLACE: &str = "TEST_PLAIN_SURVIVAL";

#[tokio::test]
async fn runs_outlive_a_killed_daemon_and_their_endings_are_not_lost() {
    let mut bench = Bench::new().await;
    let [stays, ends] = ["stays", "ends"].map(bench::run);
    // This very program is the daemon that is killed.
    let mut daemon = Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_daemon_that_is_killed", "--ignored"])
        .env(PLACE, bench.directory.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let stays_pid = bench.path("stays.pid");
    eventually("both jobs run", || stays_pid.exists() && bench.path("ends.ready").exists()).await;
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    // It ends while nobody watches.
    std::fs::write(bench.path("ends.now"), "").unwrap();
    eventually("its shim has gone", || {
        let directory = bench.path("jobs/runs/selfplay@ends.1");
        let lock = std::fs::File::open(directory.join("lock")).unwrap();
        lock.try_lock().is_ok()
    })
    .await;

    bench.reopen().await;
    let ending = bench.ending(&ends).await;
    assert_eq!(ending.how, How::Exited { code: 5 });
    assert!(ending.usage.cpu_ms.is_some());
    let pid: u32 = std::fs::read_to_string(stays_pid).unwrap().trim().parse().unwrap();
    assert_eq!(bench.pid(&stays).await, pid);
    bench.runner.stop(&stays, StopReason::Unwanted).await.unwrap();
    assert_eq!(bench.ending(&stays).await.how, How::Stopped);
}

#[tokio::test]
#[ignore = "the test above starts it"]
async fn the_daemon_that_is_killed() {
    let Some(place) = env::var_os(PLACE).map(PathBuf::from) else { return };
    let runner = PlainRunner::open(settings(&place)).await.unwrap();
    for (job, script) in [
        ("stays", "echo $$ > stays.new; mv stays.new stays.pid; while :; do sleep 0.05; done"),
        ("ends", "touch ends.ready; while [ ! -e ends.now ]; do sleep 0.02; done; exit 5"),
    ] {
        runner.start(&bench::launch(&place, job, script)).await.unwrap();
    }
    loop {
        let list = runner.list().await.unwrap();
        assert!(list.iter().all(|found| !matches!(found.state, RunState::Ended(_))), "{list:?}");
        runner.changed().await;
    }
}
