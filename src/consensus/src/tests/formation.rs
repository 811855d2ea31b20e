//! How clusters begin, and how voters that lost their disks come back.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::cluster::{Cluster, TIMERS, id, misnamed, until};
use crate::{Role, StartError, store::Standing};

#[tokio::test(start_paused = true)]
async fn two_of_three_found_the_cluster_and_the_third_comes_later() {
    let mut cluster = Cluster::empty();
    cluster.start("a", "a b c").await.unwrap();
    sleep(Duration::from_mins(1)).await;
    let status = cluster.status("a");
    assert_eq!((status.role, status.term), (Role::Learner, 0), "one of three is no majority");
    assert!(status.waiting.unwrap().contains("b, c"));
    cluster.start("b", "a b c").await.unwrap();
    cluster.leader("a b").await;
    let done = cluster.write(1).await;
    cluster.start("c", "a b c").await.unwrap();
    cluster.applied("c", done.index).await;
    until("c takes part", || (cluster.status("c").role == Role::Follower).then_some(())).await;
    assert_eq!(cluster.status("c").waiting, None);
}

#[tokio::test(start_paused = true)]
async fn voters_with_different_founding_sets_refuse_each_other_and_say_both() {
    let mut cluster = Cluster::empty();
    cluster.start("a", "a b c").await.unwrap();
    cluster.start("b", "a b d").await.unwrap();
    cluster.start("c", "a b c").await.unwrap();
    sleep(Duration::from_mins(1)).await;
    for name in ["a", "b", "c"] {
        let status = cluster.status(name);
        assert_eq!((status.leader, status.term), (None, 0));
        let waiting = status.waiting.unwrap();
        assert!(waiting.contains("a, b, c") && waiting.contains("a, b, d"), "{waiting}");
    }
    // The file is corrected.
    cluster.stop("b").await;
    cluster.start("b", "a b c").await.unwrap();
    cluster.any_leader().await;
}

#[tokio::test(start_paused = true)]
async fn a_voter_that_is_cut_off_at_the_start_joins_what_the_others_founded() {
    let mut cluster = Cluster::empty();
    cluster.net.cut("c", "a b");
    cluster.start_all("a b c").await;
    cluster.leader("a b").await;
    let done = cluster.write(1).await;
    cluster.net.heal();
    cluster.applied("c", done.index).await;
    until("c takes part", || (cluster.status("c").role == Role::Follower).then_some(())).await;
}

/// The last to ask finds the others with a log already. It must not be taken for one that lost its disk: it would not vote for
/// seconds, and the loss of one other voter would stop the cluster.
#[tokio::test(start_paused = true)]
async fn a_founder_that_asks_too_late_votes_at_once() {
    let mut cluster = Cluster::empty();
    // The others hear its answers, and found the cluster with it; its own questions are lost.
    cluster.net.faults(|faults| faults.unheard = Some(id("c")));
    cluster.start_all("a b c").await;
    let leader = cluster.leader("a b").await;
    assert!(cluster.status("c").waiting.is_some());
    cluster.net.faults(|faults| faults.unheard = None);
    let heard = Instant::now();
    until("c takes part", || cluster.status("c").waiting.is_none().then_some(())).await;
    assert!(heard.elapsed() < TIMERS.election_max, "it was taken for one without its disk");
    cluster.crash(&leader).await;
    cluster.any_leader().await;
}

