use std::fmt::Write as _;

use clap::Args;
use ringrift_api::{LocalJob, NodeJobs};
use ringrift_config::NodeId;
use ringrift_job::ClassName;

use super::values::limits_text;
use crate::{
    bytes::bytes,
    context::{Context, Fetched},
    failure::Failure,
    paint::Tone,
    report::Report,
    table::{Cell, Table, left, right},
};

/// Which node.
#[derive(Debug, Args)]
pub(crate) struct HereArgs {
    /// A node, asked through the daemon at --api; without it, that daemon itself
    #[arg(value_name = "NODE")]
    node: Option<NodeId>,
}

pub(super) async fn run(context: &Context, args: &HereArgs) -> Result<Report, Failure> {
    let here: Fetched<NodeJobs> = context.client(args.node.as_ref())?.get_json("/api/jobs/here").await?;
    let NodeJobs { node_id, runner, refuses, slots, classes, unavailable, not_enforced, backing_off, jobs } =
        &here.typed;
    let mut text = format!("{node_id}: {} of {slots} slots in use, runner {runner}\n", jobs.len());
    let names = classes.iter().map(ClassName::as_str).collect::<Vec<_>>().join(", ");
    let _ = writeln!(text, "Classes: {}", if names.is_empty() { "none" } else { &names });
    for reason in refuses {
        let _ = writeln!(text, "{}", context.paint.text(Tone::Warn, &format!("Takes no work: {reason}")));
    }
    for reason in unavailable {
        let _ = writeln!(text, "Cannot run {reason}");
    }
    for waiting in backing_off {
        let _ = writeln!(
            text,
            "{} waits {:.0} s after {} failures: {}",
            waiting.class, waiting.seconds, waiting.failures, waiting.reason
        );
    }
    for limit in not_enforced {
        let _ = writeln!(text, "Not enforced here: {limit}");
    }
    if !jobs.is_empty() {
        text.push('\n');
        text.push_str(&table(jobs, context));
    }
    Ok(Report::ok(text, here.raw))
}

fn table(jobs: &[LocalJob], context: &Context) -> String {
    let mut table = Table::new(&[
        left("JOB"),
        right("ATTEMPT"),
        left("STATUS"),
        right("PID"),
        right("RUNTIME"),
        right("CPU"),
        right("MEMORY"),
        right("PEAK"),
        right("TASKS"),
        left("GPUS"),
        left("LIMITS"),
    ]);
    let size = |bytes_used: Option<u64>| bytes_used.map_or_else(|| "-".to_owned(), bytes);
    for job in jobs {
        let gpus = job.gpus.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let tone = if job.status == "running" { Tone::Good } else { Tone::Plain };
        table.row(vec![
            job.job_id.as_str().into(),
            job.attempt.to_string().into(),
            Cell::toned(job.status.as_str(), tone),
            job.pid.to_string().into(),
            format!("{:.0} s", job.runtime_seconds).into(),
            job.usage.cpu_ms.map_or_else(|| "-".to_owned(), |ms| format!("{:.1} s", ms as f64 / 1000.0)).into(),
            size(job.usage.memory).into(),
            size(job.usage.memory_peak).into(),
            job.usage.tasks.map_or_else(|| "-".to_owned(), |tasks| tasks.to_string()).into(),
            if gpus.is_empty() { "-".to_owned() } else { gpus }.into(),
            limits_text(&job.limits).into(),
        ]);
    }
    table.render(context.paint)
}
