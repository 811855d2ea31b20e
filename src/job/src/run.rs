use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{JobId, Kind};

/// One attempt at a job. A later attempt of the same job fences the earlier ones: what they report counts no more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId {
    /// What the job is for.
    pub kind: Kind,
    /// The job.
    pub job: JobId,
    /// From 1.
    pub attempt: u32,
}

impl RunId {
    /// Names the run where its kind is known: `selfplay-3k9x0a7c2m.1`.
    pub fn instance(&self) -> String {
        format!("{}.{}", self.job, self.attempt)
    }

    /// The unit that it runs as: `ringrift-selfplay@selfplay-3k9x0a7c2m.1.service`.
    pub fn unit(&self) -> String {
        format!("ringrift-{}@{}.service", self.kind, self.instance())
    }

    /// The run whose unit has this name.
    pub fn of_unit(name: &str) -> Option<Self> {
        let (kind, instance) = name.strip_prefix("ringrift-")?.strip_suffix(".service")?.split_once('@')?;
        Self::of_instance(kind.parse().ok()?, instance)
    }

    /// The run of a kind with this instance name.
    pub fn of_instance(kind: Kind, instance: &str) -> Option<Self> {
        let (job, attempt) = instance.rsplit_once('.')?;
        // "+1" and "01" would be second names of the same run.
        let attempt = attempt.parse().ok().filter(|n: &u32| *n > 0 && n.to_string() == attempt)?;
        Some(Self { kind, job: job.parse().ok()?, attempt })
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.instance())
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum How {
    /// By itself; 0 is success.
    Exited {
        /// Its exit status.
        code: i32,
    },
    /// By a signal that nobody here sent.
    Signalled {
        /// The signal's number.
        signal: i32,
    },
    /// Killed because it, or its slice, had used up its memory.
    OutOfMemory,
    /// Stopped because its deadline had passed.
    TimedOut,
    /// Stopped because somebody here wanted it.
    Stopped,
    /// It never ran.
    NotStarted {
        /// Why, as a sentence.
        reason: String,
    },
    /// It is not there any more, and nobody saw how it ended.
    Vanished,
}

/// What a run used. What could not be measured is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Usage {
    /// Processor time, user and system, in milliseconds.
    pub cpu_ms: Option<u64>,
    /// The most memory at once, in bytes.
    pub memory_peak: Option<u64>,
    /// Memory now, in bytes.
    pub memory: Option<u64>,
    /// Processes and threads now.
    pub tasks: Option<u64>,
    /// Processes now.
    pub processes: Option<u64>,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// How it ended.
    #[serde(flatten)]
    pub how: How,
    /// From its start to its end, in milliseconds.
    #[serde(default)]
    pub ran_ms: u64,
    /// What it used.
    #[serde(default)]
    pub usage: Usage,
}

impl How {
    /// Whether it did what it was for.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Exited { code: 0 })
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { code: 0 } => f.write_str("succeeded"),
            Self::Exited { code } => write!(f, "exited with status {code}"),
            Self::Signalled { signal } => write!(f, "was killed by signal {signal}"),
            Self::OutOfMemory => f.write_str("was killed because its memory was used up"),
            Self::TimedOut => f.write_str("was stopped at its deadline"),
            Self::Stopped => f.write_str("was stopped"),
            Self::NotStarted { reason } => write!(f, "did not start: {reason}"),
            Self::Vanished => f.write_str("is gone, and nobody saw how it ended"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_again_by_its_unit() {
        let run = RunId { kind: Kind::Selfplay, job: "gpu_selfplay-3k9x".parse().unwrap(), attempt: 2 };
        assert_eq!(run.unit(), "ringrift-selfplay@gpu_selfplay-3k9x.2.service");
        assert_eq!(RunId::of_unit(&run.unit()), Some(run));
        for name in [
            "ringrift-selfplay@a.0.service",
            "ringrift-selfplay@a.01.service",
            "ringrift-selfplay@a.+1.service",
            "ringrift-selfplay@a.service",
            "ringrift-selfplay@.1.service",
            "ringrift-other@a.1.service",
            "ringrift-selfplay@a.1.timer",
            "x-ringrift-selfplay@a.1.service",
            "ringrift-selfplay@A.1.service",
        ] {
            assert_eq!(RunId::of_unit(name), None, "{name}");
        }
    }

    #[test]
    fn an_ending_is_flat_json() {
        let ending =
            Ending { how: How::Exited { code: 3 }, ran_ms: 5, usage: Usage { cpu_ms: Some(4), ..Usage::default() } };
        let json = serde_json::to_value(&ending).unwrap();
        assert_eq!(json["how"], "exited");
        assert_eq!(json["code"], 3);
        assert_eq!(serde_json::from_value::<Ending>(json).unwrap(), ending);
    }
}
