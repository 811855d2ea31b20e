//! The runtime of tests: tokio's, whose dice fall the same way again for the same seed, and whose tasks stand still with their node.
//!
//! All of it belongs to a thread, as does a test with its runtime in simulated time.

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Poll, Waker},
    time::Duration,
};

use openraft::impls::TokioRuntime as Tokio;
use openraft::{OptionalSend, rt::AsyncRuntime};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::watch::Watch;

thread_local! {
    static DICE: RefCell<Option<SmallRng>> = const { RefCell::new(None) };
    /// Whose task is being polled.
    static OURS: RefCell<Option<Process>> = const { RefCell::new(None) };
}

/// From here on all that is left to chance on this thread follows from the seed.
pub(crate) fn seed(seed: u64) {
    DICE.set(Some(SmallRng::seed_from_u64(seed)));
}

/// Wall clocks jump all the time, and nothing may come of it.
pub(crate) fn wall_ms() -> u64 {
    Runtime::thread_rng().random()
}

/// A node's process, which may stand still: its tasks are not polled then, while time goes on for all others.
#[derive(Clone, Default)]
pub(crate) struct Process(Arc<Mutex<Standstill>>);

#[derive(Default)]
struct Standstill {
    stopped: bool,
    /// Tasks that somebody woke meanwhile.
    woken: Vec<Waker>,
}

impl Process {
    /// As SIGSTOP does.
    pub(crate) fn freeze(&self) {
        self.0.lock().unwrap().stopped = true;
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.0.lock().unwrap().stopped
    }

    /// As SIGCONT does.
    pub(crate) fn go_on(&self) {
        let woken = {
            let mut standstill = self.0.lock().unwrap();
            standstill.stopped = false;
            std::mem::take(&mut standstill.woken)
        };
        woken.into_iter().for_each(Waker::wake);
    }

    /// Makes a future, and what it spawns, a part of this process.
    pub(crate) async fn run<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            {
                let mut standstill = self.0.lock().unwrap();
                if standstill.stopped {
                    standstill.woken.push(cx.waker().clone());
                    return Poll::Pending;
                }
            }
            let before = OURS.replace(Some(self.clone()));
            let polled = future.as_mut().poll(cx);
            OURS.set(before);
            polled
        })
        .await
    }
}

/// A task of the process whose task is being polled.
pub(crate) async fn part_of<F: Future>(process: Option<Process>, task: F) -> F::Output {
    match process {
        Some(process) => process.run(task).await,
        None => task.await,
    }
}

/// A task of the process whose task is being polled.
pub(crate) fn part<F: Future>(task: F) -> impl Future<Output = F::Output> {
    part_of(OURS.with_borrow(Clone::clone), task)
}

#[derive(Debug)]
pub(crate) struct Runtime(Tokio);

impl AsyncRuntime for Runtime {
    type JoinError = <Tokio as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <Tokio as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <Tokio as AsyncRuntime>::Sleep;
    type Instant = <Tokio as AsyncRuntime>::Instant;
    type TimeoutError = <Tokio as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <Tokio as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = SmallRng;
    type Mpsc = <Tokio as AsyncRuntime>::Mpsc;
    type Watch = Watch;
    type Oneshot = <Tokio as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <Tokio as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        Tokio::spawn(part_of(OURS.with_borrow(Clone::clone), future))
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        Tokio::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        Tokio::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        Tokio::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F> {
        Tokio::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        Tokio::is_panic(join_error)
    }

    fn thread_rng() -> SmallRng {
        DICE.with_borrow_mut(|dice| match dice {
            Some(dice) => SmallRng::seed_from_u64(dice.random()),
            None => SmallRng::seed_from_u64(rand::random()),
        })
    }

    fn new(threads: usize) -> Self {
        Self(Tokio::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }
}

#[test]
fn it_is_a_runtime_as_raft_wants_it() {
    openraft::rt::testing::Suite::<Runtime>::test_all();
}
