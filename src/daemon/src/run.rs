//! `ringrift-p2p run`: one node, until it is told to stop.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use ringrift_config::Flags;
use ringrift_systemd::{Listeners, LogTarget, logging};
use tokio::{
    io::AsyncReadExt as _,
    signal::unix::{SignalKind, signal},
};
use tracing::{error, info, warn};

use crate::{check, reload, start, voters};

/// Arguments of `ringrift-p2p run`.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Args {
    #[command(flatten)]
    flags: Flags,

    /// Stop when standard input ends, and the jobs of this node with it: for a node that must not outlive whoever started it
    #[arg(long)]
    stop_on_eof: bool,
}

pub(crate) async fn run(args: Args, passed: Listeners) -> Result<()> {
    let began = Instant::now();
    let loaded = check::load(&args.flags)?;
    let _logging = logging::init(&loaded.settings.log, LogTarget::Auto, loaded.settings.node_id.as_str())?;
    for line in loaded.settings.effective() {
        info!(setting = line.0, source = %line.2, "{} = {} ({})", line.0, line.1, line.2);
    }
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let mut running = start::start(args.flags, loaded, passed).await?;
    let shared = running.shared.clone();
    running.notifier.ready();
    info!(instance = shared.instance, "{} is ready after {} ms", shared.node(), began.elapsed().as_millis());

    let stdin_ended = stdin_ended(args.stop_on_eof);
    tokio::pin!(stdin_ended);
    let mut warned_of_voters = false;
    let mut look = ringrift_tick::every(Duration::from_secs(5));
    let failure = loop {
        tokio::select! {
            _ = hangup.recv() => {
                // systemd waits for the end of the reload; the cluster's part of it may take longer than the file's.
                let (under_way, shared) = (running.notifier.reloading(), shared.clone());
                tokio::spawn(async move {
                    if let Err(error) = reload::reload(&shared).await {
                        error!("reload refused: {error}");
                    }
                    drop(under_way);
                });
            }
            _ = terminate.recv() => break None,
            _ = interrupt.recv() => break None,
            () = &mut stdin_ended => break None,
            Some(taken) = running.id_taken.recv() => {
                break Some(format!("node id {} is already in use at {}; give one of the two machines another RINGRIFT_NODE_ID",
                    shared.node(), taken.holder));
            }
            reason = start::failed(&shared) => break Some(reason),
            _ = look.tick(), if !warned_of_voters => {
                if let Some(warning) = voters::differs(&shared) {
                    warn!("{warning}");
                    warned_of_voters = true;
                }
            }
        }
    };
    info!("stopping");
    running.stop().await;
    if args.stop_on_eof {
        shared.jobs.stop_all().await;
    }
    match failure {
        None => Ok(()),
        Some(reason) => bail!(reason),
    }
}

/// Ends with standard input, or never.
async fn stdin_ended(wanted: bool) {
    if !wanted {
        std::future::pending::<()>().await;
    }
    let mut stdin = tokio::io::stdin();
    let mut buffer = [0; 64];
    while stdin.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
}
