use ringrift_api::{Component, ComponentReport, ComponentStatus};
use ringrift_health::{Found, Games, Pipeline, Training};

use super::{Picture, health};

/// From here on what is not written to is told of, seconds (contract §6).
const GAMES_OLD: f64 = 3_600.0;
const MATCHES_OLD: f64 = 7_200.0;
const HEARTBEATS_OLD: f64 = 3_600.0;

/// Limits of contract §6: warned of from, critical from. Those of memory and disk are settings.
const CPU_PERCENT: (f64, f64) = (70.0, 80.0);
const OPEN_FILES_PERCENT: (f64, f64) = (80.0, 90.0);
const CLOSE_WAIT: (f64, f64) = (20.0, 50.0);
const SOCKETS: (f64, f64) = (200.0, 500.0);

/// `GET /api/health/components`, contract §6.
pub(super) fn report(picture: &Picture) -> ComponentReport {
    let pipeline = picture.pipeline.as_deref();
    let components = vec![
        data_sync(pipeline, picture.now),
        training(pipeline),
        evaluation(pipeline, picture.now),
        coordinator(pipeline, picture.now),
        health::subsystems(picture),
        resources(picture),
    ];
    ComponentReport::of(picture.node.clone(), health::timestamp(picture.now), components)
}

/// Before the daemon has looked for the first time, a moment after its start.
fn not_yet(name: &str) -> Component {
    Component::new(name, ComponentStatus::Unknown, "not looked at yet")
}

fn data_sync(pipeline: Option<&Pipeline>, now: f64) -> Component {
    const NAME: &str = "data_sync";
    let Some(pipeline) = pipeline else { return not_yet(NAME) };
    let path = pipeline.folders.data.join("games/selfplay.db");
    let Games { written, count } = match &pipeline.games {
        Found::Missing => {
            return Component::new(NAME, ComponentStatus::Error, format!("{} is not there", path.display()));
        }
        Found::Unreadable(why) => return Component::new(NAME, ComponentStatus::Error, why),
        Found::Read(games) => games,
    };
    let games = count.map_or_else(|| "games not counted in time".to_owned(), |count| format!("{count} games"));
    let mut component = aged(NAME, &games, "last written to", *written, now, GAMES_OLD);
    component.details.extend([
        ("database".to_owned(), path.to_string_lossy().into()),
        ("games".to_owned(), (*count).into()),
        ("age_seconds".to_owned(), (now - written).max(0.0).round().into()),
    ]);
    component
}

fn training(pipeline: Option<&Pipeline>) -> Component {
    const NAME: &str = "training";
    let Some(pipeline) = pipeline else { return not_yet(NAME) };
    let Training { run, written, success } = match &pipeline.training {
        Found::Missing => return Component::new(NAME, ComponentStatus::Unknown, "no run yet"),
        Found::Unreadable(why) => return Component::new(NAME, ComponentStatus::Warning, why),
        Found::Read(training) => training,
    };
    let (status, message) = match success {
        Found::Read(true) => (ComponentStatus::Ok, format!("run {run} had success")),
        Found::Read(false) => (ComponentStatus::Warning, format!("run {run} failed")),
        Found::Unreadable(why) => (ComponentStatus::Warning, why.clone()),
        Found::Missing => (ComponentStatus::Unknown, format!("run {run} has no report yet")),
    };
    let mut component = Component::new(NAME, status, message);
    component.last_activity = Some(*written);
    component.details.insert("run".to_owned(), run.as_str().into());
    component
}

fn evaluation(pipeline: Option<&Pipeline>, now: f64) -> Component {
    const NAME: &str = "evaluation";
    let Some(pipeline) = pipeline else { return not_yet(NAME) };
    let path = pipeline.folders.data.join("unified_elo.db");
    match &pipeline.newest_match {
        Found::Missing => Component::new(NAME, ComponentStatus::Warning, format!("{} is not there", path.display())),
        Found::Unreadable(why) => Component::new(NAME, ComponentStatus::Warning, why),
        Found::Read(None) => Component::new(NAME, ComponentStatus::Warning, "no match yet"),
        Found::Read(Some(at)) => aged(NAME, "ratings", "newest match", *at, now, MATCHES_OLD),
    }
}

