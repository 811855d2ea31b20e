use std::fmt::Write as _;

use clap::Args;
use ringrift_api::JobCancelled;
use ringrift_job::JobId;
use serde_json::{Value, json};

use super::submit::until_over;
use crate::{
    context::{Context, Fetched},
    exit::Exit,
    failure::Failure,
    report::Report,
};

/// Which jobs.
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The jobs, as `jobs list` names them
    #[arg(value_name = "JOB", required = true)]
    jobs: Vec<JobId>,

    /// Wait until they have ended
    #[arg(long)]
    wait: bool,
}

/// Asks for one after the other. One that is refused does not keep the others from being asked for.
pub(super) async fn run(context: &Context, args: CancelArgs) -> Result<Report, Failure> {
    let client = context.client(None)?;
    let (mut text, mut done, mut failed) = (String::new(), Vec::<Value>::new(), Vec::<Failure>::new());
    for job in &args.jobs {
        let path = format!("/api/jobs/{job}/cancel");
        match client.post_json::<Fetched<JobCancelled>>(&path, &json!({})).await {
            Ok(cancelled) => {
                let _ = writeln!(text, "{}", cancelled.typed.message);
                if args.wait && !cancelled.typed.status.is_over() {
                    let over = until_over(context, &client, job).await?;
                    let _ = writeln!(text, "{job} is {}", over.job.status);
                }
                done.push(cancelled.raw);
            }
            Err(error) => failed.push(error.into()),
        }
    }
    if done.is_empty() && failed.len() == 1 {
        return Err(failed.remove(0));
    }
    for failure in &failed {
        failure.print(context.json);
    }
    let exit = failed.iter().map(|failure| failure.exit).max().unwrap_or(Exit::Ok);
    Ok(Report::ok(text, json!({ "success": failed.is_empty(), "jobs": done })).exit(exit))
}
