//! Long work on files: on a thread of its own, with a bar, and ended by Ctrl-C so that nothing half-done is left.

use std::path::PathBuf;

use ringrift_gamedb::{Course, DbError, Stop};
use tokio::signal::unix::{SignalKind, signal};

use crate::{context::Context, exit::Exit, failure::Failure, progress::Progress};

/// Runs it to its end, or until somebody wants it to end.
pub(crate) async fn run<T: Send + 'static>(
    context: &Context,
    work: impl FnOnce(&mut Course<'_>) -> T + Send + 'static,
) -> Result<T, Failure> {
    let stop = Stop::default();
    let mut bar = Progress::of_things(context, "", 0);
    let stopped = stop.clone();
    let mut task = tokio::task::spawn_blocking(move || {
        let mut shown: (&str, PathBuf, u64) = ("", PathBuf::new(), 0);
        let mut course = Course::new(stopped, |progress| {
            let news = (shown.0, shown.1.as_path()) != (progress.doing, progress.path);
            if news || shown.2 != progress.of {
                shown = (progress.doing, progress.path.to_owned(), progress.of);
                bar.of(progress.of);
            }
            if news {
                bar.says(&format!("{} {}", progress.doing, progress.path.display()));
            }
            bar.at(progress.done);
        });
        work(&mut course)
    });
    let ended = tokio::select! {
        ended = &mut task => ended,
        () = asked_to_end() => {
            stop.set();
            task.await
        }
    };
    ended.map_err(|error| Failure::local("the work broke off", &error))
}

pub(super) async fn asked_to_end() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

/// The kind of the failure that there is no game database at all.
pub(super) const NO_DATABASE: &str = "no_database";

/// For who must know what to do next.
pub(crate) fn failure(error: &DbError) -> Failure {
    let failure = Failure::new(Exit::Failed, error.to_string());
    match error {
        DbError::NoneFound(_) => {
            Failure { kind: Some(NO_DATABASE), ..failure }.advise("Name the folder that has the folder data in it.")
        }
        DbError::BadArchive { .. } => {
            failure.advise("Use another backup; `tar --zstd -xf` unpacks what is left of this one.")
        }
        DbError::BeyondRepair { .. } => {
            failure.advise("`ringriftctl db restore ARCHIVE --db NAME` brings back what was backed up.")
        }
        _ => failure,
    }
}
