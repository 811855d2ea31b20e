use std::fmt::Write as _;

use clap::Args;
use ringrift_api::{AttemptView, JobShown, JobView};
use ringrift_job::{Ending, JobId};

use super::{list::tone, values::limits_text};
use crate::{
    age,
    bytes::bytes,
    context::{Context, Fetched},
    failure::Failure,
    paint::Paint,
    report::Report,
};

/// Which job.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The job, as `jobs list` names it
    #[arg(value_name = "JOB")]
    pub(super) job: JobId,
}

pub(super) async fn run(context: &Context, args: &ShowArgs) -> Result<Report, Failure> {
    let shown: Fetched<JobShown> = context.client(None)?.get_json(&format!("/api/jobs/{}", args.job)).await?;
    Ok(Report::ok(text(&shown.typed, context.paint), shown.raw))
}

fn text(shown: &JobShown, paint: Paint) -> String {
    let job = &shown.job;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<10} {value}");
        }
    };
    line("Job:", job.job_id.as_str());
    line("Class:", &format!("{} ({})", job.job_type, job.kind));
    let status = paint.text(tone(job.status), job.status.as_str());
    line("Status:", &if job.stopping { format!("{status}, to be stopped") } else { status });
    line("Message:", &job.message);
    line("Node:", job.claimed_by.as_deref().unwrap_or_default());
    line("GPUs:", &job.gpus.iter().map(u32::to_string).collect::<Vec<_>>().join(", "));
    line("Values:", &values(job));
    // Which are in force there `jobs here NODE` says.
    line("Limits:", &format!("those of its class; of its own {}", limits_text(&job.limits)));
    line("Attempt:", &format!("{} of {}", job.attempts, job.max_attempts));
    line("Priority:", &job.priority.to_string());
    line("After:", &job.depends_on.iter().map(JobId::as_str).collect::<Vec<_>>().join(", "));
    line("Asked for:", &format!("{} by {}", age::moment(job.created_at), job.requested_by));
    line("Started:", &job.started_at.map(age::moment).unwrap_or_default());
    line("Over:", &job.completed_at.map(age::moment).unwrap_or_default());
    line("Ending:", &job.ending.as_ref().map(ending).unwrap_or_default());
    if !shown.history.is_empty() {
        text.push_str("\nEarlier attempts:\n");
        for attempt in &shown.history {
            text.push_str(&earlier(attempt));
        }
    }
    text
}

fn values(job: &JobView) -> String {
    job.config.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

fn earlier(attempt: &AttemptView) -> String {
    let AttemptView { attempt, claimed_by, ending: ended, message, at } = attempt;
    let by = claimed_by.as_deref().unwrap_or("-");
    let how = ended.as_ref().map(|ended| format!("; it {}", ending(ended))).unwrap_or_default();
    format!("  {attempt}  {}  {by}: {message}{how}\n", age::moment(*at))
}

/// How a run ended, and what it used.
pub(super) fn ending(ending: &Ending) -> String {
    let mut text = format!("{} after {:.1} s", ending.how, ending.ran_ms as f64 / 1000.0);
    if let Some(cpu) = ending.usage.cpu_ms {
        let _ = write!(text, ", {:.1} s of processor time", cpu as f64 / 1000.0);
    }
    if let Some(peak) = ending.usage.memory_peak {
        let _ = write!(text, ", {} of memory at most", bytes(peak));
    }
    text
}
