//! The same cluster over a bad network: round trips of 35 to 170 ms, and 1 % of the packets of each direction lost.

use std::{
    fmt::Write as _,
    io::Write as _,
    net::IpAddr,
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use crate::{
    cluster::Cluster,
    failover::{self, Kills},
    target,
};

/// Milliseconds from one node to another and back; the fourth node does not vote.
const ROUND_TRIPS: [[u32; 4]; 4] = [[0, 35, 100, 170], [35, 0, 120, 150], [100, 120, 0, 90], [170, 150, 90, 0]];
const LOSS: &str = "1%";
/// So long nobody may be called dead.
const PEACE: Duration = Duration::from_mins(1);
const INSIDE: &str = "CLUSTER_BENCH_IN_NAMESPACE";

/// This part again, in a network namespace of its own. `None`: this process is in one already.
pub(crate) fn in_namespace(kills: Kills) -> Option<ExitStatus> {
    if std::env::var_os(INSIDE).is_some() {
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap();
        assert!(up.success(), "cannot bring the loopback interface up");
        return None;
    }
    let again = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "--"]).arg(again).args(["wan", "--kills", &kills.0.to_string()]);
    Some(command.env(INSIDE, "1").status().expect("unshare, of util-linux"))
}

pub(crate) async fn measure(kills: Kills) {
    let cluster = Cluster::new(3, 1).unhurried();
    let addresses: Vec<IpAddr> = cluster.nodes.iter().map(|node| node.ip).collect();
    if let Err(lacking) = shape(&addresses) {
        println!("  left out: this kernel cannot delay packets: {lacking}");
        return;
    }
    let (mut times, mut cluster) = failover::leaders(cluster, kills).await;
    target::print("leader killed to a write accepted, timers as they are by default", &mut times);
    target::at_most("median", target::quantile(&times, 0.5).as_secs_f64(), 2.5, "s");

    cluster.formed().await;
    let deaths = |cluster: &Cluster| -> usize {
        (0..cluster.nodes.len()).map(|node| cluster.log(node).matches("to=dead").count()).sum()
    };
    let (before, until) = (deaths(&cluster), Instant::now() + PEACE);
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    target::at_most("nodes called dead in a minute in which none was", (deaths(&cluster) - before) as f64, 0.0, "");

    let mut times = Vec::new();
    for _ in 0..kills.0.div_ceil(2) {
        cluster.formed().await;
        cluster.kill(3);
        let began = Instant::now();
        cluster.formed().await;
        times.push(began.elapsed());
        cluster.start_node(3);
    }
    target::print("a killed worker, seen dead by all three others", &mut times);
    target::at_most("worst", target::quantile(&times, 1.0).as_secs_f64(), 8.0, "s");
}

/// Delays and loses what one of these addresses sends to another. What goes elsewhere on the loopback interface is left alone, so whoever
/// measures is next to the node that it asks.
fn shape(addresses: &[IpAddr]) -> Result<(), String> {
    // The last band is for everything that no filter chooses.
    let mut batch = format!("qdisc add dev lo root handle 1: prio bands 16 priomap {}\n", ["15"; 16].join(" "));
    let mut band = 0;
    for (from, source) in addresses.iter().enumerate() {
        for (to, target) in addresses.iter().enumerate().filter(|(to, _)| *to != from) {
            band += 1;
            let delay = f64::from(ROUND_TRIPS[from][to]) / 2.0;
            let _ = write!(
                batch,
                "qdisc add dev lo parent 1:{band:x} netem limit 10000 delay {delay}ms loss {LOSS}\n\
                 filter add dev lo parent 1: protocol ip prio 1 u32 match ip src {source}/32 match ip dst {target}/32 flowid 1:{band:x}\n"
            );
        }
    }
    let mut tc = Command::new("tc")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("tc, of iproute2: {error}"))?;
    tc.stdin.take().unwrap().write_all(batch.as_bytes()).unwrap();
    let done = tc.wait_with_output().unwrap();
    if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).trim().replace('\n', "; ")) }
}
