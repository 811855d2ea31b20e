//! How runs end, whatever runs them.

use std::{collections::BTreeMap, path::Path, time::Duration};

use ringrift_job::{CommandLine, Ending, How, Kind, Limits, RunId};
use ringrift_jobs::{Launch, RunState, Runner, StopReason};

/// Longer than any machine is slow.
const PATIENCE: Duration = Duration::from_mins(1);
/// Short for a person, long enough for a program that is asked.
const GRACE: Duration = Duration::from_millis(300);

struct Case {
    job: &'static str,
    /// A shell's script. One that is to be stopped makes a file of the job's name when it is ready for that.
    script: &'static str,
    stop: Option<StopReason>,
    how: How,
    /// Whether all of the grace period passes before the end.
    takes_grace: bool,
}

impl Case {
    const fn ends(job: &'static str, script: &'static str, how: How) -> Self {
        Self { job, script, stop: None, how, takes_grace: false }
    }

    const fn stopped(job: &'static str, script: &'static str, stop: StopReason, how: How, takes_grace: bool) -> Self {
        Self { job, script, stop: Some(stop), how, takes_grace }
    }
}

const CASES: [Case; 9] = [
    Case::ends("success", "exit 0", How::Exited { code: 0 }),
    Case::ends("failure", "exit 3", How::Exited { code: 3 }),
    Case::ends("signal", "kill -11 $$", How::Signalled { signal: 11 }),
    Case::ends("leaves-a-child", "sleep 1000 & exit 0", How::Exited { code: 0 }),
    Case::ends("silent", "exec >&- 2>&-; exit 4", How::Exited { code: 4 }),
    Case::stopped(
        "polite",
        "trap 'exit 7' TERM; touch polite; while :; do sleep 0.05; done",
        StopReason::Unwanted,
        How::Stopped,
        false,
    ),
    Case::stopped(
        "too-long",
        "trap 'exit 7' TERM; touch too-long; while :; do sleep 0.05; done",
        StopReason::Deadline,
        How::TimedOut,
        false,
    ),
    Case::stopped(
        "halted",
        "trap 'exit 7' TERM; touch halted; kill -STOP $$; while :; do sleep 0.05; done",
        StopReason::Unwanted,
        How::Stopped,
        false,
    ),
    Case::stopped(
        "stubborn",
        "trap '' TERM; touch stubborn; while :; do sleep 0.05; done",
        StopReason::Unwanted,
        How::Stopped,
        true,
    ),
];

/// Runs all of them at once in a directory that their programs may write to, and forgets them.
pub(crate) async fn check(runner: &dyn Runner, place: &Path) {
    for case in &CASES {
        runner.start(&launch(case.job, &["/bin/sh", "-c", case.script], place)).await.unwrap();
    }
    for case in &CASES {
        let run = id(case.job);
        if let Some(why) = case.stop {
            let ready = async {
                while !place.join(case.job).exists() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            assert!(tokio::time::timeout(PATIENCE, ready).await.is_ok(), "{run} is not ready");
            runner.stop(&run, why).await.unwrap();
        }
    }
    for case in &CASES {
        let ending = ending(runner, &id(case.job)).await;
        assert_eq!(ending.how, case.how, "{}", case.job);
        assert!(!case.takes_grace || ending.ran_ms >= GRACE.as_millis() as u64, "{}: {ending:?}", case.job);
    }

    let missing = place.join("no-such-thing");
    let no_program = launch("no-program", &[missing.to_str().unwrap()], place);
    let no_directory = launch("no-directory", &["/bin/sh", "-c", "exit 0"], &missing);
    for launch in [&no_program, &no_directory] {
        // A runner may say so at once, or by the ending.
        let reason = match runner.start(launch).await {
            Err(error) => error.to_string(),
            Ok(()) => match ending(runner, &launch.run).await {
                Ending { how: How::NotStarted { reason }, ran_ms: 0, .. } => reason,
                other => panic!("{}: {other:?}", launch.run),
            },
        };
        assert!(reason.contains("no-such-thing") && reason.contains("No such file"), "{reason}");
    }

    for found in runner.list().await.unwrap() {
        runner.forget(&found.run).await.unwrap();
    }
    assert_eq!(runner.list().await.unwrap(), []);
}

fn id(job: &str) -> RunId {
    RunId { kind: Kind::Selfplay, job: job.parse().unwrap(), attempt: 1 }
}

fn launch(job: &str, argv: &[&str], place: &Path) -> Launch {
    let argv = argv.iter().map(|argument| (*argument).to_owned()).collect();
    Launch {
        run: id(job),
        class: "selfplay".parse().unwrap(),
        command: CommandLine { argv, env: BTreeMap::new(), working_dir: place.to_owned() },
        limits: Limits::default(),
        gpus: Vec::new(),
        grace: GRACE,
    }
}

async fn ending(runner: &dyn Runner, run: &RunId) -> Ending {
    let ended = async {
        loop {
            let list = runner.list().await.unwrap();
            let state = list.into_iter().find(|found| found.run == *run).map(|found| found.state);
            if let Some(RunState::Ended(ending)) = state {
                return ending;
            }
            runner.changed().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap_or_else(|_| panic!("{run} does not end"))
}
