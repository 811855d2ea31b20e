use clap::Args;
use ringrift_api::{JobLimited, JobShown, LimitsRequest};
use ringrift_job::JobId;

use super::values::{Pair, limits, limits_text, pair};
use crate::{
    command::nodes::operator,
    context::{Context, Fetched},
    failure::Failure,
    report::Report,
};

/// Which job, and which limits.
#[derive(Debug, Args)]
pub(crate) struct LimitsArgs {
    /// The job, as `jobs list` names it
    #[arg(value_name = "JOB")]
    job: JobId,

    /// Limits to change: memory_high, memory_max, cpu_quota, cpu_weight, io_weight, tasks_max, allowed_cpus
    #[arg(value_name = "NAME=VALUE", value_parser = pair)]
    limits: Vec<Pair>,
}

pub(super) async fn run(context: &Context, args: LimitsArgs) -> Result<Report, Failure> {
    let client = context.client(None)?;
    if args.limits.is_empty() {
        let shown: Fetched<JobShown> = client.get_json(&format!("/api/jobs/{}", args.job)).await?;
        let text =
            format!("{} has, over the limits of its class: {}\n", args.job, limits_text(&shown.typed.job.limits));
        return Ok(Report::ok(text, serde_json::json!({ "job_id": args.job, "limits": shown.typed.job.limits })));
    }
    let request = LimitsRequest { limits: limits(&args.limits)?, by: Some(operator()) };
    let limited: Fetched<JobLimited> = client.post_json(&format!("/api/jobs/{}/limits", args.job), &request).await?;
    Ok(Report::ok(format!("{}\n", limited.typed.message), limited.raw))
}
