//! What daemons use that have nothing to do, forty-two of them on one machine.

use std::time::Duration;

use crate::{
    cluster::Cluster,
    process::{cpu, rss},
    target,
};

const VOTERS: usize = 5;
const WORKERS: usize = 37;
const SETTLE: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_secs(30);

pub(crate) async fn measure() {
    let mut cluster = Cluster::new(VOTERS, WORKERS).unhurried();
    cluster.start();
    let leader = cluster.formed().await;
    tokio::time::sleep(SETTLE).await;
    let pids: Vec<u32> = (0..VOTERS + WORKERS).map(|node| cluster.pid(node)).collect();
    let before: Vec<f64> = pids.iter().map(|pid| cpu(*pid)).collect();
    tokio::time::sleep(LOOK).await;
    let used: Vec<f64> =
        pids.iter().zip(before).map(|(pid, before)| (cpu(*pid) - before) / LOOK.as_secs_f64() * 100.0).collect();
    println!("  the leader used {:.2} % of a core and {:.1} MiB", used[leader], rss(pids[leader]));
    for (what, range, memory) in [("voter", 0..VOTERS, 60.0), ("worker", VOTERS..VOTERS + WORKERS, 30.0)] {
        let of = |figure: &dyn Fn(usize) -> f64| {
            let mut all: Vec<f64> = range.clone().map(figure).collect();
            all.sort_unstable_by(f64::total_cmp);
            (target::quantile(&all, 0.5), target::quantile(&all, 1.0))
        };
        let (cpu, most_cpu) = of(&|node| used[node]);
        let (held, most_held) = of(&|node| rss(pids[node]));
        println!("  {what}: at most {most_cpu:.2} % of a core and {most_held:.1} MiB");
        target::at_most(&format!("{what}, idle CPU, median"), cpu, 0.5, "% of a core");
        target::at_most(&format!("{what}, memory, median"), held, memory, "MiB");
    }
}
