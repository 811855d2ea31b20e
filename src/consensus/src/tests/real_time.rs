//! Real disks, real threads, real time.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::cluster::{Cluster, command, id, set};
use crate::{Consensus, ConsensusConfig, Role, Timers, Transport, TransportError, store::Store};

const LAN: Timers = Timers {
    heartbeat: Duration::from_millis(50),
    election_min: Duration::from_millis(150),
    election_max: Duration::from_millis(300),
};

fn real(timers: Timers) -> Cluster {
    let mut cluster = Cluster::empty();
    cluster.tuning.inline_writes = false;
    cluster.real_disks = true;
    cluster.timers = timers;
    cluster
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// From the moment the leader is cut off to the first write that another one confirms, a few times.
async fn failovers(timers: Timers, rounds: usize) -> Vec<Duration> {
    let mut cluster = real(timers);
    cluster.start_all("a b c").await;
    cluster.named().await;
    let mut took = Vec::new();
    for n in 0..rounds {
        let leader = cluster.any_leader().await;
        // At any moment between two heartbeats.
        sleep(timers.heartbeat * (n as u32 % 4) / 4).await;
        let others: Vec<_> = cluster.names().into_iter().filter(|n| *n != leader).collect();
        cluster.net.cut(&leader, &others.join(" "));
        let cut = Instant::now();
        'taken: loop {
            for name in &others {
                if cluster.status(name).role == Role::Leader
                    && cluster.node(name).propose(command(n as u64)).await.is_ok()
                {
                    break 'taken;
                }
            }
            sleep(Duration::from_millis(1)).await;
        }
        took.push(cut.elapsed());
        cluster.net.heal();
    }
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_takes_writes_soon_after_the_old_one_is_gone() {
    let took = failovers(LAN, 9).await;
    eprintln!("failover with LAN timers: {took:?}");
    // 0.6 s is the aim on a machine that has nothing else to do.
    assert!(median(took) < Duration::from_millis(1200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_confirmed_in_milliseconds() {
    let mut cluster = real(LAN);
    cluster.start_all("a b c").await;
    cluster.named().await;
    let leader = cluster.any_leader().await;
    let node = cluster.node(&leader);
    let mut took = Vec::new();
    for n in 0..200 {
        let asked = Instant::now();
        node.propose(command(n)).await.unwrap();
        took.push(asked.elapsed());
    }
    let alone = median(took);
    let asked = Instant::now();
    let many = (0..500).map(|n| node.propose(command(n)));
    futures::future::try_join_all(many).await.unwrap();
    eprintln!("a write among three voters: median {alone:?}; 500 at once: {:?}", asked.elapsed());
    assert!(alone < Duration::from_millis(250));
    for name in cluster.names() {
        cluster.stop(&name).await;
    }
}

/// Writes to a single voter's log until it is killed, and says what was confirmed. Run by the test below.
#[tokio::test]
#[ignore = "run by another test, which kills it"]
async fn a_voter_that_will_be_killed() {
    struct Nobody;
    #[async_trait::async_trait]
    impl Transport for Nobody {
        async fn call(
            &self,
            _: &ringrift_config::NodeId,
            _: bytes::Bytes,
            _: Duration,
        ) -> Result<bytes::Bytes, TransportError> {
            Err(TransportError::Timeout)
        }
    }
    let dir = std::env::var_os("RINGRIFT_TEST_KILLED").expect("set by the test that kills").into();
    let config = ConsensusConfig { node: id("a"), dir, genesis: set("a"), timers: LAN };
    let consensus = Consensus::start(config, std::sync::Arc::new(Nobody)).await.unwrap();
    for n in 0.. {
        // At first there is no leader yet.
        match consensus.propose(command(n)).await {
            Ok(done) => println!("confirmed {}", done.index),
            Err(_) => sleep(Duration::from_millis(5)).await,
        }
    }
}

#[test]
fn what_a_voter_confirmed_before_it_was_killed_is_on_its_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut known = 0;
    for round in 1..=6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::real_time::a_voter_that_will_be_killed", "--ignored", "--nocapture"])
            .env("RINGRIFT_TEST_KILLED", dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut confirmed = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("confirmed ").and_then(|index| index.parse::<u64>().ok()));
        let last = confirmed.nth(17 * round).expect("it confirms");
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said between our decision and its death.
        let last = confirmed.last().unwrap_or(last);
        assert!(last > known, "round {round} went on behind {known}");
        known = last;
        let store = Store::open(dir.path(), &id("a"), true).unwrap();
        let end = store.mirror().last().unwrap().index();
        assert!(end >= known, "round {round}: {known} was confirmed, the log ends with {end}");
        store.cut();
    }
}
