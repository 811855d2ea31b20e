//! Limits that bite, in control groups. It takes over the group that it runs in, so it needs a machine, or a container, of its own:
//! `tests/run systemd plain_limits` gives it one.
#![allow(clippy::unwrap_used, reason = "a test program")]

mod bench;
mod cases;

use std::{fs, time::Duration};

use bench::{Bench, eventually};
use ringrift_job::{Bytes, How, Limits, Percent};
use ringrift_jobs::{PlainSettings, Runner, StopReason};

const OWN_MACHINE: &str = "it needs a machine whose control groups are its own: run it with --ignored there";

async fn bench() -> Bench {
    let bench = Bench::with(|settings| PlainSettings { cgroups: true, ..settings }).await;
    let limitations: Vec<&str> = bench.runner.limitations().iter().map(|limitation| limitation.limit).collect();
    // The kernel may lack a scheduler of disks that knows weights.
    assert!(matches!(limitations[..], [] | ["io_weight"]), "{:?}: {OWN_MACHINE}", bench.runner.limitations());
    bench
}

/// The file of the run's group.
fn file(run: &ringrift_job::RunId, name: &str) -> std::path::PathBuf {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap();
    let root = own.trim_start_matches('/').strip_suffix("ringrift-daemon").unwrap_or_default();
    ["/sys/fs/cgroup", root, "ringrift-runs", &format!("{}@{}", run.kind, run.instance()), name].iter().collect()
}

#[tokio::test]
#[ignore = "it needs a machine whose control groups are its own"]
async fn every_case_ends_as_it_does_under_every_runner() {
    let bench = bench().await;
    cases::check(&bench.runner, bench.directory.path()).await;
}

#[tokio::test]
#[ignore = "it needs a machine whose control groups are its own"]
async fn memory_that_is_used_up_is_told_from_a_signal() {
    let bench = bench().await;
    let mut launch = bench.launch("greedy", "tail /dev/zero & wait $!; exit 9");
    launch.limits.memory_max = Some(Bytes(32 << 20));
    bench.runner.start(&launch).await.unwrap();
    let ending = bench.ending(&launch.run).await;
    assert_eq!(ending.how, How::OutOfMemory);
    assert!(ending.usage.memory_peak.is_some_and(|peak| (16 << 20..=32 << 20).contains(&peak)), "{ending:?}");
    let run = bench.start("killed", "kill -9 $$").await;
    assert_eq!(bench.ending(&run).await.how, How::Signalled { signal: 9 });
}

#[tokio::test]
#[ignore = "it needs a machine whose control groups are its own"]
async fn a_fork_bomb_stays_below_its_limit_and_is_killed_at_once() {
    let bench = bench().await;
    let mut launch = bench.launch("bomb", "trap '' TERM; bomb() { bomb | bomb & sleep 1000; }; bomb & exec sleep 1000");
    launch.limits.tasks_max = Some(50);
    launch.grace = Duration::from_millis(100);
    bench.runner.start(&launch).await.unwrap();
    bench.pid(&launch.run).await;
    let refused = file(&launch.run, "pids.events");
    eventually("the kernel refuses it a process", || fs::read_to_string(&refused).is_ok_and(|text| text != "max 0\n"))
        .await;
    assert!(bench.runner.usage(&launch.run).await.unwrap().tasks.unwrap() <= 50);
    bench.runner.stop(&launch.run, StopReason::Unwanted).await.unwrap();
    assert_eq!(bench.ending(&launch.run).await.how, How::Stopped);
    assert!(!refused.exists(), "its group is still there");
}

#[tokio::test]
#[ignore = "it needs a machine whose control groups are its own"]
async fn a_fork_bomb_is_killed_without_groups_as_well() {
    let bench = Bench::new().await;
    // It counts itself: without a group nothing else does.
    let script =
        "trap '' TERM; bomb() { [ $1 -lt 7 ] && { bomb $(($1 + 1)) & bomb $(($1 + 1)) & }; sleep 1000; }; bomb 0";
    let mut launch = bench.launch("bomb", script);
    launch.grace = Duration::from_millis(100);
    bench.runner.start(&launch).await.unwrap();
    bench.pid(&launch.run).await;
    bench.runner.stop(&launch.run, StopReason::Unwanted).await.unwrap();
    assert_eq!(bench.ending(&launch.run).await.how, How::Stopped);
    let mut sleeping = fs::read_dir("/proc").unwrap().flatten();
    let mark = bench.path("jobs/runs/selfplay@bomb.1").into_os_string().into_encoded_bytes();
    assert!(!sleeping.any(|entry| {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        environment.windows(mark.len()).any(|part| part == mark)
    }));
}

#[tokio::test]
#[ignore = "it needs a machine whose control groups are its own"]
async fn processor_time_and_processors_are_limited_and_can_be_changed() {
    let bench = bench().await;
    let mut launch = bench.launch("busy", "while :; do :; done");
    launch.limits = Limits {
        cpu_quota: Some(Percent(20)),
        allowed_cpus: Some("0".parse().unwrap()),
        memory_high: Some(Bytes(64 << 20)),
        cpu_weight: Some(50),
        ..Limits::default()
    };
    bench.runner.start(&launch).await.unwrap();
    let pid = bench.pid(&launch.run).await;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert_eq!(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:\t")), Some("0"));
    let throttled = file(&launch.run, "cpu.stat");
    let text = || fs::read_to_string(&throttled).unwrap();
    eventually("it is throttled", || text().lines().any(|l| l.starts_with("nr_throttled ") && l != "nr_throttled 0"))
        .await;

    bench.runner.set_limits(&launch.run, &Limits { tasks_max: Some(7), ..Limits::default() }).await.unwrap();
    for (name, content) in
        [("cpu.max", "max 100000\n"), ("pids.max", "7\n"), ("memory.high", "max\n"), ("cpu.weight", "100\n")]
    {
        assert_eq!(fs::read_to_string(file(&launch.run, name)).unwrap(), content, "{name}");
    }
    let all = fs::read_to_string(file(&launch.run, "../cpuset.cpus.effective")).unwrap();
    assert_eq!(fs::read_to_string(file(&launch.run, "cpuset.cpus")).unwrap(), all);
    bench.runner.stop(&launch.run, StopReason::Unwanted).await.unwrap();
    assert_eq!(bench.ending(&launch.run).await.how, How::Stopped);
}

#[tokio::test]
#[ignore = "it needs a machine whose control groups are its own"]
async fn a_daemon_that_has_moved_itself_finds_the_same_groups() {
    let first = bench().await;
    let run = first.start("stays", "exec sleep 1000").await;
    first.pid(&run).await;
    assert!(file(&run, "cgroup.procs").exists());
    let second = bench().await;
    let other = second.start("other", "exec sleep 1000").await;
    second.pid(&other).await;
    assert!(file(&other, "cgroup.procs").exists());
    for (bench, run) in [(first, run), (second, other)] {
        bench.runner.stop(&run, StopReason::Unwanted).await.unwrap();
        bench.ending(&run).await;
        bench.runner.forget(&run).await.unwrap();
    }
}
