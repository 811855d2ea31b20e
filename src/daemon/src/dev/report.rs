//! What a person sees of a development cluster: progress while it forms, then a table and what to try next.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::{BufRead as _, ErrorKind, IsTerminal as _, Write as _},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use futures::future::join_all;
use indicatif::{ProgressBar, ProgressStyle};
use ringrift_api::{Client, DistributionPhase, ModelsProgress, Status};
use ringrift_config::NodeId;
use tokio::time::{Instant, interval};

use super::{cluster::Cluster, layout::Layout, samples, say};

/// Past this a cluster that has not formed never will: the design's goal is 30 s for 42 hosts on two cores.
const FORM_WITHIN: Duration = Duration::from_mins(2);

/// Waits until every node answers, all name one leader and know the cluster's name, and each sees all the others alive and
/// the voters among them vote.
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
        let votes = |s: &Status| s.voter_health.voter_status.values().all(|voter| voter.votes || !voter.alive);
        let complete = up.iter().filter(|s| {
            // The cluster's name is the first thing that it agrees on; without it nothing is.
            s.leader_id.is_some() && !s.cluster_id.is_empty() && s.alive_peers as usize + 1 == total && votes(s)
        });
        let complete = complete.count();
        let leader = match leaders.len() {
            0 => "no leader yet".to_owned(),
            1 => format!("leader {}", leaders.first().map(|l| l.as_str()).unwrap_or_default()),
            n => format!("{n} nodes named as leader"),
        };
        bar.set_position(complete as u64);
        let message = format!("{} of {total} nodes answer, {leader}, {complete} see all the others", up.len());
        if bar.is_hidden() && started.elapsed().as_secs().is_multiple_of(5) && bar.message() != message {
            say(&message);
        }
        bar.set_message(message);
        if complete == total && leaders.len() == 1 {
            bar.finish_and_clear();
            say(&format!("Formed in {:.1} s.", started.elapsed().as_secs_f64()));
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

/// Longest wait for the sample models: without them the cluster is as good.
const MODELS_WITHIN: Duration = Duration::from_mins(1);

/// Waits until every node has verified the sample models, and shows them arriving.
pub(crate) async fn wait_for_models(layout: &Layout, client: &Client) {
    let started = Instant::now();
    let bar = progress_bar(0);
    let mut tick = interval(Duration::from_millis(200));
    while started.elapsed() < MODELS_WITHIN {
        tick.tick().await;
        let Ok(progress) = client.get_json::<ModelsProgress>("/api/models/progress").await else { continue };
        let nodes: u32 = progress.models.iter().map(|model| model.nodes_eligible).sum();
        let there: u32 = progress.models.iter().map(|model| model.nodes_verified).sum();
        bar.set_length(nodes.into());
        bar.set_position(there.into());
        bar.set_message(format!("{} models promoted, {there} of {nodes} copies verified", progress.models.len()));
        let complete = progress.models.iter().filter(|model| model.state == DistributionPhase::Complete).count();
        if complete >= samples::SAMPLES.len() {
            bar.finish_and_clear();
            let bytes: u64 = progress.models.iter().map(|model| model.size).sum();
            say(&format!(
                "Every node has verified the {} sample models ({} MiB) after {:.1} s: {}",
                progress.models.len(),
                bytes >> 20,
                started.elapsed().as_secs_f64(),
                layout.models_dirs(),
            ));
            return;
        }
    }
    let message = bar.message();
    bar.finish_and_clear();
    say(&format!(
        "The sample models are not everywhere after {} s ({message}); see the logs.",
        MODELS_WITHIN.as_secs()
    ));
}

/// Prints the nodes as the first of them sees them, and what to try.
pub(crate) async fn print_table(layout: &Layout, cluster: &Cluster, client: &Client) -> Result<()> {
    let status: Status = client.get_json("/status").await?;
    let text = table(layout, &status) + &advice(layout, cluster, &status);
    match std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush()) {
        // `dev | head`: somebody has seen enough of the table, and wants the cluster.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write the output"),
        _ => Ok(()),
    }
}