fn coordinator(pipeline: Option<&Pipeline>, now: f64) -> Component {
    const NAME: &str = "coordinator";
    let Some(pipeline) = pipeline else { return not_yet(NAME) };
    match &pipeline.newest_heartbeat {
        // Most nodes coordinate nothing.
        Found::Missing => Component::new(NAME, ComponentStatus::Unknown, "no task registry here"),
        Found::Unreadable(why) => Component::new(NAME, ComponentStatus::Warning, why),
        Found::Read(None) => Component::new(NAME, ComponentStatus::Ok, "no task"),
        Found::Read(Some(at)) => aged(NAME, "tasks", "newest heartbeat", *at, now, HEARTBEATS_OLD),
    }
}

/// Something that happened at `at`, and should have happened again within `limit` seconds.
fn aged(name: &str, what: &str, deed: &str, at: f64, now: f64, limit: f64) -> Component {
    let age = (now - at).max(0.0);
    let minutes = |seconds: f64| (seconds / 60.0).floor();
    let told = format!("{what}, {deed} {} minutes ago", minutes(age));
    let (status, message) = if age > limit {
        (ComponentStatus::Warning, format!("{told}, warned of from {} minutes on", minutes(limit)))
    } else {
        (ComponentStatus::Ok, told)
    };
    let mut component = Component::new(name, status, message);
    component.last_activity = Some(at);
    component
}

/// One measured thing and its limits.
pub(super) struct Limit {
    name: &'static str,
    value: f64,
    unit: &'static str,
    warning: f64,
    critical: f64,
}

/// Memory and disk, with the limits that the settings have for them.
pub(super) fn storage(picture: &Picture) -> Vec<Limit> {
    let limits = &picture.settings.limits;
    let limit = |name, value, warning: u8, critical: u8| Limit {
        name,
        value,
        unit: " %",
        warning: f64::from(warning),
        critical: f64::from(critical),
    };
    vec![
        limit("memory", picture.resources.memory_percent, *limits.memory_warning, *limits.memory_critical),
        limit("disk", picture.resources.disk_percent, *limits.disk_warning, *limits.disk_critical),
    ]
}

/// The worst, and a message for each that is past a limit.
pub(super) fn judged(limits: &[Limit]) -> (ComponentStatus, Vec<String>) {
    let (mut worst, mut messages) = (ComponentStatus::Ok, Vec::new());
    for Limit { name, value, unit, warning, critical } in limits {
        if value >= critical {
            worst = ComponentStatus::Error;
            messages.push(format!("{name} at {value:.0}{unit}, critical from {critical:.0}{unit}"));
        } else if value >= warning {
            if worst == ComponentStatus::Ok {
                worst = ComponentStatus::Warning;
            }
            messages.push(format!("{name} at {value:.0}{unit}, warned of from {warning:.0}{unit}"));
        }
    }
    (worst, messages)
}

/// The component of the host's load; without anything to say of it, its figures.
pub(super) fn named_resources(picture: &Picture, worst: ComponentStatus, mut messages: Vec<String>) -> Component {
    let resources = &picture.resources;
    if messages.is_empty() {
        messages.push(format!(
            "CPU {:.0} %, memory {:.0} %, disk {:.0} %",
            resources.cpu_percent, resources.memory_percent, resources.disk_percent
        ));
    }
    let mut component = Component::new("resources", worst, messages.join(", "));
    component.last_activity = Some(picture.now);
    component
}

