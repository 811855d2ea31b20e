use std::time::Duration;

use ringrift_job::{Ending, RunId, Usage};
use ringrift_launch::Code;
use ringrift_systemd::{
    manager::{ListedUnit, ServiceProxy},
    zbus,
};

use super::{
    bus::Session,
    ending::{Told, unseen},
    files::Files,
};
use crate::RunState;

/// `si_code` of `waitid(2)`.
const EXITED: i32 = 1;
const KILLED: i32 = 2;
const DUMPED: i32 = 3;

/// How a run is whose unit is loaded; none when that unit never ran, so that it says nothing.
pub(super) async fn state(
    session: &Session,
    listed: &ListedUnit,
    run: &RunId,
    files: &Files,
) -> zbus::Result<Option<RunState>> {
    let service = listed.service(&session.connection).await?;
    Ok(match listed.active_state.as_str() {
        "deactivating" => Some(RunState::Stopping),
        "activating" => Some(RunState::Starting),
        "inactive" | "failed" if listed.job_type == "start" => Some(RunState::Starting),
        "inactive" | "failed" => {
            let told = told(&service).await?;
            let never_ran = told.started_us == 0 && listed.active_state == "inactive";
            let record = files.record(run);
            (!never_ran).then(|| RunState::Ended(told.completed(record.as_ref()).ending(files.stop(run).as_ref())))
        }
        _ => {
            let (pid, since_us) = (service.main_pid().await?, service.exec_main_start_timestamp().await?);
            let started_us = service.exec_main_start_timestamp_monotonic().await?;
            match (pid, started_us) {
                // It ended, and was unloaded, while it was looked at.
                (_, 0) => None,
                (0, _) => Some(RunState::Stopping),
                _ if files.stop(run).is_some_and(|stop| stop.signalled) => Some(RunState::Stopping),
                (pid, started_us) => {
                    let ran = Duration::from_micros(ringrift_launch::monotonic_us().saturating_sub(started_us));
                    Some(RunState::Running { since_ms: since_us / 1000, ran_ms: ran.as_millis() as u64, pid })
                }
            }
        }
    })
}

/// How a run ended that systemd knows nothing of any more.
pub(super) fn recorded_ending(run: &RunId, files: &Files) -> Ending {
    let stop = files.stop(run);
    match files.record(run) {
        Some(record) => {
            let written_us = files.spec(run).map(|spec| spec.written_us);
            Told::of_record(&record, written_us).ending(stop.as_ref())
        }
        None => unseen(stop.as_ref()),
    }
}

async fn told(service: &ServiceProxy<'_>) -> zbus::Result<Told> {
    let status = service.exec_main_status().await?;
    let code = match service.exec_main_code().await? {
        EXITED => Some(Code::Exited(status)),
        KILLED | DUMPED => Some(Code::Signalled(status)),
        _ => None,
    };
    Ok(Told {
        result: service.result().await?,
        code,
        status_text: service.status_text().await?,
        started_us: service.exec_main_start_timestamp_monotonic().await?,
        ended_us: service.exec_main_exit_timestamp_monotonic().await?,
        usage: usage(service).await?,
    })
}

/// What a service uses.
pub(super) async fn usage(service: &ServiceProxy<'_>) -> zbus::Result<Usage> {
    let known = |number: u64| Some(number).filter(|number| *number != u64::MAX);
    Ok(Usage {
        cpu_ms: known(service.cpu_usage_nsec().await?).map(|nanoseconds| nanoseconds / 1_000_000),
        // systemd before 255 has no such property.
        memory_peak: service.memory_peak().await.ok().and_then(known),
        memory: known(service.memory_current().await?),
        tasks: known(service.tasks_current().await?),
        processes: None,
    })
}

/// The same of one that runs.
pub(super) async fn usage_now(service: &ServiceProxy<'_>) -> zbus::Result<Usage> {
    let processes = service.get_processes().await?.len() as u64;
    Ok(Usage { processes: Some(processes), ..usage(service).await? })
}
