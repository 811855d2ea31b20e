//! What readers of the agreed state get.

use futures::{FutureExt, StreamExt};
use ringrift_state::{Agreed, Update};

use super::cluster::{Cluster, command, number, until};

/// Follows a stream from the beginning as a reader does.
fn follow(held: &mut Agreed, update: Update) {
    match update {
        Update::Snapshot(agreed) => *held = Agreed::clone(&agreed),
        Update::Entry { meta, command } => drop(held.apply(meta, &command).unwrap()),
        Update::Blank(meta) => held.advance(meta).unwrap(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_arrives_at_the_voters_own_state_entry_by_entry() {
    let cluster = Cluster::of("a b c").await;
    let leader = cluster.any_leader().await;
    let mut stream = cluster.node(&leader).subscribe(1);
    let mut held = Agreed::default();
    for n in 0..300 {
        cluster.write(n).await;
    }
    let agreed = cluster.node(&leader).agreed();
    while held.index < agreed.index {
        let update = stream.next().await.unwrap();
        assert!(!matches!(update, Update::Snapshot(_)), "the entries are at hand");
        follow(&mut held, update);
    }
    assert_eq!(held, *agreed);
    assert!(stream.next().now_or_never().is_none(), "nothing is sent before it is agreed on");
    let done = cluster.write(301).await;
    follow(&mut held, stream.next().await.unwrap());
    assert_eq!(held.index, done.index);
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_entries_that_are_gone_gets_a_snapshot_first() {
    let mut cluster = Cluster::empty();
    cluster.tuning.snapshot_after = 50;
    cluster.tuning.keep = 10;
    cluster.start_all("a").await;
    cluster.any_leader().await;
    let mut slow = cluster.node("a").subscribe(1);
    let mut held = Agreed::default();
    follow(&mut held, slow.next().await.unwrap());
    for n in 0..200 {
        cluster.write(n).await;
    }
    let agreed = cluster.node("a").agreed();
    let mut snapshots = 0;
    for stream in [&mut slow, &mut cluster.node("a").subscribe(1)] {
        let mut held = held.clone();
        while held.index < agreed.index {
            let update = stream.next().await.unwrap();
            snapshots += usize::from(matches!(update, Update::Snapshot(_)));
            follow(&mut held, update);
        }
        assert_eq!(held, *agreed);
    }
    assert_eq!(snapshots, 2);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_ahead_of_this_voter_waits_for_it() {
    let cluster = Cluster::of("a").await;
    let done = cluster.write(1).await;
    let mut ahead = cluster.node("a").subscribe(done.index + 3);
    assert!(ahead.next().now_or_never().is_none());
    let mut last = done.index;
    while last < done.index + 3 {
        last = cluster.write(2).await.index;
    }
    let Some(Update::Entry { meta, .. }) = ahead.next().await else { panic!() };
    assert_eq!(meta.index, done.index + 3);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_the_voter_stops() {
    let cluster = Cluster::of("a").await;
    let done = cluster.write(1).await;
    let node = cluster.node("a");
    let stream = node.subscribe(done.index + 1);
    let reader = tokio::spawn(stream.collect::<Vec<_>>());
    cluster.stop("a").await;
    drop(node);
    until("it ends", || reader.is_finished().then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_voter_far_behind_is_brought_up_by_a_snapshot() {
    let mut cluster = Cluster::empty();
    cluster.tuning.snapshot_after = 50;
    cluster.tuning.keep = 10;
    cluster.start_all("a b c").await;
    let leader = cluster.any_leader().await;
    let behind = cluster.names().into_iter().find(|n| *n != leader).unwrap();
    cluster.crash(&behind).await;
    for n in 0..300 {
        cluster.write(n).await;
    }
    cluster.start(&behind, "a b c").await.unwrap();
    let index = cluster.node(&leader).agreed().index;
    cluster.applied(&behind, index).await;
    assert_eq!(cluster.node(&behind).agreed().state, cluster.node(&leader).agreed().state);
    // And again from its own disk.
    cluster.crash(&behind).await;
    cluster.start(&behind, "a b c").await.unwrap();
    cluster.applied(&behind, index).await;
}

/// Found by lives with jobs: what a leader had appended and nobody agreed on was passed on as agreed.
#[tokio::test(start_paused = true)]
async fn a_reader_is_not_shown_what_the_log_has_in_the_place_of_entries_that_came_as_a_snapshot() {
    let mut cluster = Cluster::empty();
    cluster.tuning.snapshot_after = 40;
    cluster.tuning.keep = 10;
    cluster.start_all("a b c").await;
    cluster.named().await;
    let old = cluster.any_leader().await;
    let done = cluster.write(1).await;
    let mut stream = cluster.node(&old).subscribe(done.index + 1);
    // It reads at once, before the log is cut.
    let first = tokio::spawn(async move { stream.next().await });
    let others: Vec<_> = cluster.names().into_iter().filter(|n| *n != old).collect();
    cluster.net.cut(&old, &others.join(" "));
    assert!(cluster.node(&old).propose(command(999)).await.is_err(), "nobody hears of it");
    cluster.leader(&others.join(" ")).await;
    for n in 2..300 {
        cluster.write(n).await;
    }
    cluster.net.heal();
    cluster.any_leader().await;
    let first = first.await.unwrap().unwrap();
    assert_ne!(number(&first), Some(999), "{first:?}");
    // The same for whoever begins anew, and on a voter that has started again.
    for restarted in [false, true] {
        if restarted {
            cluster.crash(&old).await;
            cluster.start(&old, "a b c").await.unwrap();
            cluster.any_leader().await;
        }
        let mut stream = cluster.node(&old).subscribe(1);
        let mut held = Agreed::default();
        while held.index < cluster.node(&old).agreed().index {
            let update = stream.next().await.unwrap();
            assert_ne!(number(&update), Some(999));
            follow(&mut held, update);
        }
        assert_eq!(held, *cluster.node(&old).agreed());
    }
}
