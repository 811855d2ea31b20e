//! What a person sees of a development cluster: progress while it forms, then a table and what to try next.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, IsTerminal as _},
    time::Duration,
};

use anyhow::{Result, bail};
use futures::future::join_all;
use indicatif::{ProgressBar, ProgressStyle};
use ringrift_api::{Client, Status};
use ringrift_config::NodeId;
use tokio::time::{Instant, interval};

use super::{cluster::Cluster, layout::Layout};

/// Past this a cluster that has not formed never will: the design's goal is 30 s for 42 hosts on two cores.
const FORM_WITHIN: Duration = Duration::from_mins(2);

/// Waits until every node answers, all name one leader, and each sees all the others alive.
pub(crate) async fn wait_until_formed(layout: &Layout, cluster: &mut Cluster) -> Result<()> {
    let total = layout.addresses().len();
    let started = Instant::now();
    let bar = progress_bar(total as u64);
    let clients: Vec<Client> = (0..total).map(|i| Client::new(&layout.api_url(i), None)).collect::<Result<_, _>>()?;
    let mut tick = interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            (node, how) = cluster.next_exit() => {
                bar.finish_and_clear();
                let reason = last_line(&layout.log(&node)).unwrap_or_else(|| "it logged nothing".into());
                bail!("{node} {how} before the cluster was formed: {reason}\n(its whole log: {})",
                    layout.log(&node).display());
            }
        }
        let answers = join_all(clients.iter().map(|c| c.get_json::<Status>("/status"))).await;
        let up: Vec<Status> = answers.into_iter().filter_map(Result::ok).collect();
        let leaders: BTreeSet<&NodeId> = up.iter().filter_map(|s| s.leader_id.as_ref()).collect();
        let complete = up.iter().filter(|s| s.leader_id.is_some() && s.alive_peers as usize + 1 == total).count();
        let leader = match leaders.len() {
            0 => "no leader yet".to_owned(),
            1 => format!("leader {}", leaders.first().map(|l| l.as_str()).unwrap_or_default()),
            n => format!("{n} nodes named as leader"),
        };
        bar.set_position(complete as u64);
        let message = format!("{} of {total} nodes answer, {leader}, {complete} see all the others", up.len());
        if bar.is_hidden() && started.elapsed().as_secs().is_multiple_of(5) && bar.message() != message {
            eprintln!("{message}");
        }
        bar.set_message(message);
        if complete == total && leaders.len() == 1 {
            bar.finish_and_clear();
            eprintln!("Formed in {:.1} s.", started.elapsed().as_secs_f64());
            return Ok(());
        }
        if started.elapsed() > FORM_WITHIN {
            let message = bar.message();
            bar.finish_and_clear();
            bail!(
                "the cluster was not formed within {} s: {message}; the logs are beside {}",
                FORM_WITHIN.as_secs(),
                layout.hosts_file().display()
            );
        }
    }
}

fn progress_bar(total: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("{spinner} [{bar:30}] {elapsed} {msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Prints the nodes as the first of them sees them, and what to try.
pub(crate) async fn print_table(layout: &Layout, client: &Client) -> Result<()> {
    let status: Status = client.get_json("/status").await?;
    let leader = status.leader_id.as_ref().map_or("none", NodeId::as_str);
    let width = layout.nodes().map(|(node, _)| node.as_str().len()).max().unwrap_or(4).max(4);
    println!("{:width$}  {:15}  {:8}  {:6}  LOG", "NODE", "ADDRESS", "PART", "STATE");
    for (node, ip) in layout.nodes() {
        let part = match (node.as_str() == leader, layout.is_voter(node)) {
            (true, _) => "leader",
            (false, true) => "voter",
            (false, false) => "worker",
        };
        let state =
            if *node == status.node_id { "alive" } else { status.peers.get(node).map_or("?", |p| p.state.as_str()) };
        println!("{node:width$}  {:15}  {part:8}  {state:6}  {}", ip.to_string(), layout.log(node).display());
    }
    println!();
    println!("Leader: {leader} (term {})", status.term);
    println!("Alive peers: {}", status.alive_peers);
    println!("Total nodes: {}", status.nodes.len());
    if layout.down() > 0 {
        println!("{} hosts of the file stay down: they are not `ready`, or not p2p_enabled.", layout.down());
    }
    let url = layout.api_url(0);
    println!("\nTry next, in another terminal:");
    println!("  curl {url}/status");
    println!("  ringriftctl status        # target/release/ringriftctl; built by `cargo build --release`");
    println!("  ringriftctl monitor --watch");
    println!("  ringriftctl --token-file {} leader transfer", layout.token_file().display());
    println!("  kill -9 the leader's process, and watch another one take over");
    println!("\nCtrl-C stops the cluster.");
    Ok(())
}

/// The last line of a file that is not empty.
fn last_line(path: &std::path::Path) -> Option<String> {
    let file = std::fs::File::open(path).ok()?;
    std::io::BufReader::new(file).lines().map_while(Result::ok).filter(|l| !l.trim().is_empty()).last()
}
