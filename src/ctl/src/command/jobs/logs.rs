use std::time::{Duration, Instant};

use clap::Args;
use ringrift_api::{Client, JobLog, LogLine};
use ringrift_job::JobId;
use serde_json::json;

use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    report::{Reader, print_on, reader_gone},
};

/// Whose lines, and which.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The job, as `jobs list` names it
    #[arg(value_name = "JOB")]
    job: JobId,

    /// Go on until the job has ended, or until Ctrl-C
    #[arg(long, short)]
    follow: bool,

    /// How many of the last lines
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    lines: usize,

    /// An earlier attempt, by its number
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
}

/// Between two questions.
const POLL: Duration = Duration::from_millis(500);

pub(super) async fn run(context: &Context, args: LogsArgs) -> Result<Exit, Failure> {
    let client = context.client(None)?;
    let attempt = args.attempt.map(|attempt| format!("&attempt={attempt}")).unwrap_or_default();
    let path = format!("/api/jobs/{}/log?lines={}{attempt}", args.job, args.lines);
    let log: JobLog = client.get_json(&path).await?;
    if show(context, &log.lines)? == Reader::Gone || !args.follow || log.ended {
        return Ok(Exit::Ok);
    }
    tokio::select! {
        ended = follow(context, &client, log) => ended,
        () = reader_gone() => Ok(Exit::Ok),
        _ = tokio::signal::ctrl_c() => Ok(Exit::Ok),
    }
}

async fn follow(context: &Context, client: &Client, first: JobLog) -> Result<Exit, Failure> {
    let JobLog { job_id, attempt, mut cursor, .. } = first;
    let mut lost: Option<Instant> = None;
    loop {
        tokio::time::sleep(POLL).await;
        let path = format!("/api/jobs/{job_id}/log?lines=1000&attempt={attempt}&after={}", escaped(&cursor));
        match client.get_json::<JobLog>(&path).await {
            Ok(log) => {
                lost = None;
                if show(context, &log.lines)? == Reader::Gone {
                    return Ok(Exit::Ok);
                }
                if !log.cursor.is_empty() {
                    cursor = log.cursor;
                }
                if log.ended && log.lines.is_empty() {
                    return Ok(Exit::Ok);
                }
            }
            Err(error) if error.is_passing() => {
                let since = *lost.get_or_insert_with(Instant::now);
                if since.elapsed() > 6 * context.timeout() {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn show(context: &Context, lines: &[LogLine]) -> Result<Reader, Failure> {
    let text: String = lines
        .iter()
        .map(|line| if context.json { format!("{}\n", json!(line)) } else { format!("{}\n", line.text) })
        .collect();
    print_on(&text)
}

/// A cursor as a part of a query.
fn escaped(cursor: &str) -> String {
    cursor
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
