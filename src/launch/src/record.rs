use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use ringrift_job::RunId;
use rustix::fs::{AtFlags, Mode, OFlags, fchmod, openat, renameat, statat, unlinkat};
use serde::{Deserialize, Serialize};

use crate::{Extension, file_name, folder, monotonic_us, signal};

/// How a run ended, as systemd told it to `ExecStopPost=`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The service's result: `success`, `exit-code`, `signal`, `oom-kill` …
    pub result: String,
    /// How its main process ended; none when it never was.
    pub code: Option<Code>,
    /// When this was written, in microseconds of `CLOCK_MONOTONIC`.
    pub ended_us: u64,
    /// Processor time of all of it, in microseconds.
    pub cpu_us: Option<u64>,
    /// The most memory at once, in bytes.
    pub memory_peak: Option<u64>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// With this exit status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
}

/// Why there is no record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Called by somebody else than systemd.
    #[error("$SERVICE_RESULT is not set: this is called by systemd, as ExecStopPost=")]
    NotCalledBySystemd,
    /// A file.
    #[error("cannot write how {run} ended: {source}")]
    Io {
        /// The run.
        run: RunId,
        /// What the kernel said.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{name} is no record of an ending: {fault}")]
    Malformed {
        /// The file.
        name: String,
        /// Where and why.
        fault: String,
    },
}

impl Record {
    /// The largest that is read, in bytes.
    pub const MOST: u64 = 4096;

    /// What systemd tells in the environment of `ExecStopPost=` (`systemd.exec(5)`), and what the kernel counted.
    pub fn of(variable: impl Fn(&str) -> Option<String>, cgroup: Option<&Path>) -> Result<Self, RecordError> {
        let result = variable("SERVICE_RESULT").ok_or(RecordError::NotCalledBySystemd)?;
        let status = variable("EXIT_STATUS");
        let code = match (variable("EXIT_CODE").as_deref(), status) {
            (Some("exited"), Some(status)) => status.parse().ok().map(Code::Exited),
            (Some("killed" | "dumped"), Some(name)) => signal::number(&name).map(Code::Signalled),
            _ => None,
        };
        let counted = |file: &str| fs::read_to_string(cgroup?.join(file)).ok();
        let cpu_us = counted("cpu.stat").and_then(|text| {
            text.lines().find_map(|line| line.strip_prefix("usage_usec ")).and_then(|number| number.trim().parse().ok())
        });
        let memory_peak = counted("memory.peak").and_then(|text| text.trim().parse().ok());
        Ok(Self { result, code, ended_us: monotonic_us(), cpu_us, memory_peak })
    }

    /// Writes it beside the run's spec, visible at once or not at all. Of a run without a spec nothing is kept: nobody would
    /// ever take it away.
    ///
    /// Called as root in a folder of another user's: nothing here follows a link that this user can make.
    pub fn write(&self, place: &Path, run: &RunId) -> Result<(), RecordError> {
        let io = |source: io::Error| RecordError::Io { run: run.clone(), source };
        let dir = folder::open_folder(place).map_err(io)?;
        if statat(&dir, file_name(run, Extension::Json), AtFlags::SYMLINK_NOFOLLOW).is_err() {
            return Ok(());
        }
        let name = file_name(run, Extension::Ended);
        let unfinished = format!(".{name}");
        // Left by one that was killed.
        let _ = unlinkat(&dir, &unfinished, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file =
            File::from(openat(&dir, &unfinished, flags, Mode::from_raw_mode(0o644)).map_err(|e| io(e.into()))?);
        let bytes = serde_json::to_vec(self).map_err(|error| io(error.into()))?;
        file.write_all(&bytes).map_err(io)?;
        fchmod(&file, Mode::from_raw_mode(0o644)).map_err(|e| io(e.into()))?;
        renameat(&dir, &unfinished, &dir, &name).map_err(|e| io(e.into()))
    }

    /// Reads what a file of this name holds.
    pub fn read(path: &Path) -> Result<Option<Self>, RecordError> {
        let malformed = |fault: String| RecordError::Malformed { name: path.display().to_string(), fault };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(malformed(error.to_string())),
        };
        let bytes =
            folder::read_bounded(&mut File::from(opened), Self::MOST).map_err(|error| malformed(error.to_string()))?;
        serde_json::from_slice(&bytes).map(Some).map_err(|error| malformed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Record, RecordError> {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        Record::of(|name| variables.get(name).map(ToString::to_string), None)
    }

    #[test]
    fn what_systemd_says_is_understood() {
        for (result, code, status, expected) in [
            ("success", "exited", "0", Some(Code::Exited(0))),
            ("exit-code", "exited", "3", Some(Code::Exited(3))),
            ("signal", "killed", "SEGV", Some(Code::Signalled(11))),
            ("core-dump", "dumped", "ABRT", Some(Code::Signalled(6))),
            ("oom-kill", "killed", "KILL", Some(Code::Signalled(9))),
            ("resources", "", "", None),
            ("exit-code", "exited", "many", None),
        ] {
            let record = of(&[("SERVICE_RESULT", result), ("EXIT_CODE", code), ("EXIT_STATUS", status)]).unwrap();
            assert_eq!((record.result.as_str(), record.code), (result, expected));
        }
        assert_eq!(of(&[("SERVICE_RESULT", "resources")]).unwrap().code, None);
        assert!(matches!(of(&[("EXIT_CODE", "exited")]), Err(RecordError::NotCalledBySystemd)));
    }

    #[test]
    fn the_kernels_counts_are_read_from_the_cgroup() {
        let cgroup = tempfile::tempdir().unwrap();
        fs::write(cgroup.path().join("cpu.stat"), "usage_usec 1234567\nuser_usec 1\n").unwrap();
        fs::write(cgroup.path().join("memory.peak"), "4096\n").unwrap();
        let record = Record::of(|_| Some("success".to_owned()), Some(cgroup.path())).unwrap();
        assert_eq!((record.cpu_us, record.memory_peak), (Some(1_234_567), Some(4096)));
    }

    #[test]
    fn a_record_is_written_beside_a_spec_and_nowhere_else() {
        let kept = tempfile::tempdir().unwrap();
        let place = kept.path().canonicalize().unwrap();
        let run = RunId { kind: ringrift_job::Kind::Selfplay, job: "a".parse().unwrap(), attempt: 1 };
        let record = of(&[("SERVICE_RESULT", "success"), ("EXIT_CODE", "exited"), ("EXIT_STATUS", "0")]).unwrap();
        let ended = place.join("selfplay@a.1.ended");
        record.write(&place, &run).unwrap();
        assert_eq!(Record::read(&ended).unwrap(), None);

        fs::write(place.join("selfplay@a.1.json"), "").unwrap();
        // A link in the way is replaced; what it leads to is not touched.
        let target = place.join("target");
        fs::write(&target, "kept").unwrap();
        for link in ["selfplay@a.1.ended", ".selfplay@a.1.ended"] {
            std::os::unix::fs::symlink(&target, place.join(link)).unwrap();
        }
        record.write(&place, &run).unwrap();
        assert_eq!(Record::read(&ended).unwrap(), Some(record));
        assert_eq!(fs::read_to_string(&target).unwrap(), "kept");

        fs::write(&ended, "x".repeat(5000)).unwrap();
        assert!(Record::read(&ended).unwrap_err().to_string().contains("larger than 4096 bytes"));
        fs::write(&ended, "{}").unwrap();
        assert!(Record::read(&ended).unwrap_err().to_string().contains("missing field"));
    }
}
