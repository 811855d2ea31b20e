use std::{fs::File, io, os::unix::fs::MetadataExt as _, path::Path};

use ringrift_job::{Launch, RunId};
use rustix::fs::{Mode, OFlags, openat};
use serde::{Deserialize, Serialize};

use crate::{Extension, file_name, folder};

/// What a unit is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// When it was written, in microseconds of `CLOCK_MONOTONIC`.
    pub written_us: u64,
    /// All of it.
    #[serde(flatten)]
    pub launch: Launch,
}

/// Why a spec is not acted upon.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// There is none, or it cannot be read.
    #[error("{name} cannot be read: {source}; only the daemon starts this unit, after it has written that file")]
    Io {
        /// The file.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Somebody else may have written it.
    #[error("{name} is not trusted: {fault}")]
    NotTrusted {
        /// The file, or its folder.
        name: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// It is not what it should be.
    #[error("{name} is no spec of a run: {fault}")]
    Malformed {
        /// The file.
        name: String,
        /// Where and why.
        fault: String,
    },
    /// It is another run's.
    #[error("{name} is the spec of {found}")]
    OtherRun {
        /// The file.
        name: String,
        /// Whose it is.
        found: RunId,
    },
}

impl Spec {
    /// The largest that is read, in bytes. A command line that the kernel takes is smaller.
    pub const MOST: u64 = 1 << 20;

    /// Reads a run's spec, if it can only have been written by whom the folder belongs to.
    ///
    /// In the units the folder lies in the daemon's `RuntimeDirectory=`, which systemd makes for the daemon's user.
    pub fn read(place: &Path, run: &RunId) -> Result<Self, SpecError> {
        let name = place.join(file_name(run, Extension::Json)).display().to_string();
        let io = |source: io::Error| SpecError::Io { name: name.clone(), source };
        let not_trusted = |name: &str, fault| SpecError::NotTrusted { name: name.to_owned(), fault };
        let dir = File::from(folder::open_folder(place).map_err(io)?);
        let of_dir = dir.metadata().map_err(io)?;
        if of_dir.mode() & 0o022 != 0 {
            return Err(not_trusted(&place.display().to_string(), "others than its owner may write to the folder"));
        }
        // Not blocking: a FIFO in its place would hold the launcher for ever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(&dir, file_name(run, Extension::Json), flags, Mode::empty()).map_err(|e| io(e.into()))?;
        let mut file = File::from(opened);
        let of_file = file.metadata().map_err(io)?;
        if !of_file.is_file() {
            return Err(not_trusted(&name, "it is no regular file"));
        }
        if of_file.uid() != of_dir.uid() {
            return Err(not_trusted(&name, "it does not belong to the owner of its folder"));
        }
        if of_file.mode() & 0o022 != 0 || of_file.nlink() != 1 {
            return Err(not_trusted(&name, "others than its owner may write to it, or it has a second name"));
        }
        let bytes = folder::read_bounded(&mut file, Self::MOST).map_err(io)?;
        let spec: Self = serde_json::from_slice(&bytes)
            .map_err(|error| SpecError::Malformed { name: name.clone(), fault: error.to_string() })?;
        if spec.launch.run != *run {
            return Err(SpecError::OtherRun { name, found: spec.launch.run });
        }
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
        path::PathBuf,
    };

    use super::*;

    struct Place {
        _kept: tempfile::TempDir,
        path: PathBuf,
        run: RunId,
    }

    impl Place {
        fn new(text: &str) -> Self {
            let kept = tempfile::tempdir().unwrap();
            let path = kept.path().canonicalize().unwrap().join("jobs");
            fs::create_dir(&path).unwrap();
            mode(&path, 0o755);
            let run = RunId { kind: ringrift_job::Kind::Selfplay, job: "a".parse().unwrap(), attempt: 1 };
            fs::write(path.join("selfplay@a.1.json"), text).unwrap();
            mode(&path.join("selfplay@a.1.json"), 0o644);
            Self { _kept: kept, path, run }
        }

        fn read(&self) -> Result<Spec, String> {
            Spec::read(&self.path, &self.run).map_err(|error| error.to_string())
        }
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    const GOOD: &str = r#"{"written_us": 5, "run": {"kind": "selfplay", "job": "a", "attempt": 1}, "class": "selfplay",
        "command": {"argv": ["true"], "env": {"A": "1"}, "working_dir": "/"}, "limits": {"memory_max": "1G"}, "gpus": [],
        "grace": {"secs": 60, "nanos": 0}}"#;

    #[test]
    fn what_was_written_is_read() {
        let spec = Place::new(GOOD).read().unwrap();
        assert_eq!((spec.written_us, spec.launch.command.argv), (5, vec!["true".to_owned()]));
    }

    #[test]
    fn what_others_can_have_written_is_refused() {
        let loose_folder = Place::new(GOOD);
        mode(&loose_folder.path, 0o777);
        assert!(loose_folder.read().unwrap_err().contains("may write to the folder"));

        let loose_file = Place::new(GOOD);
        mode(&loose_file.path.join("selfplay@a.1.json"), 0o664);
        assert!(loose_file.read().unwrap_err().contains("may write to it"));

        let linked = Place::new(GOOD);
        let file = linked.path.join("selfplay@a.1.json");
        fs::rename(&file, linked.path.join("elsewhere")).unwrap();
        symlink(linked.path.join("elsewhere"), &file).unwrap();
        assert!(linked.read().is_err());

        let second_name = Place::new(GOOD);
        fs::hard_link(second_name.path.join("selfplay@a.1.json"), second_name.path.join("other")).unwrap();
        assert!(second_name.read().unwrap_err().contains("second name"));

        let fifo = Place::new(GOOD);
        let file = fifo.path.join("selfplay@a.1.json");
        fs::remove_file(&file).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
        assert!(fifo.read().unwrap_err().contains("no regular file"));
    }

    #[test]
    fn a_spec_of_another_run_and_what_is_no_spec_are_refused() {
        let other = Place::new(&GOOD.replace("\"attempt\": 1", "\"attempt\": 2"));
        assert!(other.read().unwrap_err().ends_with("is the spec of a.2"));
        assert!(Place::new("{").read().unwrap_err().contains("is no spec of a run"));
        assert!(Place::new(&" ".repeat(1 << 21)).read().unwrap_err().contains("larger than"));
        let missing = Place::new(GOOD);
        fs::remove_file(missing.path.join("selfplay@a.1.json")).unwrap();
        assert!(missing.read().unwrap_err().contains("only the daemon starts this unit"));
    }
}
