//! The plain runner with real processes.
#![allow(clippy::unwrap_used, reason = "a test program")]

mod bench;
mod cases;

use std::{fs, time::Duration};

use bench::{Bench, PATIENCE, eventually, is_alive, run};
use ringrift_job::{How, Limits};
use ringrift_jobs::{Found, PlainSettings, RunState, Runner, RunnerError, StopReason};

#[tokio::test]
async fn every_case_ends_as_it_does_under_every_runner() {
    let bench = Bench::new().await;
    cases::check(&bench.runner, bench.directory.path()).await;
}

#[tokio::test]
async fn a_program_finds_its_place_its_variables_and_no_secret() {
    let bench = Bench::new().await;
    let mut launch = bench.launch("env", "pwd; env; ps -o pid=,pgid=,sid= -p $$ 2>/dev/null; cat; echo to stderr >&2");
    launch.command.env.insert("OWN".to_owned(), "a value".to_owned());
    launch.gpus = vec![1, 3];
    bench.runner.start(&launch).await.unwrap();
    assert_eq!(bench.ending(&launch.run).await.how, How::Exited { code: 0 });
    let output = bench.output(&launch.run);
    let lines: Vec<&str> = output.lines().collect();
    let place = fs::canonicalize(bench.directory.path()).unwrap();
    for line in [
        place.to_str().unwrap(),
        "OWN=a value",
        "CUDA_VISIBLE_DEVICES=1,3",
        "RINGRIFT_JOB_ID=env",
        "RINGRIFT_JOB_ATTEMPT=1",
        "to stderr",
    ] {
        assert!(lines.contains(&line), "{line} is not in\n{output}");
    }
    // Cargo sets these for a test, as a supervisor sets a daemon's own.
    assert!(lines.iter().all(|line| !line.starts_with("CARGO")), "{output}");
}

#[tokio::test]
async fn a_stop_finds_a_run_however_early_it_comes() {
    let bench = Bench::new().await;
    let mut runs = Vec::new();
    for number in 0..30 {
        let run = bench.start(&format!("early-{number}"), "exec sleep 1000").await;
        // From before the shim is there to after its program runs.
        tokio::time::sleep(Duration::from_micros(500 * number)).await;
        bench.runner.stop(&run, StopReason::Unwanted).await.unwrap();
        runs.push(run);
    }
    for run in runs {
        let ending = bench.ending(&run).await;
        assert_eq!(ending.how, How::Stopped);
        assert!(ending.ran_ms < 30_000, "it was not asked: {ending:?}");
    }
}

#[tokio::test]
async fn output_is_kept_in_pieces_and_for_the_newest_runs() {
    let bench = Bench::with(|settings| PlainSettings {
        log_piece_bytes: 10_000,
        log_old_pieces: 2,
        logs_of_forgotten: 2,
        ..settings
    })
    .await;
    // Five times what one read of a pipe can be at most, however late it is read.
    let script = "n=0; while [ $n -lt 30000 ]; do n=$((n + 1)); echo line $n; done";
    let runs = ["a", "b", "c", "d"].map(run);
    for run in &runs {
        bench.start(run.job.as_str(), script).await;
        assert_eq!(bench.ending(run).await.how, How::Exited { code: 0 });
        let pieces = bench.runner.log_files(run);
        assert_eq!(pieces.len(), 3);
        // A piece is whole reads of a pipe of 64 KiB.
        assert!(pieces.iter().all(|piece| fs::metadata(piece).unwrap().len() <= 65_536));
        assert!(bench.output(run).ends_with("line 29999\nline 30000\n"));
        bench.runner.forget(run).await.unwrap();
    }
    assert_eq!(runs.map(|run| bench.runner.log_files(&run).len()), [0, 0, 3, 3]);
}

#[tokio::test]
async fn a_run_that_is_there_is_not_started_again() {
    let bench = Bench::new().await;
    let run = bench.start("once", "echo started; exec sleep 1000").await;
    let pid = bench.pid(&run).await;
    eventually("it has written", || bench.output(&run) == "started\n").await;
    bench.start("once", "echo started again").await;
    assert_eq!(bench.pid(&run).await, pid);
    bench.runner.stop(&run, StopReason::Unwanted).await.unwrap();
    bench.ending(&run).await;
    bench.start("once", "echo started again").await;
    assert_eq!(bench.ending(&run).await.how, How::Stopped);
    assert_eq!(bench.output(&run), "started\n");
}

