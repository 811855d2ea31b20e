//! Figures of whole clusters of real daemons, each beside its target, and where there is one beside a peer in the same run.
//!
//! ```console
//! $ cargo bench -p ringrift-p2p --bench cluster -- [PART]… [--kills N]
//! ```
//!
//! Parts: `start`, `failover`, `dead`, `wan`, `idle`, `status`, `writes`; all of them without any. `nginx` and `etcd` are compared with where
//! they are installed. `--kills` says how many leaders `failover` and `wan` kill, 20 without it.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

#[path = "../../tests/cluster/mod.rs"]
mod cluster;
mod etcd;
mod failover;
mod idle;
mod load;
mod process;
mod start;
mod status;
mod target;
mod wan;
mod writes;

use std::process::ExitCode;

use failover::Kills;

const PARTS: [&str; 7] = ["start", "failover", "dead", "wan", "idle", "status", "writes"];

fn main() -> ExitCode {
    // Cargo says that this is a benchmark.
    let mut asked: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let mut kills = Kills(20);
    if let Some(place) = asked.iter().position(|word| word == "--kills") {
        let Some(Ok(number)) = asked.get(place + 1).map(|number| number.parse()) else {
            eprintln!("--kills wants a number");
            return ExitCode::from(2);
        };
        kills = Kills(number);
        asked.drain(place..place + 2);
    }
    if let Some(unknown) = asked.iter().find(|part| !PARTS.contains(&part.as_str())) {
        eprintln!("no part {unknown}; there are: {}", PARTS.join(", "));
        return ExitCode::from(2);
    }
    if asked.is_empty() {
        asked = PARTS.map(str::to_owned).to_vec();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for part in asked {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        println!("{part} (load {})", load.split(' ').next().unwrap_or_default());
        if part == "wan"
            && let Some(inside) = wan::in_namespace(kills)
        {
            if !inside.success() {
                return ExitCode::FAILURE;
            }
            continue;
        }
        runtime.block_on(async {
            match part.as_str() {
                "start" => start::measure().await,
                "failover" => failover::measure(kills).await,
                "dead" => failover::measure_dead().await,
                "wan" => wan::measure(kills).await,
                "idle" => idle::measure().await,
                "status" => status::measure().await,
                _ => writes::measure().await,
            }
        });
    }
    ExitCode::SUCCESS
}
