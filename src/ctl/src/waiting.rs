//! Asking again and again until something is so.

use std::time::{Duration, Instant};

use ringrift_api::ClientError;

use crate::{context::Context, failure::Failure, progress::Progress};

/// Between two questions.
const POLL: Duration = Duration::from_millis(250);

/// What an answer says.
pub(crate) enum Look<T> {
    /// It is so.
    Done(T),
    /// Not yet; how it stands, as a sentence that people are shown.
    NotYet(String),
}

/// Asks until it is so. A daemon that restarts meanwhile is asked again, for six times as long as one answer may take.
pub(crate) async fn until<T>(
    context: &Context,
    waiting_for: &str,
    mut ask: impl AsyncFnMut() -> Result<Look<T>, ClientError>,
) -> Result<T, Failure> {
    let mut progress = Progress::of_waiting(context, waiting_for);
    let (mut lost, mut said) = (None::<Instant>, String::new());
    loop {
        match ask().await {
            Ok(Look::Done(found)) => return Ok(found),
            Ok(Look::NotYet(says)) => {
                lost = None;
                if says != said {
                    progress.says(&says);
                    said = says;
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
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until the time is up or somebody presses Ctrl-C. What `left` makes of the sentence that says which is the failure then.
pub(crate) async fn at_most<T>(
    limit: Duration,
    waiting: impl Future<Output = Result<T, Failure>>,
    left: impl FnOnce(&str) -> Failure,
) -> Result<T, Failure> {
    tokio::select! {
        done = waiting => done,
        _ = tokio::signal::ctrl_c() => Err(left("not waited for any longer")),
        () = tokio::time::sleep(limit) => Err(left(&format!("not over after {} s", limit.as_secs()))),
    }
}
