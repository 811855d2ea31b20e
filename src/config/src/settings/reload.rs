//! Which settings take another value while the daemon runs?

use std::collections::BTreeSet;

use ringrift_job::Classes;

use super::{Settings, key};

/// What became of the settings when their sources were read again.
#[derive(Debug, Clone)]
pub struct Reread {
    /// What is in force from now on: what can change has its new value, everything else its old one.
    pub settings: Settings,
    /// What is different now, one sentence each.
    pub changes: Vec<String>,
    /// What was changed and is in force after a restart alone, one sentence each.
    pub need_restart: Vec<String>,
}

impl Settings {
    /// Takes of `new` what can change while the daemon runs: classes of jobs, where their data lies, limits, and how the leader
    /// treats nodes and queue. Ports, names, keys and timers stay as they are.
    #[must_use]
    pub fn reread(&self, new: &Self) -> Reread {
        let settings = Self {
            job_classes: new.job_classes.clone(),
            data_dir: new.data_dir.clone(),
            logs_dir: new.logs_dir.clone(),
            jobs_fill: new.jobs_fill.clone(),
            reconnect_window: new.reconnect_window.clone(),
            models_watch: new.models_watch.clone(),
            limits: new.limits.clone(),
            ..self.clone()
        };
        let mut changes = differences(self, &settings);
        changes.extend(class_differences(&self.job_classes, &settings.job_classes));
        let mut need_restart = differences(&settings, new);
        // Its line says no more than that there is one.
        if settings.tokens.value != new.tokens.value {
            need_restart.push("the token is another one".to_owned());
        }
        Reread { settings, changes, need_restart }
    }
}

/// One sentence for each setting but the classes that has another value.
fn differences(old: &Settings, new: &Settings) -> Vec<String> {
    let lines = old.effective().into_iter().zip(new.effective());
    let changed = lines.filter(|((name, old, _), (_, new, _))| *name != key::JOB_CLASSES && old != new);
    changed.map(|((name, old, _), (_, new, source))| format!("{name}: {old} → {new} ({source})")).collect()
}

fn class_differences(old: &Classes, new: &Classes) -> Vec<String> {
    let names: BTreeSet<&str> = old.iter().chain(new.iter()).map(|class| class.name.as_str()).collect();
    let by_name = |classes: &Classes, name: &str| classes.iter().find(|class| class.name.as_str() == name).cloned();
    let told = names.into_iter().filter_map(|name| match (by_name(old, name), by_name(new, name)) {
        (None, Some(_)) => Some(format!("job class {name} added")),
        (Some(_), None) => Some(format!("job class {name} removed")),
        (Some(old), Some(new)) if old != new => Some(format!("job class {name} changed")),
        (Some(_), Some(_)) | (None, None) => None,
    });
    told.collect()
}