fn table(layout: &Layout, status: &Status) -> String {
    let mut text = String::new();
    let leader = status.leader_id.as_ref().map_or("none", NodeId::as_str);
    let width = layout.nodes().map(|(node, _)| node.as_str().len()).max().unwrap_or(4).max(4);
    let _ = writeln!(text, "{:width$}  {:15}  {:8}  {:6}  LOG", "NODE", "ADDRESS", "PART", "STATE");
    for (node, ip) in layout.nodes() {
        let part = match (node.as_str() == leader, layout.is_voter(node)) {
            (true, _) => "leader",
            (false, true) => "voter",
            (false, false) => "worker",
        };
        let state =
            if *node == status.node_id { "alive" } else { status.peers.get(node).map_or("?", |p| p.state.as_str()) };
        let log = layout.log(node);
        let _ = writeln!(text, "{node:width$}  {:15}  {part:8}  {state:6}  {}", ip.to_string(), log.display());
    }
    let _ = writeln!(text, "\nLeader: {leader} (term {})", status.term);
    let _ = writeln!(text, "Alive peers: {}", status.alive_peers);
    let _ = writeln!(text, "Total nodes: {}", status.nodes.len());
    match layout.down() {
        0 => {}
        1 => text.push_str("1 host of the file stays down: it is not `ready`, or not p2p_enabled.\n"),
        n => {
            let _ = writeln!(text, "{n} hosts of the file stay down: they are not `ready`, or not p2p_enabled.");
        }
    }
    text
}

/// Commands to copy, each of which works on this very cluster.
fn advice(layout: &Layout, cluster: &Cluster, status: &Status) -> String {
    let url = layout.api_url(0);
    let mut text = format!(
        "\nTry next, in another terminal (ringriftctl is at target/release/ringriftctl after `cargo build --release`):\n  \
         curl {url}/status\n  ringriftctl status\n  ringriftctl monitor --watch\n  \
         ringriftctl models list\n  ringriftctl jobs list\n  \
         ringriftctl --token-file {} jobs submit selfplay --config hex8_2p num_games=5 --wait\n",
        layout.token_file().display()
    );
    let leader = status.leader_id.as_ref();
    // A leader that is the only voter has nobody to hand over to, and nobody takes over when it dies.
    if let Some(pid) = leader.and_then(|leader| cluster.pid(leader)).filter(|_| status.voters_alive > 2) {
        let token = layout.token_file();
        let _ = writeln!(text, "  ringriftctl --token-file {} leader transfer", token.display());
        let _ = writeln!(text, "  kill -9 {pid}   # the leader's process: another voter takes over, and it comes back");
    }
    if let Some((worker, pid)) = worker(layout, cluster, leader) {
        let _ = writeln!(text, "  ringriftctl jobs here {worker}");
        let _ = writeln!(
            text,
            "  kill -9 {pid}   # {worker}'s process: its jobs run on, and it adopts them when it comes back"
        );
    }
    text.push_str("\nCtrl-C stops the cluster.\n");
    text
}

/// A node that runs jobs, with its process. Workers first: what happens to a leader is another thing to see.
fn worker<'a>(layout: &'a Layout, cluster: &Cluster, leader: Option<&NodeId>) -> Option<(&'a NodeId, u32)> {
    let others = || layout.nodes().map(|(node, _)| node).filter(|node| Some(*node) != leader);
    let node = others().find(|node| !layout.is_voter(node)).or_else(|| others().next())?;
    Some((node, cluster.pid(node)?))
}

/// The last line of a file that is not empty.
fn last_line(path: &std::path::Path) -> Option<String> {
    let file = std::fs::File::open(path).ok()?;
    std::io::BufReader::new(file).lines().map_while(Result::ok).filter(|l| !l.trim().is_empty()).last()
}
