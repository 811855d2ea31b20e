//! A crash at any step: killed, without power, without room.

#![allow(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod support;

use std::{
    fs, io,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use ringrift_store::{
    Store,
    disk::{Hook, Step},
};
use support::{
    Place, config,
    journey::{check_the_next_start, check_what_programs_see, copy_tree, prepare, travel},
    power::{Disk, Lost},
};

/// How many steps the journey has.
fn steps(dir: &Path) -> usize {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let hook = Hook::new(move |_| {
        seen.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    travel(dir, hook).unwrap();
    count.load(Ordering::Relaxed)
}

fn prepared() -> Place {
    let place = Place::in_memory();
    prepare(&place.path());
    place
}

/// A fresh copy of a prepared place.
fn copy(place: &Place) -> Place {
    let copy = Place::in_memory();
    copy_tree(&place.path(), &copy.path());
    copy
}

const STEP: &str = "RINGRIFT_STORE_TEST_STEP";
const PLACE: &str = "RINGRIFT_STORE_TEST_PLACE";

/// Not a test by itself: what the process does that is killed.
#[test]
fn child() {
    let Ok(at) = std::env::var(STEP) else { return };
    let at: usize = at.parse().unwrap();
    let count = AtomicUsize::new(0);
    let hook = Hook::new(move |_| {
        if count.fetch_add(1, Ordering::Relaxed) == at {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
        }
        Ok(())
    });
    travel(Path::new(&std::env::var(PLACE).unwrap()), hook).unwrap();
}

#[test]
fn killed_at_any_step_leaves_the_old_model_or_the_new_one() {
    let place = prepared();
    let steps = steps(&copy(&place).path());
    assert!(steps > 60, "the journey has only {steps} steps");
    for step in 0..steps {
        let place = copy(&place);
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["child", "--exact", "--test-threads=1"]).env(STEP, step.to_string()).env(PLACE, place.path());
        let ended = child.output().unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&ended.status);
        assert_eq!(signal, Some(libc::SIGKILL), "step {step}: {}", String::from_utf8_lossy(&ended.stdout));
        let context = format!("killed before step {step}");
        check_what_programs_see(&place.path(), &context);
        check_the_next_start(&place.path(), &context);
    }
}

#[test]
fn killed_at_any_step_of_the_repair_it_is_repaired_by_the_next_start() {
    let place = prepared();
    let total = steps(&copy(&place).path());
    for first in (0..total).step_by(5) {
        let place = copy(&place);
        travel(&place.path(), refusing(first, usize::MAX, io::ErrorKind::Other, |_| true)).unwrap_err();
        for second in 0.. {
            let place = copy(&place);
            let hook = refusing(second, usize::MAX, io::ErrorKind::Other, |_| true);
            let reached = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&reached);
            let counting = Hook::new(move |step: &Step<'_>| {
                counted.fetch_add(1, Ordering::Relaxed);
                hook.before(step)
            });
            drop(Store::open_with(config(&place.path()), support::settled(counting)));
            let context = format!("stopped before step {first}, then before step {second} of the start");
            check_what_programs_see(&place.path(), &context);
            check_the_next_start(&place.path(), &context);
            if reached.load(Ordering::Relaxed) <= second {
                break;
            }
        }
    }
}

#[test]
fn without_power_at_any_step_no_name_stands_for_wrong_bytes() {
    let place = prepared();
    let journey = copy(&place);
    let (hook, history) = Disk::of(&journey.path()).watch();
    travel(&journey.path(), hook).unwrap();
    let history = std::mem::take(&mut *history.lock().unwrap());
    assert!(history.len() > 60);
    for (step, disk) in history.iter().enumerate() {
        let chances = (0..3).map(|n| Lost::Some(step as u64 * 3 + n + 1));
        for lost in [Lost::Everything, Lost::Bytes, Lost::Names].into_iter().chain(chances) {
            let place = Place::in_memory();
            disk.fail(lost, &place.path());
            let context = format!("no power before step {step}, lost: {lost:?}");
            check_what_programs_see(&place.path(), &context);
            check_the_next_start(&place.path(), &context);
        }
    }
}

/// Refuses some of the steps, from one on and as many as said.
fn refusing(
    from: usize,
    times: usize,
    kind: io::ErrorKind,
    which: impl Fn(&Step<'_>) -> bool + Send + Sync + 'static,
) -> Hook {
    let count = AtomicUsize::new(0);
    Hook::new(move |step| {
        if !which(step) {
            return Ok(());
        }
        let nth = count.fetch_add(1, Ordering::Relaxed);
        if (from..from.saturating_add(times)).contains(&nth) { Err(kind.into()) } else { Ok(()) }
    })
}

/// Steps that need room on the disk.
fn needs_room(step: &Step<'_>) -> bool {
    match step {
        Step::Create(_)
        | Step::Allocate(..)
        | Step::Write(..)
        | Step::Clone(..)
        | Step::SyncFile(_)
        | Step::Rename(..)
        | Step::Link(..)
        | Step::MakeFolder(_) => true,
        Step::Chmod(..) | Step::Truncate(..) | Step::Unlink(_) | Step::SyncFolder(_) => false,
    }
}

#[test]
fn a_full_disk_at_any_write_is_a_clear_state_and_not_half_a_file() {
    let place = prepared();
    let reports = Mutex::new(0);
    for times in [1, usize::MAX] {
        for write in 0.. {
            let place = copy(&place);
            let hook = refusing(write, times, io::ErrorKind::StorageFull, needs_room);
            let ended = travel(&place.path(), hook);
            let context = format!("no room from write {write} on, {times} times: {ended:?}");
            match &ended {
                Err(error) => {
                    assert!(error.is_disk_full(), "{context}");
                    *reports.lock().unwrap() += 1;
                }
                Ok(()) if write > 200 => break,
                Ok(()) => {}
            }
            check_what_programs_see(&place.path(), &context);
            if write % 4 == 0 || ended.is_err() {
                check_the_next_start(&place.path(), &context);
            }
            let temporary = fs::read_dir(place.path().join("store/tmp")).unwrap().count();
            assert_eq!(temporary, 0, "{context}");
        }
    }
    assert!(*reports.lock().unwrap() > 60);
}
