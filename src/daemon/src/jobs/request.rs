//! What somebody asks for becomes a job, or a sentence that says why not.

use std::collections::BTreeMap;

use ringrift_api::{SubmitRequest, WorkAdd};
use ringrift_config::Settings;
use ringrift_job::{Class, JobId, ParamError, ParamValue, Params};
use ringrift_state::{NewJob, Origin};
use tracing::warn;

use crate::http::error::ApiError;

/// The priority of a job of which nobody says any.
const PRIORITY: i32 = 50;

/// Keys that old clients send for every class, whether it has such a parameter or not.
const SENT_ANYHOW: [&str; 4] = ["board_type", "num_players", "engine_mode", "total_games"];

/// A job that an operator asks for.
pub(crate) fn from_submit(settings: &Settings, request: SubmitRequest) -> Result<NewJob, ApiError> {
    let SubmitRequest {
        job_type,
        priority,
        depends_on,
        timeout_seconds,
        max_attempts,
        node_id,
        limits,
        job_id,
        by,
        params,
        others,
    } = request;
    let class = class(settings, &job_type)?;
    limits.check().map_err(|error| ApiError::BadRequest(error.to_string()))?;
    let mut values = others;
    values.retain(|name, _| takes(class, name) || !SENT_ANYHOW.contains(&name.as_str()));
    values.extend(params);
    let job = new_job(class, values, job_id)?;
    Ok(NewJob {
        priority: priority.unwrap_or(PRIORITY),
        depends_on,
        timeout_s: timeout_seconds.unwrap_or(0),
        max_attempts: max_attempts.unwrap_or(class.attempts),
        pinned: node_id,
        by: by.unwrap_or_default(),
        limits,
        ..job
    })
}

/// An item of the work queue.
pub(crate) fn from_work(settings: &Settings, item: WorkAdd, by: &str) -> Result<NewJob, ApiError> {
    let WorkAdd { work_type, priority, config, timeout_seconds, depends_on, max_attempts, work_id } = item;
    let class = class(settings, &work_type)?;
    if !(0.0..=31_622_400.0).contains(&timeout_seconds) {
        return Err(ApiError::BadRequest(format!(
            "timeout_seconds is {timeout_seconds}: expected 0 to 31622400 (a year)"
        )));
    }
    let job = new_job(class, config, work_id)?;
    Ok(NewJob {
        priority,
        depends_on,
        timeout_s: timeout_seconds.ceil() as u64,
        max_attempts: max_attempts.unwrap_or(class.attempts),
        origin: Origin::Work,
        by: by.to_owned(),
        ..job
    })
}

fn class<'a>(settings: &'a Settings, name: &str) -> Result<&'a Class, ApiError> {
    settings.job_classes.get(name).map(|class| &**class).ok_or_else(|| {
        let known: Vec<&str> = settings.job_classes.iter().map(|class| class.name.as_str()).collect();
        let name: String = name.chars().take(80).collect();
        ApiError::BadRequest(format!(
            "there is no class of jobs {name:?}; there are {}. More are defined by job_classes in the nodes' settings",
            known.join(", ")
        ))
    })
}

fn takes(class: &Class, name: &str) -> bool {
    class.params.iter().any(|(own, param)| own == name || param.aliases.iter().any(|alias| alias == name))
}

fn new_job(class: &Class, values: BTreeMap<String, ParamValue>, id: Option<JobId>) -> Result<NewJob, ApiError> {
    let params = class.params(&Params::new(values)).map_err(|error| {
        // Somebody who tries to say what runs is worth a line.
        if let ParamError::Command(_) = error {
            warn!(class = %class.name, "a request was refused: {error}");
        }
        ApiError::BadRequest(format!("{}: {error}", class.name))
    })?;
    Ok(NewJob {
        id: id.unwrap_or_else(|| JobId::new(&class.name, rand::random())),
        class: class.name.clone(),
        kind: class.kind,
        game: class.game(&params),
        params,
        priority: PRIORITY,
        depends_on: Vec::new(),
        timeout_s: 0,
        max_attempts: class.attempts,
        pinned: None,
        origin: Origin::Operator,
        by: String::new(),
        limits: ringrift_job::Limits::default(),
    })
}
