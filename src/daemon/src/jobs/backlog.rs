//! How long is the work queue, and is that news?

use ringrift_api::Backpressure;
use ringrift_state::{NewEvent, kind};

/// What was told last. A leader begins with a short queue, so each leader tells of a long one once.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    told: Level,
    /// Requests that had been refused at the last look.
    refused: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Level {
    #[default]
    Short,
    Long,
    Full,
}

impl Backlog {
    /// Looks at the queue; `refused` counts the requests for which it had no room since the start. What was told is told again
    /// only when the queue was a tenth below the limit in between: one that goes up and down around it is not news each time.
    pub(super) fn step(&mut self, queue: &Backpressure, refused: u64) -> Option<NewEvent> {
        let Backpressure { queued, soft_limit: soft, hard_limit: hard, .. } = queue;
        let more = refused - std::mem::replace(&mut self.refused, refused).min(refused);
        let level = if queued >= hard || more > 0 {
            Level::Full
        } else if queued >= soft {
            Level::Long
        } else {
            Level::Short
        };
        let still = match self.told {
            Level::Full if *queued > hard - hard / 10 => Level::Full,
            Level::Full | Level::Long if *queued > soft - soft / 10 => Level::Long,
            Level::Full | Level::Long | Level::Short => Level::Short,
        };
        let before = std::mem::replace(&mut self.told, level.max(still));
        let (kind, message) = match level {
            _ if level <= before => return None,
            Level::Short => return None,
            Level::Long => {
                (kind::WORK_QUEUE_LONG, format!("{queued} jobs are in the work queue, and from {soft} on it is long"))
            }
            Level::Full => (
                kind::WORK_QUEUE_FULL,
                format!("{queued} jobs are in the work queue, which takes {hard}: new work is refused"),
            ),
        };
        let event = NewEvent::new(kind, message, 0).with("queued", *queued);
        Some(event.with("soft_limit", *soft).with("hard_limit", *hard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(backlog: &mut Backlog, queued: u64, refused: u64) -> Option<String> {
        let queue = Backpressure { level: String::new(), queued, soft_limit: 50, hard_limit: 100 };
        backlog.step(&queue, refused).map(|event| event.kind)
    }

    #[test]
    fn each_limit_is_told_when_it_is_reached_and_again_after_the_queue_was_well_below_it() {
        let mut backlog = Backlog::default();
        let (long, full) = (Some(kind::WORK_QUEUE_LONG.to_owned()), Some(kind::WORK_QUEUE_FULL.to_owned()));
        for (queued, expected) in [
            (49, &None),
            (50, &long),
            (99, &None),
            (100, &full),
            (95, &None),
            (100, &None),
            (90, &None),
            (100, &full),
            (46, &None),
            (50, &None),
            (45, &None),
            (50, &long),
            (0, &None),
            (100, &full),
        ] {
            assert_eq!(told(&mut backlog, queued, 0), *expected, "{queued}");
        }
    }

    #[test]
    fn a_refusal_tells_that_it_is_full_also_below_the_limit() {
        let mut backlog = Backlog::default();
        assert_eq!(told(&mut backlog, 60, 1), Some(kind::WORK_QUEUE_FULL.to_owned()), "a batch had no room");
        assert_eq!(told(&mut backlog, 60, 1), None, "the queue itself is well below its limit again");
        assert_eq!(told(&mut backlog, 99, 2), Some(kind::WORK_QUEUE_FULL.to_owned()));
        assert_eq!(told(&mut backlog, 99, 3), None, "and not for each request");
    }
}
