use std::{
    collections::BTreeSet,
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use ringrift_job::{Launch, RunId};
use ringrift_launch::{Extension, Record, Spec, file_name, monotonic_us, run_of_file};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::StopReason;

/// The files of runs, in a folder that the daemon owns and everybody may read.
#[derive(Debug)]
pub(super) struct Files {
    place: PathBuf,
}

/// That a run was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stop {
    pub(crate) why: StopReason,
    /// When, in microseconds of `CLOCK_MONOTONIC`; it does not outlive the boot, nor does the file.
    pub(crate) at_us: u64,
    /// It was sent SIGTERM without systemd's taking that for a stop: its class gives it more time than its unit.
    #[serde(default)]
    pub(crate) signalled: bool,
}

impl Files {
    pub(super) fn new(place: PathBuf) -> Self {
        Self { place }
    }

    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// The runs that have a file.
    pub(super) fn runs(&self) -> io::Result<BTreeSet<RunId>> {
        let entries = match fs::read_dir(&self.place) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(error) => return Err(error),
        };
        let mut runs = BTreeSet::new();
        for entry in entries {
            runs.extend(entry?.file_name().to_str().and_then(run_of_file).map(|(run, _)| run));
        }
        Ok(runs)
    }

    pub(super) fn has(&self, run: &RunId, extension: Extension) -> bool {
        self.path(run, extension).symlink_metadata().is_ok()
    }

    /// Writes what the run's launcher will read. The launcher runs as another user.
    pub(super) fn write_spec(&self, launch: &Launch) -> io::Result<()> {
        if let Err(error) = fs::create_dir(&self.place)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error);
        }
        // Whatever the umask: the jobs' user reads here.
        fs::set_permissions(&self.place, Permissions::from_mode(0o755))?;
        let spec = Spec { written_us: monotonic_us(), launch: launch.clone() };
        self.write(&launch.run, Extension::Json, &spec)
    }

    pub(super) fn spec(&self, run: &RunId) -> Option<Spec> {
        self.read(run, Extension::Json)
    }

    /// Notes that a run is told to stop; the first reason stays.
    pub(super) fn write_stop(&self, run: &RunId, why: StopReason) -> io::Result<()> {
        match self.stop(run) {
            Some(_) => Ok(()),
            None => self.write(run, Extension::Stop, &Stop { why, at_us: monotonic_us(), signalled: false }),
        }
    }

    /// Notes that a run that is told to stop has heard of it, though systemd has not.
    pub(super) fn note_signalled(&self, run: &RunId) -> io::Result<()> {
        self.stop(run).map_or(Ok(()), |stop| self.write(run, Extension::Stop, &Stop { signalled: true, ..stop }))
    }

    pub(super) fn stop(&self, run: &RunId) -> Option<Stop> {
        self.read(run, Extension::Stop)
    }

    /// How a run ended, if that was recorded. A record that makes no sense is as good as none, and is told.
    pub(super) fn record(&self, run: &RunId) -> Option<Record> {
        Record::read(&self.path(run, Extension::Ended)).unwrap_or_else(|error| {
            tracing::warn!(%run, "{error}");
            None
        })
    }

    pub(super) fn remove(&self, run: &RunId, extension: Extension) -> io::Result<()> {
        match fs::remove_file(self.path(run, extension)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Removes all that is kept of a run; its spec last, since a run without one is not known.
    pub(super) fn remove_all(&self, run: &RunId) -> io::Result<()> {
        for extension in [Extension::Ended, Extension::Stop, Extension::Json] {
            self.remove(run, extension)?;
        }
        Ok(())
    }

    fn path(&self, run: &RunId, extension: Extension) -> PathBuf {
        self.place.join(file_name(run, extension))
    }

    fn read<T: DeserializeOwned>(&self, run: &RunId, extension: Extension) -> Option<T> {
        let path = self.path(run, extension);
        let text = fs::read(&path).ok()?;
        serde_json::from_slice(&text)
            .inspect_err(|error| tracing::warn!(%run, "{} is not what was written there: {error}", path.display()))
            .ok()
    }

    fn write(&self, run: &RunId, extension: Extension, content: &impl Serialize) -> io::Result<()> {
        let path = self.path(run, extension);
        let unfinished = self.place.join(format!(".{}.new", file_name(run, extension)));
        let mut file = File::create(&unfinished)?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.write_all(&serde_json::to_vec(content)?)?;
        fs::rename(&unfinished, &path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systemd::tests::launch;

    fn files() -> (tempfile::TempDir, Files) {
        let kept = tempfile::tempdir().unwrap();
        let files = Files::new(kept.path().canonicalize().unwrap().join("jobs"));
        (kept, files)
    }

    #[test]
    fn the_launcher_accepts_what_is_written_here() {
        let (_kept, files) = files();
        assert_eq!(files.runs().unwrap(), BTreeSet::new());
        let launch = launch("a");
        files.write_spec(&launch).unwrap();
        assert_eq!(Spec::read(files.place(), &launch.run).unwrap().launch, launch);
        assert_eq!(files.spec(&launch.run).unwrap().launch, launch);
        assert_eq!(files.runs().unwrap(), BTreeSet::from([launch.run.clone()]));
        files.remove_all(&launch.run).unwrap();
        assert_eq!(files.runs().unwrap(), BTreeSet::new());
        assert_eq!(fs::read_dir(files.place()).unwrap().count(), 0);
    }

    #[test]
    fn the_first_reason_to_stop_stays() {
        let (_kept, files) = files();
        let launch = launch("a");
        files.write_spec(&launch).unwrap();
        files.write_stop(&launch.run, StopReason::Deadline).unwrap();
        let first = files.stop(&launch.run).unwrap();
        files.write_stop(&launch.run, StopReason::Unwanted).unwrap();
        assert_eq!(files.stop(&launch.run), Some(first));
        assert_eq!(first.why, StopReason::Deadline);
    }

    #[test]
    fn nonsense_in_a_record_is_no_ending() {
        let (_kept, files) = files();
        let launch = launch("a");
        files.write_spec(&launch).unwrap();
        for nonsense in ["", "[]", r#"{"result": "success", "code": {"exited": "0"}}"#, &"x".repeat(1 << 16)] {
            fs::write(files.path(&launch.run, Extension::Ended), nonsense).unwrap();
            assert_eq!(files.record(&launch.run), None);
        }
    }
}
