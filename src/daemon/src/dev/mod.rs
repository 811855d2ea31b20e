//! `ringrift-p2p dev`: a real cluster on this machine, one process and one loopback address per node.

mod cluster;
mod layout;
mod loopback;
mod report;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use ringrift_api::Client;
use tokio::signal::unix::{SignalKind, signal};

use self::{cluster::Cluster, layout::Layout};

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

/// Starts the cluster, shows it, and stops it on Ctrl-C or SIGTERM. Nothing is left running, whatever goes wrong.
pub(crate) async fn run(args: &Args) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;

    let layout = Layout::prepare(args.hosts.as_deref(), args.nodes, args.dir.as_deref())?;
    loopback::check_free(&layout.addresses(), &layout::PORTS)?;
    let mut cluster = Cluster::start(&layout).context("cannot start the nodes")?;
    let formed = tokio::select! {
        formed = report::wait_until_formed(&layout, &mut cluster) => formed,
        _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted before a leader was elected")),
        _ = terminate.recv() => Err(anyhow::anyhow!("stopped before a leader was elected")),
    };
    if let Err(error) = formed {
        cluster.stop().await;
        return Err(error);
    }
    let client = Client::new(&layout.api_url(0), Some(layout.token().to_owned()))?;
    report::print_table(&layout, &client).await?;

    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            (node, how) = cluster.next_exit() => {
                eprintln!("{node} {how}; its log: {}", layout.log(&node).display());
            }
        }
    }
    eprintln!("\nStopping {} nodes …", cluster.running());
    cluster.stop().await;
    eprintln!("Stopped.{}", layout.farewell());
    Ok(())
}
