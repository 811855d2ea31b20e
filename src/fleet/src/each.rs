use std::{cell::Cell, time::Duration};

use futures::{StreamExt as _, stream};
use ringrift_config::Host;

use crate::{Line, Lines};

/// How many nodes at once, and how long each of them may take.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// At least one.
    pub at_once: usize,
    /// From the moment when it is a node's turn.
    pub deadline: Duration,
}

/// What became of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    /// The work came to its end.
    Done(T),
    /// It did not within the deadline, and was given up.
    Overdue(Duration),
    /// It was given up in the middle: what it did until then is not known.
    Interrupted,
    /// It had not begun when everything was given up.
    NotBegun,
}

/// Does `work` for each of the nodes, until `stop` ends. The outcomes are in the nodes' order. `told` is what a node's line
/// says at its end.
pub async fn each<T>(
    hosts: &[&Host],
    pace: Pace,
    lines: &Lines,
    stop: impl Future<Output = ()>,
    work: impl AsyncFn(&Host, &Line) -> T,
    told: impl Fn(&T) -> String,
) -> Vec<Outcome<T>> {
    let begun: Vec<Cell<bool>> = hosts.iter().map(|_| Cell::new(false)).collect();
    let mut outcomes: Vec<Option<Outcome<T>>> = hosts.iter().map(|_| None).collect();
    let (begun, work, told) = (&begun, &work, &told);
    let mut running = stream::iter(hosts.iter().enumerate())
        .map(|(index, host)| async move {
            begun[index].set(true);
            let line = lines.begin(host.id.as_str());
            let outcome = if let Ok(done) = tokio::time::timeout(pace.deadline, work(host, &line)).await {
                line.end(&told(&done));
                Outcome::Done(done)
            } else {
                line.end(&format!("given up after {:.1} s", pace.deadline.as_secs_f64()));
                Outcome::Overdue(pace.deadline)
            };
            (index, outcome)
        })
        .buffer_unordered(pace.at_once.max(1));
    tokio::pin!(stop);
    loop {
        tokio::select! {
            next = running.next() => match next {
                Some((index, outcome)) => outcomes[index] = Some(outcome),
                None => break,
            },
            () = &mut stop => break,
        }
    }
    drop(running);
    let missing = |index: usize| if begun[index].get() { Outcome::Interrupted } else { Outcome::NotBegun };
    outcomes.into_iter().enumerate().map(|(index, outcome)| outcome.unwrap_or_else(|| missing(index))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::{fmt::Write as _, path::Path, pin::pin, time::Instant};

    use ringrift_config::HostsFile;
    use tokio::sync::Notify;

    use super::*;

    fn file(count: usize) -> HostsFile {
        let mut text = "hosts:\n".to_owned();
        for number in 0..count {
            let _ = writeln!(text, "  node-{number}: {{ssh_host: 10.0.0.{number}, status: ready, role: selfplay}}");
        }
        HostsFile::parse(&text, Path::new("hosts.yaml")).unwrap()
    }

    fn number(host: &Host) -> usize {
        host.id.as_str()[5..].parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_run_at_once_and_those_that_hang_end_at_the_deadline() {
        let file = file(42);
        let hosts: Vec<&Host> = file.hosts.values().collect();
        let (now, most) = (Cell::new(0), Cell::new(0));
        let pace = Pace { at_once: 16, deadline: Duration::from_secs(5) };
        let began = tokio::time::Instant::now();
        let work = async |host: &Host, _: &Line| {
            now.set(now.get() + 1);
            most.set(most.get().max(now.get()));
            if number(host) % 4 == 1 {
                let _held = scope(&now);
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            now.set(now.get() - 1);
            number(host)
        };
        let outcomes = each(&hosts, pace, &Lines::silent(), std::future::pending(), work, ToString::to_string).await;
        assert_eq!(most.get(), 16);
        assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
        for (index, outcome) in outcomes.iter().enumerate() {
            let expected = if index % 4 == 1 { Outcome::Overdue(pace.deadline) } else { Outcome::Done(index) };
            assert_eq!(*outcome, expected, "{index}");
        }
    }

    /// Counts one less when what hangs is dropped.
    fn scope(now: &Cell<i32>) -> impl Drop {
        struct Held<'a>(&'a Cell<i32>);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() - 1);
            }
        }
        Held(now)
    }

    #[tokio::test]
    async fn whoever_stops_it_learns_what_was_done_what_was_not_begun_and_what_nobody_knows() {
        let file = file(4);
        let hosts: Vec<&Host> = file.hosts.values().collect();
        let stop = Notify::new();
        let work = async |host: &Host, _: &Line| {
            if number(host) == 1 {
                stop.notify_one();
                std::future::pending::<()>().await;
            }
            number(host)
        };
        let pace = Pace { at_once: 1, deadline: Duration::from_mins(1) };
        let began = Instant::now();
        let outcomes = pin!(each(&hosts, pace, &Lines::silent(), stop.notified(), work, ToString::to_string)).await;
        assert_eq!(outcomes, [Outcome::Done(0), Outcome::Interrupted, Outcome::NotBegun, Outcome::NotBegun]);
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}