/// What the host has, and what the daemon takes of it. Unlike for `/health`, a busy CPU counts.
fn resources(picture: &Picture) -> Component {
    let resources = &picture.resources;
    let limit = |name, value, unit, (warning, critical)| Limit { name, value, unit, warning, critical };
    let mut limits = vec![limit("CPU", resources.cpu_percent, " %", CPU_PERCENT)];
    limits.extend(storage(picture));
    let open = picture.pipeline.as_deref().and_then(|pipeline| pipeline.open);
    if let Some(open) = open {
        let of_limit =
            open.files_limit.filter(|limit| *limit > 0).map(|limit| open.files as f64 * 100.0 / limit as f64);
        limits.extend(of_limit.map(|percent| limit("open files", percent, " % of the limit", OPEN_FILES_PERCENT)));
        limits.push(limit("sockets that wait to be closed", open.close_wait as f64, "", CLOSE_WAIT));
        limits.push(limit("sockets", open.sockets as f64, "", SOCKETS));
    }
    let (worst, messages) = judged(&limits);
    let mut component = named_resources(picture, worst, messages);
    component.details.extend([
        ("cpu_percent".to_owned(), resources.cpu_percent.into()),
        ("memory_percent".to_owned(), resources.memory_percent.into()),
        ("disk_percent".to_owned(), resources.disk_percent.into()),
        ("disk_free_gb".to_owned(), resources.disk_free_gb.into()),
    ]);
    if let Some(open) = open {
        component.details.extend([
            ("open_files".to_owned(), open.files.into()),
            ("open_files_limit".to_owned(), open.files_limit.into()),
            ("sockets".to_owned(), open.sockets.into()),
            ("close_wait".to_owned(), open.close_wait.into()),
        ]);
    }
    component
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use ringrift_health::{Folders, Open};

    use super::*;

    const NOW: f64 = 1_772_355_600.0;

    fn pipeline() -> Pipeline {
        Pipeline {
            folders: Folders { data: PathBuf::from("/d"), logs: PathBuf::from("/l") },
            games: Found::Missing,
            training: Found::Missing,
            newest_match: Found::Missing,
            newest_heartbeat: Found::Missing,
            open: Some(Open::default()),
        }
    }

    /// Status and message of a component.
    fn told(component: &Component) -> (&'static str, &str) {
        (component.status.as_str(), &component.message)
    }

    #[test]
    fn games_are_an_error_without_a_database_and_a_warning_when_they_are_old() {
        let unreadable = Found::Unreadable("it is broken".to_owned());
        for (games, status, message) in [
            (Found::Missing, "error", "/d/games/selfplay.db is not there"),
            (unreadable, "error", "it is broken"),
            (
                Found::Read(Games { written: NOW - 3_600.0, count: Some(7) }),
                "ok",
                "7 games, last written to 60 minutes ago",
            ),
            (
                Found::Read(Games { written: NOW - 3_661.0, count: Some(7) }),
                "warning",
                "7 games, last written to 61 minutes ago, warned of from 60 minutes on",
            ),
            (
                Found::Read(Games { written: NOW + 5.0, count: None }),
                "ok",
                "games not counted in time, last written to 0 minutes ago",
            ),
        ] {
            let pipeline = Pipeline { games, ..pipeline() };
            assert_eq!(told(&data_sync(Some(&pipeline), NOW)), (status, message));
        }
        assert_eq!(told(&data_sync(None, NOW)), ("unknown", "not looked at yet"));
    }

    #[test]
    fn training_is_as_well_as_its_newest_run() {
        let run = |success| Found::Read(Training { run: "r".to_owned(), written: NOW, success });
        for (training_found, status, message) in [
            (Found::Missing, "unknown", "no run yet"),
            (Found::Unreadable("no way in".to_owned()), "warning", "no way in"),
            (run(Found::Read(true)), "ok", "run r had success"),
            (run(Found::Read(false)), "warning", "run r failed"),
            (run(Found::Unreadable("no JSON".to_owned())), "warning", "no JSON"),
            (run(Found::Missing), "unknown", "run r has no report yet"),
        ] {
            let pipeline = Pipeline { training: training_found, ..pipeline() };
            assert_eq!(told(&training(Some(&pipeline))), (status, message));
        }
    }

    #[test]
    fn matches_and_heartbeats_grow_old() {
        for (found, of_matches, of_tasks) in [
            (Found::Missing, "warning", "unknown"),
            (Found::Unreadable("x".to_owned()), "warning", "warning"),
            (Found::Read(None), "warning", "ok"),
            (Found::Read(Some(NOW - 3_500.0)), "ok", "ok"),
            (Found::Read(Some(NOW - 3_700.0)), "ok", "warning"),
            (Found::Read(Some(NOW - 7_300.0)), "warning", "warning"),
        ] {
            let pipeline = Pipeline { newest_match: found.clone(), newest_heartbeat: found.clone(), ..pipeline() };
            assert_eq!(evaluation(Some(&pipeline), NOW).status.as_str(), of_matches, "{found:?}");
            assert_eq!(coordinator(Some(&pipeline), NOW).status.as_str(), of_tasks, "{found:?}");
        }
    }

    #[test]
    fn a_limit_is_warned_of_and_then_critical() {
        let limit = |value| Limit { name: "x", value, unit: " %", warning: 70.0, critical: 80.0 };
        for (values, worst, message) in [
            (vec![69.9], "ok", ""),
            (vec![70.0], "warning", "x at 70 %, warned of from 70 %"),
            (vec![80.0, 70.0], "error", "x at 80 %, critical from 80 %, x at 70 %, warned of from 70 %"),
        ] {
            let limits: Vec<Limit> = values.into_iter().map(limit).collect();
            let (status, messages) = judged(&limits);
            assert_eq!((status.as_str(), messages.join(", ").as_str()), (worst, message));
        }
    }
}
