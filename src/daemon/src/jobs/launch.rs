//! What is started for a job that was given to this node.

use std::sync::Arc;

use ringrift_config::Settings;
use ringrift_job::{Class, Launch, Place};
use ringrift_state::Job;

/// What a runner is given, and by which class; or why this node cannot run the job.
pub(super) fn launch(job: &Job, settings: &Settings, place: &Place) -> Result<(Arc<Class>, Launch), String> {
    let run = job.run().ok_or("nobody has it")?;
    let class = settings.job_classes.get(job.class.as_str());
    let class =
        class.ok_or_else(|| format!("{} has no class {}: see job_classes in its settings", place.node, job.class))?;
    if class.kind != job.kind {
        return Err(format!("class {} is {} on {}, and the job is {}", class.name, class.kind, place.node, job.kind));
    }
    // The leader checked them by its own settings; this node's are what counts.
    let params = class.params(&job.params).map_err(|e| format!("{} takes other values: {e}", place.node))?;
    let command = class.command(&run, &params, place).map_err(|e| e.to_string())?;
    let launch = Launch {
        run,
        class: class.name.clone(),
        command,
        limits: job.limits.or(&class.limits),
        gpus: job.assignment().map(|assignment| assignment.gpus.clone()).unwrap_or_default(),
        grace: class.grace.map_or(*settings.limits.job_grace, ringrift_job::Seconds::duration),
    };
    Ok((class.clone(), launch))
}
