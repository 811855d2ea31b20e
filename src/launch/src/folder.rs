use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::OwnedFd,
    path::{Component, Path},
};

use ringrift_job::RunId;
use rustix::fs::{CWD, Mode, OFlags, openat};

/// Where the files of runs lie. systemd makes the folder above it for the daemon (`RuntimeDirectory=`).
pub const FOLDER: &str = "/run/ringrift-p2p/jobs";

/// Which of a run's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// What to run.
    Json,
    /// Why it was stopped.
    Stop,
    /// How it ended.
    Ended,
}

impl Extension {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Json, Self::Stop, Self::Ended];

    /// As the file's name ends.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Stop => "stop",
            Self::Ended => "ended",
        }
    }
}

/// The name of a run's file: `selfplay@selfplay-3k9x0a7c2m.1.json`.
pub fn file_name(run: &RunId, extension: Extension) -> String {
    format!("{}@{}.{}", run.kind, run.instance(), extension.as_str())
}

/// The run whose file has this name.
pub fn run_of_file(name: &str) -> Option<(RunId, Extension)> {
    let (stem, end) = name.rsplit_once('.')?;
    let extension = Extension::ALL.into_iter().find(|extension| extension.as_str() == end)?;
    let (kind, instance) = stem.split_once('@')?;
    Some((RunId::of_instance(kind.parse().ok()?, instance)?, extension))
}

/// Opens a folder without following a symbolic link anywhere in its path: all of it below `/run` belongs to a user that is
/// not trusted by root.
pub(crate) fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folder = openat(CWD, "/", flags, Mode::empty())?;
    for part in path.components() {
        match part {
            Component::RootDir => {}
            Component::Normal(name) => folder = openat(&folder, name, flags, Mode::empty())?,
            Component::Prefix(_) | Component::CurDir | Component::ParentDir => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the folder's path must be absolute and plain",
                ));
            }
        }
    }
    Ok(folder)
}

/// Reads a whole file that is not trusted to be small.
pub(crate) fn read_bounded(file: &mut File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {most} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use ringrift_job::Kind;

    use super::*;

    #[test]
    fn a_file_tells_whose_it_is() {
        let run = RunId { kind: Kind::Training, job: "training-0a".parse().unwrap(), attempt: 3 };
        for extension in Extension::ALL {
            assert_eq!(run_of_file(&file_name(&run, extension)), Some((run.clone(), extension)));
        }
        for name in
            ["training@training-0a.3", "training-0a.3.json", "training@training-0a.json", ".x.tmp", "x@a.1.json"]
        {
            assert_eq!(run_of_file(name), None, "{name}");
        }
    }

    #[test]
    fn no_link_leads_out_of_the_folder() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        std::fs::create_dir_all(place.join("real/jobs")).unwrap();
        std::os::unix::fs::symlink(place.join("real"), place.join("link")).unwrap();
        open_folder(&place.join("real/jobs")).unwrap();
        assert!(open_folder(&place.join("link/jobs")).is_err());
        assert!(open_folder(&place.join("real/../real/jobs")).is_err());
    }
}
