//! `ringrift-p2p dev`: a real cluster on this machine, one process and one loopback address per node.

mod cluster;
mod layout;
mod loopback;
mod report;
mod samples;

use std::{io::Write as _, path::PathBuf};

use anyhow::{Context as _, Result};
use ringrift_api::Client;
use tokio::signal::unix::{SignalKind, signal};

use self::{
    cluster::{AGAIN_AFTER, Change, Cluster},
    layout::Layout,
};

/// Arguments of `ringrift-p2p dev`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many nodes to start: the first three vote, the others are workers
    #[arg(long, value_name = "N", default_value_t = 5, conflicts_with = "hosts",
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    nodes: u16,

    /// Form the cluster of this hosts file instead; its nodes get loopback addresses, and hosts that are not `ready` or
    /// not `p2p_enabled` stay down
    #[arg(long, value_name = "FILE")]
    hosts: Option<PathBuf>,

    /// Keep state here: DIR/<node-id>/, its log in DIR/<node-id>/log, the cluster token in DIR/token. Started again on the
    /// same DIR, the cluster goes on where it was. Without it a temporary directory is used and removed at the end
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Starts the cluster, shows it, and stops it on Ctrl-C, SIGTERM, or when its terminal is closed. Nothing is left running,
/// whatever goes wrong.
pub(crate) async fn run(args: &Args) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;

    let layout = Layout::prepare(args.hosts.as_deref(), args.nodes, args.dir.as_deref())?;
    loopback::check_free(&layout.addresses(), &layout::PORTS)?;
    let mut cluster = Cluster::start(&layout).context("cannot start the nodes")?;
    let shown = tokio::select! {
        shown = form_and_show(&layout, &mut cluster) => shown,
        _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted before the cluster was ready")),
        _ = terminate.recv() => Err(anyhow::anyhow!("stopped before the cluster was ready")),
        _ = hangup.recv() => Err(anyhow::anyhow!("the terminal was closed before the cluster was ready")),
    };
    if let Err(error) = shown {
        cluster.stop().await;
        return Err(error);
    }

    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hangup.recv() => break,
            change = cluster.next_change(&layout) => match change {
                Ok(Change::Exited { node, how }) => say(&format!(
                    "{node} {how}; it is started again in {} s; its log: {}",
                    AGAIN_AFTER.as_secs(),
                    layout.log(&node).display()
                )),
                Ok(Change::StartedAgain { node }) => {
                    say(&format!("{node} is started again; it adopts the jobs that run on, and catches up"));
                }
                Err(error) => {
                    cluster.stop().await;
                    return Err(error);
                }
            }
        }
    }
    cluster.start_all_again(&layout);
    let running = cluster.running();
    say(&format!("\nStopping {running} {} …", if running == 1 { "node" } else { "nodes" }));
    cluster.stop().await;
    say(&format!("Stopped.{}", layout.farewell()));
    Ok(())
}

async fn form_and_show(layout: &Layout, cluster: &mut Cluster) -> Result<()> {
    report::wait_until_formed(layout, cluster).await?;
    let client = Client::new(&layout.api_url(0), Some(layout.token().to_owned()))?;
    samples::write_missing(layout)?;
    report::wait_for_models(layout, &client).await;
    report::print_table(layout, cluster, &client).await
}

/// Tells it on standard error. Whoever reads that may be gone, as `tee` is after a Ctrl-C, and the nodes must be stopped in
/// order all the same.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