#[tokio::test]
async fn what_ignores_the_question_is_killed_with_all_its_processes() {
    let bench = Bench::new().await;
    let child = bench.path("child");
    // One that leaves session and group, and one that is left by its parent: both belong to the run.
    let script = "trap '' TERM; setsid sh -c 'echo $$ > child.new; mv child.new child; sleep 1000 & sleep 1000' & \
                  (sleep 1000 &); echo ready; while :; do sleep 1000; done";
    let mut launch = bench.launch("stubborn", script);
    launch.grace = Duration::from_millis(200);
    bench.runner.start(&launch).await.unwrap();
    let pid = bench.pid(&launch.run).await;
    eventually("the child has written its number", || child.exists()).await;
    let child: u32 = fs::read_to_string(child).unwrap().trim().parse().unwrap();
    assert!(is_alive(pid) && is_alive(child));
    bench.runner.stop(&launch.run, StopReason::Unwanted).await.unwrap();
    bench.until(&launch.run, |state| matches!(state, RunState::Stopping | RunState::Ended(_)).then_some(())).await;
    let ending = bench.ending(&launch.run).await;
    assert_eq!(ending.how, How::Stopped);
    assert!(ending.ran_ms >= 200, "{ending:?}");
    assert!(!is_alive(pid) && !is_alive(child));
}

#[tokio::test]
async fn a_run_is_adopted_by_the_next_daemon() {
    let mut bench = Bench::new().await;
    let run = bench.start("adopted", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done").await;
    let pid = bench.pid(&run).await;
    eventually("it is ready", || bench.output(&run) == "ready\n").await;
    bench.reopen().await;
    assert_eq!(bench.pid(&run).await, pid);
    bench.runner.stop(&run, StopReason::Deadline).await.unwrap();
    assert_eq!(bench.ending(&run).await.how, How::TimedOut);
}

#[tokio::test]
async fn usage_counts_the_whole_tree_and_limits_can_be_changed() {
    let bench = Bench::new().await;
    let run = bench.start("busy", "(while :; do :; done) & (while :; do :; done) & echo ready; wait").await;
    eventually("it is ready", || bench.output(&run) == "ready\n").await;
    let usage = tokio::time::timeout(PATIENCE, async {
        loop {
            let usage = bench.runner.usage(&run).await.unwrap();
            if usage.cpu_ms.unwrap() >= 100 && usage.tasks == Some(3) {
                return usage;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(usage.await.unwrap().memory.unwrap() > 0);
    let limits = Limits { cpu_weight: Some(50), allowed_cpus: Some("0".parse().unwrap()), ..Limits::default() };
    bench.runner.set_limits(&run, &limits).await.unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", bench.pid(&run).await)).unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim();
    assert_eq!(allowed, "0");
    bench.runner.stop(&run, StopReason::Unwanted).await.unwrap();
    assert!(bench.ending(&run).await.usage.cpu_ms.unwrap() >= 100);
}

#[tokio::test]
async fn a_run_whose_shim_was_killed_vanishes_with_all_its_processes() {
    let mut bench = Bench::new().await;
    let run = bench.start("orphan", "setsid sh -c 'echo $$ > child.new; mv child.new child; sleep 1000' & wait").await;
    let pid = bench.pid(&run).await;
    let child = bench.path("child");
    eventually("the child has written its number", || child.exists()).await;
    let child: u32 = fs::read_to_string(child).unwrap().trim().parse().unwrap();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let shim: i32 = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap();
    let shim = rustix::process::Pid::from_raw(shim).unwrap();
    rustix::process::kill_process(shim, rustix::process::Signal::KILL).unwrap();
    assert_eq!(bench.ending(&run).await.how, How::Vanished);
    assert!(!is_alive(pid) && !is_alive(child));
    bench.reopen().await;
    assert_eq!(bench.ending(&run).await.how, How::Vanished);
}

#[tokio::test]
async fn what_is_not_known_is_said_and_what_runs_is_not_forgotten() {
    let bench = Bench::new().await;
    let nobody = run("nobody");
    assert_eq!(bench.runner.stop(&nobody, StopReason::Unwanted).await, Err(RunnerError::Unknown(nobody.clone())));
    assert_eq!(bench.runner.usage(&nobody).await, Err(RunnerError::Unknown(nobody.clone())));
    bench.runner.forget(&nobody).await.unwrap();
    let run = bench.start("there", "exec sleep 1000").await;
    let pid = bench.pid(&run).await;
    bench.runner.forget(&run).await.unwrap();
    assert_eq!(bench.pid(&run).await, pid);
    bench.runner.stop(&run, StopReason::Unwanted).await.unwrap();
    bench.ending(&run).await;
    bench.runner.forget(&run).await.unwrap();
    assert_eq!(bench.runner.list().await.unwrap(), Vec::<Found>::new());
}
