//! A thousand jobs leave nothing behind. In a program of its own: it counts what the whole process has.
#![allow(clippy::unwrap_used, reason = "a test program")]

mod bench;

use std::{collections::BTreeSet, fs, path::Path, process};

use bench::{launch, settings};
use ringrift_job::{How, RunId};
use ringrift_jobs::{PlainRunner, PlainSettings, RunState, Runner};

const JOBS: usize = 1000;
const AT_ONCE: usize = 16;

#[tokio::test]
async fn a_thousand_jobs_leave_no_zombie_no_descriptor_and_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let settings = PlainSettings { logs_of_forgotten: 0, ..settings(directory.path()) };
    let runner = PlainRunner::open(settings).await.unwrap();
    let place = directory.path();
    // Whatever the first run makes once for all belongs to the process.
    finish(&runner, place, 0, 1).await;
    let before = descriptors();
    finish(&runner, place, 1, JOBS).await;
    bench::eventually("all children are reaped", || children().is_empty()).await;
    bench::eventually("all descriptors are closed", || descriptors() == before).await;
    let left: Vec<_> = ["runs", "logs"].map(|name| fs::read_dir(place.join("jobs").join(name)).unwrap().count()).into();
    assert_eq!(left, [0, 0]);
}

/// Starts jobs, so many at once, and forgets each when it has ended.
async fn finish(runner: &PlainRunner, place: &Path, first: usize, end: usize) {
    let mut waiting = first..end;
    let mut here: BTreeSet<RunId> = BTreeSet::new();
    let finished = tokio::time::timeout(3 * bench::PATIENCE, async {
        loop {
            for number in waiting.by_ref().take(AT_ONCE - here.len()) {
                let mut launch = launch(place, &format!("j{number}"), "");
                launch.command.argv = ["/bin/echo", "a line"].map(str::to_owned).to_vec();
                runner.start(&launch).await.unwrap();
                here.insert(launch.run);
            }
            if here.is_empty() {
                break;
            }
            let mut any = false;
            for found in runner.list().await.unwrap() {
                if let RunState::Ended(ending) = found.state {
                    assert_eq!(ending.how, How::Exited { code: 0 });
                    assert!(!runner.log_files(&found.run).is_empty());
                    runner.forget(&found.run).await.unwrap();
                    any |= here.remove(&found.run);
                }
            }
            if !any {
                runner.changed().await;
            }
        }
    });
    finished.await.unwrap();
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The children of this process, those that have ended among them.
fn children() -> Vec<String> {
    let own = process::id().to_string();
    let stats = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("stat"));
    let parent = |text: &str| text.rsplit_once(')')?.1.split_whitespace().nth(1).map(str::to_owned);
    stats.filter_map(|stat| fs::read_to_string(stat).ok()).filter(|text| parent(text).as_ref() == Some(&own)).collect()
}
