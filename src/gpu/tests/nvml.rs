//! The whole way through `nvml-wrapper`, with a library that has the driver's functions.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fake;
mod waiting;

use std::time::Duration;

use fake::FakeNvml;
use ringrift_gpu::{Memory, Nvml, Process, Report, Sampler, State, Timing, Trouble};
use waiting::{in_state, until};

const TIMING: Timing = Timing {
    every: Duration::from_millis(20),
    patience: Duration::from_secs(1),
    open_patience: Duration::from_secs(1),
    longest_wait: Duration::from_millis(50),
};

#[test]
fn everything_that_the_driver_says_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let Some(fake) = FakeNvml::build(dir.path()) else { return };
    let sampler = Sampler::start(Nvml::at(&fake.library), TIMING);
    let report = in_state(&sampler, State::Working);
    assert_eq!((report.versions.driver.as_str(), report.versions.cuda.as_str()), ("580.82.07", "13.0"));
    let [first, second] = report.gpus.as_slice() else { panic!("{report:?}") };
    assert_eq!((first.index, first.uuid.as_str()), (0, "GPU-00000000-1111-2222-3333-444444444444"));
    assert_eq!(first.name, "NVIDIA GeForce RTX 4090");
    assert_eq!(first.memory, Some(Memory { total: 24 << 30, used: 6 << 30 }));
    assert_eq!((first.percent, first.temperature, first.ecc_uncorrected), (Some(90), Some(60), Some(3)));
    let processes = [Process { pid: 4242, bytes: Some(5 << 30) }, Process { pid: 4243, bytes: None }];
    assert_eq!(first.processes, processes);
    let xid = first.xid.unwrap();
    assert_eq!((xid.code, xid.count), (79, 2));
    assert_eq!((second.index, second.percent, second.ecc_uncorrected), (1, Some(0), None), "it has no ECC");
    assert_eq!((second.xid, second.processes.as_slice()), (None, &[][..]));
}

#[test]
fn a_driver_in_trouble_is_told_apart_and_followed_back() {
    let dir = tempfile::tempdir().unwrap();
    let Some(fake) = FakeNvml::build(dir.path()) else { return };
    for (word, state) in [
        ("unloaded", State::NoDriver),
        ("denied", State::NoPermission),
        ("mismatch", State::Failed),
        ("none", State::NoGpu),
        ("hang", State::Hung),
    ] {
        fake.is(word);
        let sampler = Sampler::start(Nvml::at(&fake.library), TIMING);
        let report = in_state(&sampler, state);
        assert!(!report.sentence.is_empty() && report.gpus.is_empty(), "{word}: {report:?}");
        fake.is("ok");
        assert_eq!(in_state(&sampler, State::Working).usable().count(), 2, "{word}");
    }
    let sampler = Sampler::start(Nvml::at(&fake.library), TIMING);
    in_state(&sampler, State::Working);
    for (word, state) in [("unloaded", State::Vanished), ("hang", State::Hung)] {
        fake.is(word);
        assert_eq!(in_state(&sampler, state).gpus.len(), 2, "{word}: they are still named");
        fake.is("ok");
        in_state(&sampler, State::Working);
    }
}

#[test]
fn a_lost_gpu_leaves_the_other_one() {
    let dir = tempfile::tempdir().unwrap();
    let Some(fake) = FakeNvml::build(dir.path()) else { return };
    let sampler = Sampler::start(Nvml::at(&fake.library), TIMING);
    in_state(&sampler, State::Working);
    fake.is("lost");
    let report = until(&sampler, "lost GPU", |report| report.usable().count() == 1);
    assert_eq!((report.state, report.gpus[1].trouble.clone()), (State::Working, Some(Trouble::Lost)));
    assert_eq!(report.gpus[1].name, "NVIDIA GeForce RTX 4090");
    fake.is("ok");
    until(&sampler, "GPU that came back", |report| report.usable().count() == 2);
}

#[test]
fn a_machine_without_the_library_and_a_file_that_is_none_are_ordinary() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("text.so");
    std::fs::write(&text, "no library").unwrap();
    for file in [dir.path().join("absent.so"), text] {
        let sampler = Sampler::start(Nvml::at(&file), TIMING);
        let report = in_state(&sampler, State::NoLibrary);
        assert!(report.sentence.contains(&*file.to_string_lossy()), "{}", report.sentence);
    }
}
