use std::time::Duration;

use clap::Args;
use ringrift_api::{Client, JobShown, JobStatus, JobSubmitted, SubmitRequest};
use ringrift_config::NodeId;
use ringrift_job::{GameConfig, JobId, Seconds};
use serde_json::json;

use super::{
    show::ending,
    values::{Pair, limits, pair, params},
};
use crate::{
    cli::seconds,
    command::nodes::operator,
    context::{Context, Fetched},
    exit::Exit,
    failure::Failure,
    report::Report,
    waiting::{Look, at_most, until},
};

/// What is asked for.
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// The class: selfplay, gpu_selfplay, training, evaluation, or one of your own settings
    #[arg(value_name = "CLASS")]
    class: String,

    /// Values for the parameters of the class
    #[arg(value_name = "NAME=VALUE", value_parser = pair)]
    values: Vec<Pair>,

    /// Board and players, for example hex8_2p: the same as board_type=hex8 num_players=2
    #[arg(long, value_name = "CONFIG")]
    config: Option<GameConfig>,

    /// The higher, the sooner [default: 50]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i32>,

    /// Only after this job has succeeded; may be said more than once
    #[arg(long, value_name = "JOB")]
    after: Vec<JobId>,

    /// Only on this node
    #[arg(long, value_name = "NODE")]
    node: Option<NodeId>,

    /// How long it may run, such as 6h [default: as its class says]
    #[arg(long, value_name = "TIME")]
    deadline: Option<Seconds>,

    /// How often it is tried [default: as its class says]
    #[arg(long, value_name = "N")]
    attempts: Option<u32>,

    /// A limit over its class's, such as memory_max=8G; may be said more than once
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = pair)]
    limits: Vec<Pair>,

    /// Wait for its end, and end with 0 only if it succeeded
    #[arg(long)]
    wait: bool,

    /// Give up waiting after so many seconds; the job goes on
    #[arg(long, value_name = "SECONDS", default_value = "86400", value_parser = seconds, requires = "wait")]
    wait_limit: Duration,
}

pub(super) async fn run(context: &Context, args: SubmitArgs) -> Result<Report, Failure> {
    let mut values = params(args.values);
    if let Some(config) = args.config {
        values.insert("board_type".to_owned(), ringrift_job::ParamValue::Text(config.board.as_str().to_owned()));
        values.insert("num_players".to_owned(), ringrift_job::ParamValue::Integer(config.players().into()));
    }
    let request = SubmitRequest {
        job_type: args.class,
        priority: args.priority,
        depends_on: args.after,
        timeout_seconds: args.deadline.map(|deadline| deadline.0),
        max_attempts: args.attempts,
        node_id: args.node,
        limits: limits(&args.limits)?,
        job_id: None,
        by: Some(operator()),
        params: values,
        others: std::collections::BTreeMap::new(),
    };
    let client = context.client(None)?;
    let submitted: Fetched<JobSubmitted> = client.post_json("/api/jobs/submit", &request).await?;
    if !args.wait {
        let text = format!("{}: {}\n", submitted.typed.job_id, submitted.typed.message);
        return Ok(Report::ok(text, submitted.raw));
    }
    let id = submitted.typed.job_id;
    let over = at_most(args.wait_limit, until_over(context, &client, &id), |why| left(&id, why)).await?;
    let job = over.job;
    let how = job.ending.as_ref().map(ending).unwrap_or_default();
    let text = format!("{id} is {}{}{how}\n", job.status, if how.is_empty() { "" } else { ": it " });
    let exit = if job.status == JobStatus::Completed { Exit::Ok } else { Exit::Failed };
    Ok(Report::ok(text, json!(job)).exit(exit))
}

/// Waits until nothing more happens to a job.
pub(super) async fn until_over(context: &Context, client: &Client, id: &JobId) -> Result<JobShown, Failure> {
    until(context, &format!("waiting for {id}"), async || {
        let shown = client.job(id).await?;
        if shown.job.status.is_over() {
            return Ok(Look::Done(shown));
        }
        let at = shown.job.claimed_by.as_deref().map(|node| format!(" on {node}")).unwrap_or_default();
        Ok(Look::NotYet(format!("{id} is {}{at}", shown.job.status)))
    })
    .await
}

fn left(id: &JobId, why: &str) -> Failure {
    Failure::new(Exit::Failed, format!("{id} is {why}: it goes on by itself"))
        .advise(format!("`ringriftctl jobs show {id}` shows how it stands."))
}
