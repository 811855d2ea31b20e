use super::*;
use crate::Memory;

const EVERY: Duration = Duration::from_secs(5);

fn watch() -> Watch {
    Watch::new(Timing { every: EVERY, ..Timing::default() })
}

fn reading(uuid: &str) -> Reading {
    Reading {
        uuid: uuid.into(),
        name: "NVIDIA H100".into(),
        memory: Some(Memory { total: 80, used: 20 }),
        percent: Some(50),
        ..Reading::default()
    }
}

#[allow(clippy::unnecessary_wraps, reason = "it is what a step takes")]
fn look(gpus: Vec<Result<Reading, Trouble>>) -> Result<Look, Trouble> {
    let versions = Versions { driver: "580.82.07".into(), cuda: "13.0".into() };
    Ok(Look { versions, gpus: (0..).zip(gpus).collect() })
}

fn two() -> Result<Look, Trouble> {
    look(vec![Ok(reading("a")), Ok(reading("b"))])
}

#[test]
fn each_trouble_is_a_state_and_a_sentence_of_its_own() {
    let mut sentences = std::collections::BTreeSet::new();
    for (trouble, at_first, later) in [
        (Trouble::NoLibrary("x".into()), State::NoLibrary, State::Vanished),
        (Trouble::NotLoaded, State::NoDriver, State::Vanished),
        (Trouble::Unloaded, State::NoDriver, State::Vanished),
        (Trouble::NoGpu, State::NoGpu, State::Vanished),
        (Trouble::Lost, State::Failed, State::Vanished),
        (Trouble::NoPermission, State::NoPermission, State::NoPermission),
        (Trouble::Mismatch, State::Failed, State::Failed),
        (Trouble::ResetRequired, State::Failed, State::Failed),
        (Trouble::Other("no".into()), State::Failed, State::Failed),
    ] {
        let mut fresh = watch();
        assert!(matches!(fresh.step(Instant::now(), Err(trouble.clone())), Next::Reopen(_)));
        assert_eq!(fresh.report().state, at_first, "{trouble:?}");
        assert!(fresh.report().gpus.is_empty());
        assert!(sentences.insert(fresh.report().sentence.clone()), "{trouble:?} reads like another one");

        let mut worked = watch();
        worked.step(Instant::now(), two());
        worked.step(Instant::now(), Err(trouble.clone()));
        assert_eq!(worked.report().state, later, "{trouble:?} after it had worked");
        assert!(worked.report().sentence.contains(&trouble.to_string()));
        assert_eq!(worked.report().usable().count(), 0);
    }
}

#[test]
fn what_vanished_is_still_named_and_has_no_figures() {
    let mut watch = watch();
    assert_eq!(watch.step(Instant::now(), two()), Next::Again(EVERY));
    assert_eq!((watch.report().state, watch.report().usable().count()), (State::Working, 2));
    watch.step(Instant::now(), Err(Trouble::NotLoaded));
    let gpu = &watch.report().gpus[1];
    assert_eq!((gpu.uuid.as_str(), gpu.name.as_str()), ("b", "NVIDIA H100"));
    assert_eq!((gpu.percent, gpu.memory), (None, Some(Memory { total: 80, used: 0 })));
    assert_eq!(watch.report().versions.driver, "580.82.07");
}

#[test]
fn a_driver_that_is_not_there_is_tried_ever_more_rarely_and_at_once_again_after_it_has_worked() {
    let mut watch = watch();
    let waits = |watch: &mut Watch| -> Vec<u64> {
        (0..9)
            .map(|_| match watch.step(Instant::now(), Err(Trouble::NotLoaded)) {
                Next::Reopen(wait) => wait.as_secs(),
                Next::Again(_) => panic!("there is nothing to ask again"),
            })
            .collect()
    };
    assert_eq!(waits(&mut watch), [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    watch.step(Instant::now(), two());
    assert_eq!(waits(&mut watch)[..2], [5, 10]);
}

#[test]
fn one_lost_gpu_is_named_and_the_others_go_on() {
    let (mut watch, start) = (watch(), Instant::now());
    watch.step(start, two());
    let half = || look(vec![Ok(reading("a")), Err(Trouble::Lost)]);
    let mut opened = Vec::new();
    for second in (0..200).step_by(5) {
        match watch.step(start + Duration::from_secs(second), half()) {
            Next::Again(wait) => assert_eq!(wait, EVERY, "the others are looked at as often as before"),
            Next::Reopen(wait) => {
                assert_eq!(wait, Duration::ZERO);
                opened.push(second);
            }
        }
        let report = watch.report();
        assert_eq!((report.state, report.usable().count()), (State::Working, 1));
        assert_eq!(report.sentence, "GPU 1: the GPU has fallen off the bus");
        assert_eq!((report.gpus[1].uuid.as_str(), report.gpus[1].percent), ("b", None));
    }
    // 5 s, then 10, 20, 40 and 80 s after the first look that follows an opening.
    assert_eq!(opened, [5, 20, 45, 90, 175]);
    watch.step(start + Duration::from_mins(5), two());
    assert_eq!((watch.report().usable().count(), watch.report().sentence.as_str()), (2, ""));
}

#[test]
fn xid_errors_are_counted_by_gpu_and_outlive_an_opening() {
    let (mut watch, now) = (watch(), Instant::now());
    let with = |uuid: &str, xids: &[u64]| Ok(Reading { xids: xids.to_vec(), ..reading(uuid) });
    watch.step(now, look(vec![with("a", &[]), with("b", &[31, 79])]));
    watch.step(now, Err(Trouble::Unloaded));
    // The indices have moved: `b` is the only one left.
    watch.step(now + EVERY, look(vec![with("b", &[43])]));
    let xid = watch.report().gpus[0].xid.unwrap();
    assert_eq!((xid.code, xid.count, xid.at), (43, 3, now + EVERY));
    assert!(xid.is_the_programs());
    watch.step(now + EVERY * 2, look(vec![with("b", &[])]));
    assert_eq!(watch.report().gpus[0].xid.unwrap().at, now + EVERY, "no new one");
}

#[test]
fn no_driver_makes_a_report_grow_without_bound() {
    let mut watch = watch();
    let crowd = vec![crate::Process { pid: 1, bytes: None }; 10_000];
    watch.step(Instant::now(), look(vec![Ok(Reading { processes: crowd, percent: Some(255), ..reading("a") })]));
    let gpu = &watch.report().gpus[0];
    assert_eq!((gpu.processes.len(), gpu.percent), (Gpu::MAX_PROCESSES, Some(100)));
}
