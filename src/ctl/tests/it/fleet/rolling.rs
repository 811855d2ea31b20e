//! `cluster restart`, as far as it goes without a cluster; `tests/vm/rolling_restart.py` has one.

use super::{Place, nobody};
use crate::{
    cluster,
    fake::{Answer, Fake},
};

const HOSTS: &str = "\
hosts:
  alpha: {ssh_host: runs, status: ready, role: coordinator}
  beta: {ssh_host: runs, status: ready, role: coordinator}
  gamma: {ssh_host: stopped, status: ready, role: coordinator}
  gpu-1: {ssh_host: runs, status: ready, role: gpu_selfplay}
  gpu-2: {ssh_host: failed, status: ready, role: gpu_selfplay}
  gpu-3: {ssh_host: runs, status: ready, role: gpu_selfplay}
  gpu-4: {ssh_host: denied, status: ready, role: gpu_selfplay}
p2p_voters: [alpha, beta, gamma]
";

#[tokio::test]
async fn the_plan_has_missing_voters_first_and_the_leader_last() {
    let place = Place::new(HOSTS);
    let fake = Fake::start(move |seen| match seen.path.as_str() {
        path if path.ends_with("/health") => Answer::text("text/plain", "no").status(500),
        _ => Answer::json(&cluster::healthy()),
    })
    .await;
    let ran = place.run(&fake.url(), &["cluster", "restart", "--dry-run", "--batch", "2"]).await;
    assert_eq!(
        ran.out,
        "1. start the voter: gamma\n2. restart the workers: gpu-1, gpu-2\n3. restart the workers: gpu-3\n\
         4. restart the voter: beta\n5. restart the voter: alpha\n\
         left alone: gpu-4: unreachable (permission denied)\n"
    );
    assert_eq!(ran.code, Some(0));
}

#[tokio::test]
async fn without_a_daemon_to_ask_only_all_at_once_is_possible() {
    let place = Place::new(HOSTS);
    let ran = place.run(&nobody(), &["cluster", "restart", "--node", "gpu-1"]).await;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("--all-at-once"), "{ran:?}");
    let ran = place.run(&nobody(), &["cluster", "restart", "--node", "gpu-1", "--all-at-once"]).await;
    assert!(ran.out.contains("✓ gpu-1: Restarted (PID 77, advertise=10.0.0.7)") && ran.code == Some(0), "{ran:?}");
    let ran = place.run(&nobody(), &["cluster", "restart", "--resume", "--all-at-once"]).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[tokio::test]
async fn what_never_began_cannot_be_resumed() {
    let place = Place::new(HOSTS);
    let fake = Fake::start(move |_| Answer::json(&cluster::healthy())).await;
    let ran = place.run(&fake.url(), &["cluster", "restart", "--resume"]).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("there is no rolling restart to be resumed"), "{ran:?}");
}
