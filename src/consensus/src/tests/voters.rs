//! Changes of the voters.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;

use super::cluster::{Cluster, command, id, number, set, until};
use crate::{ChangeError, Role};
use futures::StreamExt;

/// Changes the voters and waits until all know it: those who stay, those who came, and those who must not vote any more.
async fn change(cluster: &Cluster, voters: &str, target: &str) {
    let leader = cluster.leader(voters).await;
    cluster.node(&leader).change_voters(set(target)).await.unwrap();
    until(("voters are", target), || {
        let all = set(&format!("{voters} {target}"))
            .iter()
            .map(|node| cluster.status(node.as_str()))
            .all(|status| status.voters == set(target) && !status.changing);
        all.then_some(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn three_become_five_and_three_again_under_writes_and_nothing_is_lost() {
    let mut cluster = Cluster::of("a b c").await;
    cluster.any_leader().await;
    for new in ["d", "e"] {
        cluster.start(new, "a b c d e").await.unwrap();
    }
    let cluster = Arc::new(cluster);
    // What a voter that stays has applied, from the first entry on.
    let applied = Arc::new(Mutex::new(BTreeSet::new()));
    let mut log = cluster.node("c").subscribe(1);
    tokio::spawn({
        let applied = applied.clone();
        async move {
            while let Some(update) = log.next().await {
                applied.lock().unwrap().extend(number(&update));
            }
        }
    });
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (cluster, stop) = (cluster.clone(), stop.clone());
        async move {
            let mut taken = Vec::new();
            for n in 1.. {
                taken.push((n, cluster.write(n).await.index));
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                sleep(Duration::from_millis(20)).await;
            }
            taken
        }
    });
    change(&cluster, "a b c", "a b c d e").await;
    change(&cluster, "a b c d e", "c d e").await;
    stop.store(true, Ordering::SeqCst);
    let taken = writer.await.unwrap();
    assert!(taken.len() > 100);
    let last = taken.last().unwrap().1;
    cluster.applied("c d e", last).await;
    until("c has applied all that was confirmed", || {
        let applied = applied.lock().unwrap();
        taken.iter().all(|(n, _)| applied.contains(n)).then_some(())
    })
    .await;
    let states = ["c", "d", "e"].map(|name| cluster.node(name).agreed());
    assert!(states.iter().all(|agreed| agreed.state.eligibility == states[0].state.eligibility));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_removed_hands_over_and_becomes_a_learner() {
    let mut cluster = Cluster::of("a b c").await;
    let leader = cluster.any_leader().await;
    cluster.start("d", "b c d").await.unwrap();
    let target: Vec<_> = ["a", "b", "c", "d"].into_iter().filter(|n| *n != leader).collect();
    cluster.node(&leader).change_voters(set(&target.join(" "))).await.unwrap();
    let new = until("another leads", || cluster.leader_now(&target.join(" ")).filter(|n| *n != leader)).await;
    until("the removed one steps down", || (cluster.status(&leader).role == Role::Learner).then_some(())).await;
    cluster.crash(&leader).await;
    cluster.write(1).await;
    // Nor does it come back as a voter.
    cluster.start(&leader, "a b c").await.unwrap();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(cluster.leader(&target.join(" ")).await, new);
    assert!(!matches!(cluster.status(&leader).role, Role::Leader));
}

#[tokio::test(start_paused = true)]
async fn one_voter_becomes_three_and_one_again() {
    let mut cluster = Cluster::of("a").await;
    cluster.write(1).await;
    cluster.start("b", "a b c").await.unwrap();
    cluster.start("c", "a b c").await.unwrap();
    change(&cluster, "a", "a b c").await;
    let leader = cluster.any_leader().await;
    change(&cluster, "a b c", &leader).await;
    for name in ["a", "b", "c"] {
        if name != leader {
            cluster.crash(name).await;
        }
    }
    cluster.write(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_set_that_would_have_no_quorum_is_refused_and_nothing_changes() {
    let cluster = Cluster::of("a b c").await;
    let leader = cluster.any_leader().await;
    let node = cluster.node(&leader);
    assert_eq!(node.change_voters(BTreeSet::new()).await, Err(ChangeError::Empty { voters: set("a b c") }));
    let refused = node.change_voters(set(&format!("{leader} x y"))).await.unwrap_err();
    let ChangeError::NoQuorum { missing, needed, .. } = &refused else { panic!("{refused}") };
    assert_eq!((missing, *needed), (&set("x y"), 2));
    assert!(refused.to_string().contains("x, y"), "{refused}");
    until("they are no longer fed", || {
        let status = cluster.status(&leader);
        assert_eq!(status.voters, set("a b c"));
        (!status.matched.contains_key(&id("x")) && !status.changing).then_some(())
    })
    .await;
    cluster.write(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_follower_refuses_to_change_voters_and_two_changes_do_not_mix() {
    let cluster = Cluster::of("a b c").await;
    let leader = cluster.any_leader().await;
    let follower = cluster.names().into_iter().find(|n| *n != leader).unwrap();
    assert!(cluster.node(&follower).change_voters(set("a b")).await.is_err());
    let node = cluster.node(&leader);
    let target = format!("{leader} x y");
    let first = tokio::spawn({
        let (node, target) = (node.clone(), target.clone());
        async move { node.change_voters(set(&target)).await }
    });
    until("it is under way", || cluster.status(&leader).matched.contains_key(&id("x")).then_some(())).await;
    assert_eq!(node.change_voters(set("a b")).await, Err(ChangeError::UnderWay));
    assert!(first.await.unwrap().is_err());
    assert_eq!(node.change_voters(set("a b c")).await, Ok(()), "the same set is no change");
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_leader_dies_half_way_is_finished_by_the_next() {
    for seed in 0..8 {
        let mut cluster = Cluster::seeded(seed);
        cluster.start_all("a b c").await;
        let leader = cluster.any_leader().await;
        for new in ["d", "e"] {
            cluster.start(new, "a b c d e").await.unwrap();
        }
        let node = cluster.node(&leader);
        let asked = tokio::spawn(async move { node.change_voters(set("a b c d e")).await });
        // At any moment of the change, depending on the seed.
        sleep(Duration::from_millis(3_300 + 25 * seed)).await;
        cluster.crash(&leader).await;
        asked.abort();
        until("the change is over", || {
            let leader = cluster.names().into_iter().find(|name| cluster.status(name).role == Role::Leader)?;
            let status = cluster.status(&leader);
            let whole = status.voters == set("a b c") || status.voters == set("a b c d e");
            let fed: BTreeSet<_> = status.matched.keys().cloned().collect();
            (whole && !status.changing && fed.is_subset(&status.voters)).then_some(())
        })
        .await;
        cluster.write(seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_that_no_message_can_carry_is_refused() {
    let cluster = Cluster::of("a").await;
    cluster.any_leader().await;
    let mut large = command(1);
    if let ringrift_state::Command::SetEligibility { reason, .. } = &mut large {
        *reason = "x".repeat(4 << 20);
    }
    let refused = cluster.node("a").propose(large).await.unwrap_err();
    assert!(matches!(refused, crate::ProposeError::TooLarge { .. }), "{refused}");
}
