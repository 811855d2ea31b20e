//! Where things lie on this node, and which classes can run here.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use ringrift_config::{Host, Settings};
use ringrift_health::Folders;
use ringrift_job::{Class, Place};
use tracing::error;

use super::Offer;

/// Where things lie, and what can run there.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    pub(super) place: Place,
    pub(super) offers: Vec<Offer>,
    /// For each class that cannot run here, why.
    pub(super) unavailable: Vec<String>,
}

impl Default for Ground {
    /// Before the first look nothing can run.
    fn default() -> Self {
        let place = Place {
            node: String::new(),
            ringrift_path: None,
            activate: None,
            data_dir: PathBuf::new(),
            models_dir: PathBuf::new(),
            logs_dir: PathBuf::new(),
        };
        Self { place, offers: Vec::new(), unavailable: Vec::new() }
    }
}

impl Ground {
    /// Looks at the disk. Blocks for as long as that takes to answer.
    pub(super) fn look(settings: &Settings, host: Option<&Host>) -> Self {
        let place = place(settings, host);
        let (offers, unavailable) = offers(settings.job_classes.iter().map(|class| &**class), &place);
        Self { place, offers, unavailable }
    }
}

/// How often it is looked when nothing has changed.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The ground as it was last looked at, and by what.
#[derive(Debug, Default)]
pub(super) struct Standing {
    ground: Ground,
    by: Option<(Arc<Settings>, Option<Host>, Instant)>,
}

impl Standing {
    pub(super) fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Looks where things lie and which classes can run here: now and then, and when settings or this host's entry have changed.
    /// In a thread of its own, since a disk of the network may not answer.
    pub(super) async fn look(&mut self, settings: &Arc<Settings>, host: Option<&Host>) {
        let same = |(by, entry, at): &(Arc<Settings>, Option<Host>, Instant)| {
            Arc::ptr_eq(by, settings) && entry.as_ref() == host && at.elapsed() < LOOK_EVERY
        };
        if self.by.as_ref().is_some_and(same) {
            return;
        }
        let (by, entry) = (settings.clone(), host.cloned());
        let looked = tokio::task::spawn_blocking(move || Ground::look(&by, entry.as_ref())).await;
        match looked {
            Ok(ground) => self.ground = ground,
            Err(error) => error!("it could not be looked what can run here: {error}"),
        }
        self.by = Some((settings.clone(), host.cloned(), Instant::now()));
    }
}

/// Where things lie, by the settings and this host's entry in the hosts file.
fn place(settings: &Settings, host: Option<&Host>) -> Place {
    let user = host.and_then(|host| host.ssh_user.as_deref());
    let ringrift_path = host.and_then(|host| host.ringrift_path.as_deref()).map(|path| at_home(path, user));
    let beside = |named: &Option<PathBuf>, name: &str| match (named, &ringrift_path) {
        (Some(path), _) => path.clone(),
        (None, Some(base)) => base.join(name),
        (None, None) => settings.state_dir.join(name),
    };
    Place {
        node: settings.node_id.to_string(),
        activate: host.and_then(|host| host.venv_activate.as_deref()).map(|fragment| fragment_at_home(fragment, user)),
        data_dir: beside(&settings.data_dir, "data"),
        logs_dir: beside(&settings.logs_dir, "logs"),
        models_dir: settings.models_dir.value.clone(),
        ringrift_path,
    }
}

/// Where the pipeline's files are.
pub(crate) fn folders(settings: &Settings, host: Option<&Host>) -> Folders {
    let Place { data_dir: data, logs_dir: logs, .. } = place(settings, host);
    Folders { data, logs }
}