#[tokio::test(start_paused = true)]
async fn founders_that_crash_at_any_moment_found_one_cluster_in_the_end() {
    for seed in 0..10 {
        let mut cluster = Cluster::seeded(seed);
        cluster.start_all("a b c").await;
        sleep(Duration::from_millis(seed * 60)).await;
        let victim = ["a", "b", "c"][seed as usize % 3];
        cluster.crash(victim).await;
        cluster.start(victim, "a b c").await.unwrap();
        cluster.any_leader().await;
        let done = cluster.write(seed).await;
        cluster.applied("a b c", done.index).await;
        let names = ["a", "b", "c"].map(|n| cluster.node(n).agreed().cluster_id.clone());
        assert!(names.iter().all(|n| *n == names[0]), "{names:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_no_voter_does_not_start() {
    let mut cluster = Cluster::empty();
    let refused = cluster.start("x", "a b c").await.unwrap_err();
    assert!(matches!(refused, StartError::NotAVoter { .. }), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_voter_without_its_disk_catches_up_and_votes_again() {
    let mut cluster = Cluster::of("a b c").await;
    let leader = cluster.any_leader().await;
    let done = cluster.write(1).await;
    let other = cluster.names().into_iter().find(|n| *n != leader).unwrap();
    cluster.crash(&other).await;
    cluster.wipe(&other);
    cluster.start(&other, "a b c").await.unwrap();
    cluster.applied(&other, done.index).await;
    until("it takes part", || (cluster.status(&other).role == Role::Follower).then_some(())).await;
    // Now its vote counts: with the leader gone it is one of the two that are needed.
    cluster.crash(&leader).await;
    cluster.any_leader().await;
    cluster.write(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_without_its_disk_does_not_lead_before_it_has_caught_up() {
    let mut cluster = Cluster::of("a b c").await;
    let leader = cluster.any_leader().await;
    let done = cluster.write(1).await;
    cluster.crash(&leader).await;
    cluster.wipe(&leader);
    cluster.start(&leader, "a b c").await.unwrap();
    let new = cluster.any_leader().await;
    assert_ne!(new, leader);
    cluster.applied("a b c", done.index).await;
}

/// The entry was agreed on by the leader and one other voter. That one loses its disk, the leader dies, and the third voter never got
/// the entry: the two that are left are a majority, and may not elect anybody.
#[tokio::test(start_paused = true)]
async fn a_voter_without_its_disk_does_not_vote_away_what_it_helped_to_agree_on() {
    let mut cluster = Cluster::of("a b c").await;
    let leader = cluster.any_leader().await;
    let others: Vec<_> = cluster.names().into_iter().filter(|n| *n != leader).collect();
    let [witness, behind] = [&others[0], &others[1]];
    cluster.named().await;
    cluster.net.cut(behind, &format!("{leader} {witness}"));
    let agreed = cluster.write(1).await;
    cluster.crash(witness).await;
    cluster.crash(&leader).await;
    cluster.wipe(witness);
    cluster.net.heal();
    cluster.start(witness, "a b c").await.unwrap();
    sleep(Duration::from_mins(1)).await;
    for name in [witness, behind] {
        assert_eq!(cluster.status(name).leader, None, "{name} follows somebody who lacks the entry");
    }
    assert!(cluster.status(witness).waiting.unwrap().contains(leader.as_str()));
    // The leader comes back, and with it the entry.
    cluster.start(&leader, "a b c").await.unwrap();
    cluster.any_leader().await;
    cluster.applied("a b c", agreed.index).await;
}

/// A leader that has not applied what a leader before it called the cluster calls it something else, which comes to nothing.
#[tokio::test(start_paused = true)]
async fn a_voter_without_its_disk_does_not_look_for_a_cluster_by_a_name_that_came_too_late() {
    let mut cluster = Cluster::of("a b c").await;
    let name = cluster.named().await;
    let leader = cluster.any_leader().await;
    let others: Vec<_> = cluster.names().into_iter().filter(|other| *other != leader).collect();
    let [forgets, away] = [&others[0], &others[1]];
    cluster.net.cut(&leader, &others.join(" "));
    let node = cluster.node(&leader);
    let late = misnamed();
    // It stays in the leader's log, and is not agreed on.
    let proposed = tokio::spawn(async move { node.propose(late).await.map(drop) });
    until("it is in the log", || {
        let store = &cluster.node(&leader).inner.service.store;
        let last = store.mirror().last()?;
        (last.index() > cluster.node(&leader).agreed().index).then_some(())
    })
    .await;
    cluster.crash(forgets).await;
    cluster.wipe(forgets);
    // It can ask nobody else.
    cluster.net.heal();
    cluster.net.cut(away, &format!("{leader} {forgets}"));
    cluster.start(forgets, "a b c").await.unwrap();
    until("it knows where it belongs", || {
        let store = &cluster.node(forgets).inner.service.store;
        matches!(&store.mirror().standing, Standing::Joining { cluster } if *cluster == name).then_some(())
    })
    .await;
    cluster.net.heal();
    let done = cluster.write(1).await;
    cluster.applied(forgets, done.index).await;
    until("it takes part", || cluster.status(forgets).waiting.is_none().then_some(())).await;
    proposed.abort();
}

/// Whoever takes down the next voter looks at this one first.
#[tokio::test(start_paused = true)]
async fn a_voter_that_has_just_started_is_not_taken_for_one_that_takes_part() {
    let mut cluster = Cluster::of("a b c").await;
    cluster.any_leader().await;
    cluster.named().await;
    until("b takes part", || cluster.status("b").waiting.is_none().then_some(())).await;
    cluster.crash("b").await;
    cluster.start("b", "a b c").await.unwrap();
    assert!(cluster.status("b").waiting.is_some());
    until("b takes part again", || cluster.status("b").waiting.is_none().then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_in_another_nodes_name_is_refused() {
    let cluster = Cluster::of("a b c").await;
    let cluster_id = cluster.named().await;
    let ask = |from: &str, to: &str, node: &str, request| {
        let envelope = crate::wire::Envelope { from: id(from), to: id(to), cluster: String::new(), request };
        (cluster.node("b"), id(node), crate::wire::pack(&envelope).unwrap())
    };
    let hello = || crate::wire::Request::Hello { genesis: super::cluster::set("a b c") };
    let (b, from, request) = ask("a", "b", "c", hello());
    assert!(b.serve(&from, request).await.unwrap_err().contains("c sent it"));
    let (b, from, request) = ask("a", "c", "a", hello());
    assert!(b.serve(&from, request).await.unwrap_err().contains("for c"));
    let vote = crate::record::VoteRecord { term: 99, node: id("a"), committed: true };
    let append = crate::wire::Append { vote, prev: None, entries: Vec::new(), committed: None };
    let stolen = crate::wire::Envelope {
        from: id("c"),
        to: id("b"),
        cluster: cluster_id,
        request: crate::wire::Request::Append(append),
    };
    let refused = cluster.node("b").serve(&id("c"), crate::wire::pack(&stolen).unwrap()).await;
    assert!(refused.unwrap_err().contains("in the name of a"));
    assert!(
        cluster
            .node("b")
            .serve(&id("a"), bytes::Bytes::from_static(&[9, 1, 2]))
            .await
            .unwrap_err()
            .contains("version 9")
    );
    assert!(cluster.node("b").serve(&id("a"), bytes::Bytes::new()).await.is_err());
    assert!(cluster.node("b").serve(&id("a"), bytes::Bytes::from_static(&[1, 0xff, 3])).await.is_err());
}
