use std::fmt::Write as _;

use clap::Args;
use ringrift_api::{JobList, JobStatus, JobView};
use ringrift_config::NodeId;

use crate::{
    age,
    context::{Context, Fetched},
    failure::Failure,
    paint::{Paint, Tone},
    report::Report,
    table::{Cell, Table, left, right},
};

/// Which jobs.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only jobs of this status: pending, claimed, running, completed, failed, timeout or cancelled
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<JobStatus>,

    /// Only jobs of this class
    #[arg(long = "type", value_name = "CLASS")]
    class: Option<String>,

    /// Only jobs that this node has
    #[arg(long, value_name = "NODE")]
    node: Option<NodeId>,

    /// Also jobs that are over
    #[arg(long, short)]
    all: bool,

    /// How many, the newest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

pub(super) async fn run(context: &Context, args: &ListArgs) -> Result<Report, Failure> {
    let mut query = format!("?limit={}", args.limit);
    if let Some(status) = args.status {
        let _ = write!(query, "&status={status}");
    } else if !args.all {
        query.push_str("&status=open");
    }
    if let Some(class) = &args.class {
        let plain = class.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_');
        let _ = write!(query, "&type={}", plain.collect::<String>());
    }
    if let Some(node) = &args.node {
        let _ = write!(query, "&node={node}");
    }
    let list: Fetched<JobList> = context.client(None)?.get_json(&format!("/api/jobs{query}")).await?;
    let mut text = match list.typed.jobs.as_slice() {
        [] => "No jobs.\n".to_owned(),
        jobs => table(jobs, context.paint),
    };
    let shown = list.typed.jobs.len() as u64;
    if shown < list.typed.total {
        let _ = writeln!(text, "{shown} of {} are shown: --limit shows more.", list.typed.total);
    }
    Ok(Report::ok(text, list.raw))
}

/// Jobs, one a line.
pub(crate) fn table(jobs: &[JobView], paint: Paint) -> String {
    let mut table = Table::new(&[
        left("JOB"),
        left("STATUS"),
        left("GAME"),
        left("NODE"),
        right("PRIORITY"),
        right("ATTEMPT"),
        left("SINCE"),
        left("MESSAGE"),
    ]);
    for job in jobs {
        table.row(vec![
            job.job_id.as_str().into(),
            Cell::toned(shown(job), tone(job.status)),
            job.config_key.map_or_else(|| "-".to_owned(), |game| game.to_string()).into(),
            job.claimed_by.as_deref().unwrap_or("-").into(),
            job.priority.to_string().into(),
            format!("{}/{}", job.attempts, job.max_attempts).into(),
            age::moment(job.completed_at.or(job.started_at).unwrap_or(job.created_at)).into(),
            job.message.as_str().into(),
        ]);
    }
    table.render(paint)
}

fn shown(job: &JobView) -> &'static str {
    if job.stopping { "stopping" } else { job.status.as_str() }
}

pub(super) fn tone(status: JobStatus) -> Tone {
    match status {
        JobStatus::Pending | JobStatus::Cancelled => Tone::Plain,
        JobStatus::Claimed => Tone::Warn,
        JobStatus::Running | JobStatus::Completed => Tone::Good,
        JobStatus::Failed | JobStatus::Timeout => Tone::Bad,
    }
}

/// Reads a status.
fn status(text: &str) -> Result<JobStatus, String> {
    let known = JobStatus::ALL.into_iter().find(|status| status.as_str() == text);
    known.ok_or_else(|| format!("expected one of {}", JobStatus::ALL.map(JobStatus::as_str).join(", ")))
}
