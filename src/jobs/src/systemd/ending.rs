//! What does it mean that a unit ended as it did?

use ringrift_job::{Ending, How, Usage};
use ringrift_launch::{Code, NOT_STARTED_STATUS, Record};

use super::files::Stop;
use crate::StopReason;

/// Exit statuses that mean that systemd itself did not come to run `ExecStart=` (`systemd.exec(5)`).
const BY_SYSTEMD: std::ops::RangeInclusive<i32> = 200..=245;

/// What systemd tells about a service that ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) result: String,
    /// None when the main process never was, or has not ended.
    pub(super) code: Option<Code>,
    pub(super) status_text: String,
    /// Microseconds of `CLOCK_MONOTONIC`.
    pub(super) started_us: u64,
    pub(super) ended_us: u64,
    pub(super) usage: Usage,
}

impl Told {
    /// The same from what was recorded; `written_us` is when the run was about to start.
    pub(super) fn of_record(record: &Record, written_us: Option<u64>) -> Self {
        Self {
            result: record.result.clone(),
            code: record.code,
            // Not recorded: what a program says of itself is not for root to write down.
            status_text: String::new(),
            started_us: written_us.unwrap_or(record.ended_us),
            ended_us: record.ended_us,
            usage: Usage {
                cpu_ms: record.cpu_us.map(|us| us / 1000),
                memory_peak: record.memory_peak,
                ..Usage::default()
            },
        }
    }

    /// What it lacks, from what was recorded.
    pub(super) fn completed(mut self, record: Option<&Record>) -> Self {
        if let Some(record) = record {
            let recorded = Self::of_record(record, None);
            self.code = self.code.or(recorded.code);
            self.usage.cpu_ms = self.usage.cpu_ms.or(recorded.usage.cpu_ms);
            self.usage.memory_peak = self.usage.memory_peak.or(recorded.usage.memory_peak);
        }
        self
    }

    pub(super) fn ending(self, stop: Option<&Stop>) -> Ending {
        Ending {
            ran_ms: self.ended_us.saturating_sub(self.started_us) / 1000,
            how: self.how(stop),
            usage: Usage { memory: None, tasks: None, processes: None, ..self.usage },
        }
    }

    fn how(&self, stop: Option<&Stop>) -> How {
        if let Some(reason) = self.status_text.strip_prefix(NOT_STARTED_STATUS) {
            return How::NotStarted { reason: reason.to_owned() };
        }
        // One that had ended before it was told to stop has ended by itself.
        if let Some(stop) = stop.filter(|stop| self.ended_us == 0 || self.ended_us >= stop.at_us) {
            return match stop.why {
                StopReason::Unwanted => How::Stopped,
                StopReason::Deadline => How::TimedOut,
            };
        }
        if self.result == "oom-kill" {
            return How::OutOfMemory;
        }
        match self.code {
            // The launcher's first word is a status line.
            Some(Code::Exited(code)) if BY_SYSTEMD.contains(&code) && self.status_text.is_empty() => How::NotStarted {
                reason: format!(
                    "systemd could not run its launcher (status {code}, see systemd.exec(5)); `systemctl status` and the \
                     journal of its unit say why"
                ),
            },
            Some(Code::Exited(code)) => How::Exited { code },
            Some(Code::Signalled(signal)) => How::Signalled { signal },
            None if self.result != "success" => {
                How::NotStarted { reason: format!("systemd could not start its unit: {}", self.result) }
            }
            None => How::Vanished,
        }
    }
}

/// The ending of a run of which nothing is left but its spec, and that it was told to stop if it was.
pub(super) fn unseen(stop: Option<&Stop>) -> Ending {
    Told { result: "success".to_owned(), ..Told::default() }.ending(stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(result: &str, code: Option<Code>, status: &str) -> Told {
        Told {
            result: result.to_owned(),
            code,
            status_text: status.to_owned(),
            started_us: 1_000_000,
            ended_us: 3_500_000,
            usage: Usage { cpu_ms: Some(7), memory: Some(1), ..Usage::default() },
        }
    }

    const RAN: &str = "selfplay, attempt 1 of job a: python3";

    #[test]
    fn each_ending_has_its_name() {
        let not_started = |reason: &str| How::NotStarted { reason: reason.to_owned() };
        for (told, how) in [
            (told("success", Some(Code::Exited(0)), RAN), How::Exited { code: 0 }),
            (told("exit-code", Some(Code::Exited(3)), RAN), How::Exited { code: 3 }),
            // A program may use systemd's numbers; only before the launcher spoke are they systemd's.
            (told("exit-code", Some(Code::Exited(203)), RAN), How::Exited { code: 203 }),
            (told("signal", Some(Code::Signalled(11)), RAN), How::Signalled { signal: 11 }),
            (told("core-dump", Some(Code::Signalled(6)), RAN), How::Signalled { signal: 6 }),
            (told("oom-kill", Some(Code::Signalled(9)), RAN), How::OutOfMemory),
            (told("exit-code", Some(Code::Exited(125)), "not started: no python3"), not_started("no python3")),
            (told("resources", None, ""), not_started("systemd could not start its unit: resources")),
            (told("success", None, ""), How::Vanished),
        ] {
            let shown = format!("{told:?}");
            assert_eq!(told.ending(None).how, how, "{shown}");
        }
        let by_systemd = told("exit-code", Some(Code::Exited(217)), "").ending(None).how;
        assert!(by_systemd.to_string().contains("status 217"), "{by_systemd}");
    }

    #[test]
    fn who_was_stopped_was_stopped_however_it_took_it() {
        for (why, how) in [(StopReason::Unwanted, How::Stopped), (StopReason::Deadline, How::TimedOut)] {
            let stop = Stop { why, at_us: 2_000_000, signalled: false };
            for told in [
                told("success", Some(Code::Exited(0)), RAN),
                told("timeout", Some(Code::Signalled(9)), RAN),
                told("exit-code", Some(Code::Exited(1)), RAN),
            ] {
                assert_eq!(told.ending(Some(&stop)).how, how);
            }
            let late = Stop { why, at_us: 3_500_001, signalled: false };
            assert_eq!(told("success", Some(Code::Exited(0)), RAN).ending(Some(&late)).how, How::Exited { code: 0 });
        }
    }

    #[test]
    fn what_nobody_saw_is_not_made_up() {
        assert_eq!(unseen(None).how, How::Vanished);
        // Its start was queued, and taken back.
        assert_eq!(unseen(Some(&Stop { why: StopReason::Unwanted, at_us: 5, signalled: true })).how, How::Stopped);
    }

    #[test]
    fn a_record_tells_what_systemd_has_forgotten() {
        let record = Record {
            result: "success".to_owned(),
            code: Some(Code::Exited(0)),
            ended_us: 9_000_000,
            cpu_us: Some(2_500),
            memory_peak: Some(4096),
        };
        let ending = Told::of_record(&record, Some(8_000_000)).ending(None);
        assert_eq!((ending.how, ending.ran_ms), (How::Exited { code: 0 }, 1000));
        assert_eq!((ending.usage.cpu_ms, ending.usage.memory_peak), (Some(2), Some(4096)));

        let own = told("success", Some(Code::Exited(0)), RAN).completed(Some(&record)).ending(None);
        assert_eq!((own.usage.cpu_ms, own.usage.memory_peak, own.usage.memory), (Some(7), Some(4096), None));
        assert_eq!(own.ran_ms, 2500);
    }
}
