//! The way back from a lost majority.

use super::cluster::{Cluster, id, misnamed, set, until};
use crate::{RecoverError, Role, StartError, recover};

#[tokio::test(start_paused = true)]
async fn one_survivor_leads_a_new_cluster_with_the_old_state_and_the_old_voters_are_refused() {
    let mut cluster = Cluster::of("a b c").await;
    cluster.any_leader().await;
    let done = cluster.write(1).await;
    cluster.applied("a b c", done.index).await;
    cluster.named().await;
    let before = cluster.node("a").agreed();
    for name in ["a", "b", "c"] {
        cluster.crash(name).await;
    }
    let report = recover(&cluster.disk("a"), &id("a"), &set("a d e")).unwrap();
    assert!(report.kept_index >= done.index && report.term > report.kept_term);
    assert_eq!(report.old_cluster_id, before.cluster_id);
    assert_eq!((&report.old_voters, &report.voters, &report.to_add), (&set("a b c"), &set("a"), &set("d e")));
    assert!(report.next.iter().any(|step| step.contains("b, c")), "{:?}", report.next);

    cluster.start("a", "a d e").await.unwrap();
    assert_eq!(cluster.leader("a").await, "a");
    until("the new name", || (cluster.node("a").agreed().cluster_id == report.cluster_id).then_some(())).await;
    let after = cluster.node("a").agreed();
    assert_eq!(after.state.eligibility, before.state.eligibility);
    assert!(
        ringrift_state::ClusterId::parse(&after.cluster_id)
            .succeeds(&ringrift_state::ClusterId::parse(&before.cluster_id))
    );

    // Old voters that come back with their old logs are a majority of the old cluster, and cannot reach this one.
    cluster.start("b", "a b c").await.unwrap();
    cluster.start("c", "a b c").await.unwrap();
    cluster.leader("b c").await;
    let later = cluster.write(2).await;
    assert_eq!(cluster.status("a").role, Role::Leader);
    assert!(later.index > 0);
    cluster.crash("b").await;
    cluster.crash("c").await;

    // New ones are added as by any change.
    cluster.start("d", "a d e").await.unwrap();
    cluster.start("e", "a d e").await.unwrap();
    cluster.node("a").change_voters(set("a d e")).await.unwrap();
    until("d and e take part", || ["d", "e"].iter().all(|n| cluster.status(n).role == Role::Follower).then_some(()))
        .await;
    cluster.crash("a").await;
    cluster.leader("d e").await;
    cluster.write(3).await;
}

#[tokio::test(start_paused = true)]
async fn a_recovered_cluster_succeeds_the_name_that_was_agreed_on_and_not_a_later_one_that_was_refused() {
    let mut cluster = Cluster::of("a b c").await;
    let name = cluster.named().await;
    let leader = cluster.any_leader().await;
    let done = cluster.node(&leader).propose(misnamed()).await.unwrap();
    cluster.applied("a b c", done.index).await;
    assert_eq!(cluster.node("a").agreed().cluster_id, name);
    for name in ["a", "b", "c"] {
        cluster.crash(name).await;
    }
    let report = recover(&cluster.disk("a"), &id("a"), &set("a")).unwrap();
    assert_eq!(report.old_cluster_id, name);
    cluster.start("a", "a").await.unwrap();
    until("the new name", || (cluster.node("a").agreed().cluster_id == report.cluster_id).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_voter_says_which_cluster_its_log_is_of_before_it_has_applied_anything() {
    let mut cluster = Cluster::of("a b c").await;
    let old = cluster.named().await;
    for name in ["a", "b", "c"] {
        cluster.crash(name).await;
    }
    // Alone it hears of nobody up to where the log is agreed on.
    cluster.start("b", "a b c").await.unwrap();
    assert_eq!(cluster.status("b").cluster, old);
    let report = recover(&cluster.disk("a"), &id("a"), &set("a")).unwrap();
    cluster.start("a", "a").await.unwrap();
    assert_eq!(cluster.status("a").cluster, report.cluster_id, "the recovered one, from its first moment");
    cluster.crash("a").await;
    cluster.crash("b").await;
}

#[tokio::test(start_paused = true)]
async fn recovery_is_refused_where_it_makes_no_sense_and_changes_nothing() {
    let mut cluster = Cluster::of("a").await;
    cluster.any_leader().await;
    let dir = cluster.disk("a");
    let refused = recover(&dir, &id("a"), &set("a")).unwrap_err();
    assert!(matches!(refused, RecoverError::Store(StartError::InUse { .. })), "{refused}");
    cluster.stop("a").await;
    assert!(matches!(recover(&dir, &id("a"), &set("b c")), Err(RecoverError::NotAVoter { .. })));
    assert!(matches!(recover(&dir, &id("b"), &set("b")), Err(RecoverError::Store(StartError::OtherNode { .. }))));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(recover(empty.path(), &id("a"), &set("a")), Err(RecoverError::Nothing { .. })));
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "it leaves no file behind");
    cluster.start("a", "a").await.unwrap();
    cluster.any_leader().await;
}

#[tokio::test(start_paused = true)]
async fn a_cluster_can_be_recovered_twice() {
    let mut cluster = Cluster::of("a").await;
    cluster.write(1).await;
    cluster.named().await;
    for round in 1..=2 {
        cluster.stop("a").await;
        let report = recover(&cluster.disk("a"), &id("a"), &set("a")).unwrap();
        assert_eq!(ringrift_state::ClusterId::parse(&report.cluster_id).recoveries(), round);
        cluster.start("a", "a").await.unwrap();
        until("the new name", || (cluster.node("a").agreed().cluster_id == report.cluster_id).then_some(())).await;
    }
}
