//! `ringrift-p2p recover`: the way back from a majority of voters that is lost for good.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Result, bail};
use ringrift_config::NodeId;

/// Arguments of `ringrift-p2p recover`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// This node, whose state is kept
    #[arg(long, value_name = "ID")]
    node_id: NodeId,

    /// Its state directory
    #[arg(long, value_name = "DIR", default_value = "/var/lib/ringrift-p2p")]
    state_dir: PathBuf,

    /// The voters from now on, this node among them; begin with this node alone and add the others by a reload
    #[arg(long, value_name = "ID,ID,…", value_delimiter = ',', required = true)]
    voters: Vec<NodeId>,

    /// Say that the other voters are gone or wiped: one of the old majority that came back would be a second cluster
    #[arg(long)]
    the_majority_is_lost: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if !args.the_majority_is_lost {
        bail!(
            "recover makes a new cluster out of this node's state; whatever only the lost voters knew is gone. Stop every \
             old voter, choose the one with the highest applied index (`curl …/status`: state_index), and run it there \
             with --the-majority-is-lost"
        );
    }
    let voters: BTreeSet<NodeId> = args.voters.iter().cloned().collect();
    let report = ringrift_consensus::recover(&args.state_dir.join("consensus"), &args.node_id, &voters)?;
    println!(
        "Kept everything up to index {} (term {}); this node begins term {}.",
        report.kept_index, report.kept_term, report.term
    );
    println!("Cluster {} is from now on {}.", report.old_cluster_id, report.cluster_id);
    println!("Next:");
    for (i, step) in report.next.iter().enumerate() {
        println!("  {}. {step}", i + 1);
    }
    Ok(())
}
