//! `ringrift-launch`: becomes the program that a job's unit runs, and tells how it ended.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use ringrift_job::RunId;
use ringrift_launch::{FOLDER, NOT_STARTED, NOT_STARTED_STATUS, Record, Spec, become_program};
use sd_notify::NotifyState;

const USAGE: &str = "usage: ringrift-launch run|ended ringrift-KIND INSTANCE (called by the units ringrift-*@.service)";

/// Where systemd keeps what was set on units for the time until the next boot.
const RUNTIME_SETTINGS: &str = "/run/systemd/system.control";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let called: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [deed, prefix, instance] = called[..] else { return refuse(USAGE) };
    let Some(run) = RunId::of_unit(&format!("{prefix}@{instance}.service")) else {
        return refuse(&format!("{prefix}@{instance} is the name of no run"));
    };
    match deed {
        "run" => become_run(&run),
        "ended" => {
            let recorded = Record::of(|name| env::var(name).ok(), own_cgroup().as_deref())
                .and_then(|record| record.write(Path::new(FOLDER), &run));
            forget_settings(&run);
            match recorded {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => refuse(&error.to_string()),
            }
        }
        _ => refuse(USAGE),
    }
}

fn become_run(run: &RunId) -> ExitCode {
    let launch = match Spec::read(Path::new(FOLDER), run) {
        Ok(spec) => spec.launch,
        Err(error) => return refuse(&error.to_string()),
    };
    say(&format!("{}, attempt {} of job {}: {}", launch.class, run.attempt, run.job, launch.command.argv.join(" ")));
    match become_program(&launch) {
        Ok(never) => match never {},
        Err(why) => refuse(&why),
    }
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("ringrift-launch: {why}");
    say(&format!("{NOT_STARTED_STATUS}{why}"));
    ExitCode::from(u8::try_from(NOT_STARTED).unwrap_or(1))
}

/// The unit's status line, which `systemctl status` shows.
fn say(status: &str) {
    let line: String = status.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
    // Nobody is told when it is not called by systemd.
    let _ = sd_notify::notify(&[NotifyState::Status(&line)]);
}

/// The cgroup of this process, which is the unit's, in the unified hierarchy.
fn own_cgroup() -> Option<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(Path::new("/sys/fs/cgroup").join(path))
}

/// Removes the limits that were set on this unit alone. systemd keeps them until the next boot, and a node runs thousands of
/// jobs until then.
fn forget_settings(run: &RunId) {
    let _ = fs::remove_dir_all(Path::new(RUNTIME_SETTINGS).join(format!("{}.d", run.unit())));
}
