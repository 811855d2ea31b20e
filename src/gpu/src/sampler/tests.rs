use std::sync::{
    Condvar,
    atomic::{AtomicU32, Ordering},
};

use super::*;
use crate::{Reading, Versions};

#[path = "../../tests/waiting/mod.rs"]
mod waiting;

use waiting::{in_state, until};

/// A driver that does what the test says at each call.
#[derive(Clone, Default)]
struct Fake(Arc<FakeInner>);

#[derive(Default)]
struct FakeInner {
    answers: Mutex<Answers>,
    changed: Condvar,
    opened: AtomicU32,
    closed: AtomicU32,
}

#[derive(Default)]
struct Answers {
    open: Option<Trouble>,
    gpus: Vec<Result<Reading, Trouble>>,
    hangs: bool,
}

impl Fake {
    fn with(gpus: usize) -> Self {
        let fake = Self::default();
        fake.say(|answers| answers.gpus = (0..gpus).map(|i| Ok(reading(i))).collect());
        fake
    }

    fn say(&self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.0.answers.lock().unwrap());
        self.0.changed.notify_all();
    }

    /// Blocks while the driver hangs.
    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.0.changed.wait_while(self.0.answers.lock().unwrap(), |answers| answers.hangs).unwrap()
    }
}

impl Library for Fake {
    fn open(&mut self, used: &mut dyn FnMut(&mut dyn Driver)) -> Result<(), Trouble> {
        if let Some(trouble) = self.answers().open.clone() {
            return Err(trouble);
        }
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        used(&mut self.clone());
        self.0.closed.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

impl Driver for Fake {
    fn versions(&mut self) -> Versions {
        Versions { driver: "1".into(), cuda: "2".into() }
    }

    fn count(&mut self) -> Result<u32, Trouble> {
        Ok(self.answers().gpus.len() as u32)
    }

    fn gpu(&mut self, index: u32) -> Result<Reading, Trouble> {
        self.answers().gpus[index as usize].clone()
    }
}

fn reading(i: usize) -> Reading {
    Reading { uuid: format!("GPU-{i}"), name: "NVIDIA H100".into(), percent: Some(40), ..Reading::default() }
}

/// Fast, with patience that a busy machine does not exhaust by itself.
const TIMING: Timing = Timing {
    every: Duration::from_millis(5),
    patience: Duration::from_secs(1),
    open_patience: Duration::from_secs(1),
    longest_wait: Duration::from_millis(20),
};

#[test]
fn a_driver_that_comes_goes_and_comes_back_is_followed() {
    let fake = Fake::with(2);
    fake.say(|answers| answers.open = Some(Trouble::NotLoaded));
    let sampler = Sampler::start(fake.clone(), TIMING);
    assert!(in_state(&sampler, State::NoDriver).gpus.is_empty());
    fake.say(|answers| answers.open = None);
    assert_eq!(in_state(&sampler, State::Working).usable().count(), 2);
    fake.say(|answers| {
        answers.open = Some(Trouble::NotLoaded);
        answers.gpus[1] = Err(Trouble::Unloaded);
    });
    assert_eq!(in_state(&sampler, State::Vanished).gpus.len(), 2, "what is gone is still named");
    fake.say(|answers| {
        answers.open = None;
        answers.gpus[1] = Ok(reading(1));
    });
    in_state(&sampler, State::Working);
}

#[test]
fn a_call_that_does_not_come_back_is_told_with_its_age_and_a_driver_that_wakes_up_is_believed_again() {
    let fake = Fake::with(1);
    let sampler = Sampler::start(fake.clone(), TIMING);
    in_state(&sampler, State::Working);
    fake.say(|answers| answers.hangs = true);
    let report = in_state(&sampler, State::Hung);
    assert_eq!((report.usable().count(), report.gpus[0].percent), (0, None), "its last figures are no figures");
    assert_eq!(report.gpus[0].uuid, "GPU-0");
    until(&sampler, "age that grows", |report| report.sentence.contains("is hung since 2 s"));
    fake.say(|answers| answers.hangs = false);
    assert_eq!(in_state(&sampler, State::Working).gpus[0].percent, Some(40));
}

#[test]
fn a_driver_that_hangs_from_the_start_holds_nobody_up() {
    let fake = Fake::with(1);
    fake.say(|answers| answers.hangs = true);
    let sampler = Sampler::start(fake.clone(), TIMING);
    assert_eq!(sampler.latest().state, State::Unknown);
    in_state(&sampler, State::Hung);
    // The thread is let go of, and ends when the driver does come back.
    drop(sampler);
    fake.say(|answers| answers.hangs = false);
}

#[test]
fn gpus_that_were_given_to_others_are_left_out() {
    let fake = Fake::with(3);
    fake.say(|answers| answers.gpus[1] = Err(Trouble::NoPermission));
    let sampler = Sampler::start(fake.clone(), TIMING);
    let report = in_state(&sampler, State::Working);
    assert_eq!(report.gpus.iter().map(|gpu| gpu.index).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(report.sentence, "");
    fake.say(|answers| answers.gpus.fill(Err(Trouble::NoPermission)));
    in_state(&sampler, State::NoPermission);
}

#[test]
fn no_more_gpus_are_looked_at_than_gossip_can_carry() {
    let sampler = Sampler::start(Fake::with(40), TIMING);
    assert_eq!(in_state(&sampler, State::Working).gpus.len(), Report::MAX_GPUS as usize);
}

#[test]
fn the_driver_is_opened_once_and_closed_after_the_last_handle() {
    let fake = Fake::with(1);
    let sampler = Sampler::start(fake.clone(), TIMING);
    in_state(&sampler, State::Working);
    let other = sampler.clone();
    drop(sampler);
    fake.say(|answers| answers.gpus.push(Ok(reading(1))));
    until(&other, "second GPU", |report| report.gpus.len() == 2);
    assert_eq!((fake.0.opened.load(Ordering::SeqCst), fake.0.closed.load(Ordering::SeqCst)), (1, 0));
    drop(other);
    let deadline = Instant::now() + Duration::from_secs(30);
    while fake.0.closed.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < deadline, "the thread goes on");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn switched_off_it_never_looks() {
    assert_eq!(*Sampler::off().latest(), Report::off());
}