/// The classes that can run here, and for each other one why it cannot.
fn offers<'a>(classes: impl Iterator<Item = &'a Class>, place: &Place) -> (Vec<Offer>, Vec<String>) {
    let (mut offers, mut lacking) = (Vec::new(), Vec::new());
    for class in classes {
        let lacks = match class.working_dir_at(place) {
            Err(error) => Some(error.to_string()),
            Ok(Some(folder)) if !folder.is_dir() => {
                Some(format!("class {} runs in {}, and there is no such directory", class.name, folder.display()))
            }
            // A node where the program was never installed would fail a job every few seconds.
            Ok(Some(folder)) => class.scripts().find(|script| !folder.join(script).exists()).map(|script| {
                format!(
                    "class {} runs {}, and there is no such file in {}",
                    class.name,
                    script.display(),
                    folder.display()
                )
            }),
            Ok(None) => None,
        };
        match lacks {
            Some(why) => lacking.push(why),
            None => offers.push(Offer { class: class.name.clone(), kind: class.kind, needs: class.needs.clone() }),
        }
    }
    (offers, lacking)
}

/// A path of the hosts file: `~` is the home of the user that the file logs in as.
fn at_home(path: &str, user: Option<&str>) -> PathBuf {
    match path.strip_prefix("~/").or((path == "~").then_some("")) {
        Some(rest) => home(user).join(rest),
        None => PathBuf::from(path),
    }
}

/// The same inside a fragment of shell, where `~` would be the home of the job's own user.
fn fragment_at_home(fragment: &str, user: Option<&str>) -> String {
    fragment
        .split(' ')
        .map(
            |word| {
                if word.starts_with("~/") {
                    at_home(word, user).to_string_lossy().into_owned()
                } else {
                    word.to_owned()
                }
            },
        )
        .collect::<Vec<_>>()
        .join(" ")
}

fn home(user: Option<&str>) -> PathBuf {
    let named = user.and_then(|user| home_in(&fs::read_to_string("/etc/passwd").unwrap_or_default(), user));
    named.or_else(|| std::env::var_os("HOME").map(PathBuf::from)).unwrap_or_else(|| Path::new("/root").to_owned())
}

/// The home directory of a user, by `passwd`(5).
fn home_in(passwd: &str, user: &str) -> Option<PathBuf> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(user))?;
    line.split(':').nth(5).filter(|home| !home.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use ringrift_job::Classes;

    use super::*;

    #[test]
    fn a_tilde_is_the_home_of_the_files_user() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nubuntu:x:1000:1000::/home/ubuntu:/bin/sh\n";
        assert_eq!(home_in(passwd, "ubuntu"), Some("/home/ubuntu".into()));
        assert_eq!(home_in(passwd, "nobody"), None);
        assert_eq!(at_home("/srv/x", Some("ubuntu")), PathBuf::from("/srv/x"));
        let fragment = fragment_at_home("cd /a && source ~/venv/bin/activate", None);
        assert!(fragment.starts_with("cd /a && source /") && fragment.ends_with("/venv/bin/activate"), "{fragment}");
    }

    #[test]
    fn a_class_whose_directory_is_missing_is_not_offered() {
        let folder = tempfile::tempdir().unwrap();
        let mut place = Place {
            node: "n".to_owned(),
            ringrift_path: None,
            activate: None,
            data_dir: "/d".into(),
            models_dir: "/m".into(),
            logs_dir: "/l".into(),
        };
        let classes = Classes::default();
        let all = || classes.iter().map(|class| &**class);
        let (offered, lacking) = offers(all(), &place);
        assert_eq!((offered.len(), lacking.len()), (0, 4));
        assert!(lacking[0].contains("ringrift_path"), "{lacking:?}");
        place.ringrift_path = Some(folder.path().join("gone"));
        assert!(offers(all(), &place).1[0].contains("no such directory"));
        place.ringrift_path = Some(folder.path().to_owned());
        let (offered, lacking) = offers(all(), &place);
        assert_eq!((offered.len(), lacking.len()), (1, 3), "a module is found by Python alone");
        assert!(lacking[0].contains("quick_gauntlet.py, and there is no such file"), "{lacking:?}");
        fs::create_dir(folder.path().join("scripts")).unwrap();
        for script in ["quick_gauntlet", "run_gpu_selfplay", "run_self_play_soak"] {
            fs::write(folder.path().join(format!("scripts/{script}.py")), "").unwrap();
        }
        assert_eq!(offers(all(), &place).0.len(), 4);
    }
}
