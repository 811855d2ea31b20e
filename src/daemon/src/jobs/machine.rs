//! How jobs are run on this machine.

use std::{path::PathBuf, sync::Arc};

use ringrift_config::{RunnerKind, Settings};
use ringrift_jobs::{PlainRunner, PlainSettings, Runner, RunnerError, SystemdRunner};
use tracing::warn;

/// The runner that fits this machine, or why there is none.
pub(crate) enum Machine {
    Systemd(Arc<SystemdRunner>),
    Plain(Arc<PlainRunner>),
    None(String),
}

/// The hidden argument by which this program becomes the process that stands between the daemon and a job.
pub(crate) const SHIM: &str = "job-shim";

impl Machine {
    /// The runner that the settings name, or else the one that fits.
    pub(crate) async fn open(settings: &Settings) -> Self {
        match settings.runner.value.unwrap_or_else(fitting) {
            RunnerKind::Systemd => Self::Systemd(Arc::new(SystemdRunner::new())),
            RunnerKind::Nothing => Self::None("settings say `runner: none`".to_owned()),
            RunnerKind::Plain => match plain(settings.state_dir.join("jobs")).await {
                Ok(runner) => {
                    for limitation in runner.limitations() {
                        warn!("not enforced as on a machine with systemd: {limitation}");
                    }
                    Self::Plain(Arc::new(runner))
                }
                Err(error) => {
                    warn!("this node runs no jobs: {error}");
                    Self::None(error.to_string())
                }
            },
        }
    }

    pub(crate) fn runner(&self) -> Option<Arc<dyn Runner>> {
        match self {
            Self::Systemd(runner) => Some(runner.clone()),
            Self::Plain(runner) => Some(runner.clone()),
            Self::None(_) => None,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Systemd(_) => RunnerKind::Systemd.as_str(),
            Self::Plain(_) => RunnerKind::Plain.as_str(),
            Self::None(_) => RunnerKind::Nothing.as_str(),
        }
    }

    /// Why no job can be started here at all, if that is so.
    pub(crate) async fn trouble(&self) -> Option<String> {
        match self {
            Self::Systemd(runner) => runner.check().await.err().map(|error| error.to_string()),
            Self::Plain(_) => None,
            Self::None(why) => Some(why.clone()),
        }
    }

    /// Limits that are not kept here.
    pub(crate) fn not_enforced(&self) -> Vec<String> {
        match self {
            Self::Plain(runner) => runner.limitations().iter().map(ToString::to_string).collect(),
            Self::Systemd(_) | Self::None(_) => Vec::new(),
        }
    }
}

/// systemd where it has started this process. A daemon that a person starts by hand has no right to start units.
fn fitting() -> RunnerKind {
    let by_systemd =
        std::path::Path::new("/run/systemd/system").exists() && std::env::var_os("INVOCATION_ID").is_some();
    if by_systemd { RunnerKind::Systemd } else { RunnerKind::Plain }
}

async fn plain(directory: PathBuf) -> Result<PlainRunner, RunnerError> {
    // This program as it runs now, also when an upgrade has replaced its file since.
    let shim = vec!["/proc/self/exe".to_owned(), SHIM.to_owned()];
    // Where systemd runs, the groups are its own. In a container without it they are ours, if anybody's.
    let cgroups = !std::path::Path::new("/run/systemd/system").exists();
    PlainRunner::open(PlainSettings { cgroups, ..PlainSettings::new(directory, shim) }).await
}
