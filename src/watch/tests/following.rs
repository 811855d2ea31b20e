//! A follower and the voters that it reads from.

mod support;

use std::sync::Arc;
use std::time::Duration;

use ringrift_state::{Command, NewEvent};
use ringrift_watch::{HubConfig, Source};
use support::{Log, LogSource, Switchboard, caught_up, follow, id, until, until_index};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_new_follower_catches_up_by_entries_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (board, log) = (Switchboard::new(), Log::new("c", 3));
    log.blank();
    log.events(50);
    board.plug("a", &log);
    let (follower, _stop) = follow(dir.path(), &board);
    caught_up(&follower, &log).await;
    log.events(3);
    log.blank();
    caught_up(&follower, &log).await;
    let status = until(&follower, |status| status.leader.is_some()).await;
    assert_eq!((status.connected_to, status.term, status.leader), (Some(id("a")), 3, Some(id("a"))));
    assert_eq!(status.voters.into_iter().collect::<Vec<_>>(), [id("a"), id("b"), id("c")]);
    assert_eq!(board.dialled().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_follower_catches_up_by_a_snapshot_of_many_frames() {
    let dir = tempfile::tempdir().unwrap();
    let (board, log) = (Switchboard::new(), Log::new("c", 3));
    for n in 0..2500 {
        log.commit(Command::Record { event: NewEvent::new("E", "x".repeat(700), n) });
    }
    log.purge();
    board.plug("a", &log);
    let (follower, _stop) = follow(dir.path(), &board);
    caught_up(&follower, &log).await;
    log.events(3);
    caught_up(&follower, &log).await;
    assert_eq!(board.dialled().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_comes_back_gets_entries_from_a_voter_that_restarted() {
    let dir = tempfile::tempdir().unwrap();
    let (board, log) = (Switchboard::new(), Log::new("c", 3));
    log.events(20);
    board.plug("a", &log);
    let (follower, _stop) = follow(dir.path(), &board);
    caught_up(&follower, &log).await;
    board.unplug("a");
    log.events(900);
    let hub = board.plug("a", &log);
    caught_up(&follower, &log).await;
    assert_eq!(hub.watchers(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_voter_that_goes_is_replaced_within_half_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let (board, log) = (Switchboard::new(), Log::new("c", 3));
    log.events(20);
    board.plug("a", &log);
    board.plug("b", &log);
    let (follower, _stop) = follow(dir.path(), &board);
    until(&follower, |status| status.connected_to == Some(id("a"))).await;
    let gone = Instant::now();
    board.unplug("a");
    log.events(5);
    let lost = until(&follower, |status| status.connected_to.is_none()).await;
    assert_eq!(lost.trouble.as_deref(), Some("the stream from a ended: the voter closed it"));
    assert_eq!(lost.leader, Some(id("a")), "what was last known stays, with its age");
    until(&follower, |status| status.connected_to == Some(id("b"))).await;
    caught_up(&follower, &log).await;
    assert!(gone.elapsed() < Duration::from_millis(500), "{:?}", gone.elapsed());
    assert_eq!(board.dialled(), [id("a"), id("b")]);
}

#[tokio::test(start_paused = true)]
async fn a_voter_that_is_behind_is_refused_by_name_until_it_has_caught_up() {
    let dir = tempfile::tempdir().unwrap();
    let board = Switchboard::new();
    let (new, old) = (Log::new("c", 6), Log::new("c", 5));
    new.events(20);
    old.events(20);
    board.plug("new", &new);
    let (follower, _stop) = follow(dir.path(), &board);
    until(&follower, |status| status.term == 6 && status.applied == 20).await;
    board.plug("old", &old);
    board.unplug("new");
    let refused = until(&follower, |status| status.trouble.as_deref().is_some_and(|t| t.contains("term"))).await;
    let wanted = "old speaks for term 5, but a leader in term 6 was heard of: old is behind";
    assert_eq!((refused.trouble.as_deref(), refused.connected_to), (Some(wanted), None));
    assert_eq!(refused.term, 6);
    old.lead(|leadership| leadership.term = 6);
    let then = until(&follower, |status| status.connected_to.is_some()).await;
    assert_eq!((then.connected_to, then.trouble), (Some(id("old")), None));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_leader_arrives_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (board, log) = (Switchboard::new(), Log::new("c", 3));
    board.plug("a", &log);
    let (follower, _stop) = follow(dir.path(), &board);
    until(&follower, |status| status.connected_to.is_some()).await;
    let changed = Instant::now();
    log.lead(|leadership| (leadership.term, leadership.leader) = (4, Some(id("b"))));
    until(&follower, |status| status.leader == Some(id("b")) && status.term == 4).await;
    assert!(changed.elapsed() < Duration::from_millis(50), "{:?}", changed.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_silent_voter_is_left_after_three_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let (board, log) = (Switchboard::new(), Log::new("c", 3));
    let never = HubConfig { heartbeat: Duration::from_hours(1), ..HubConfig::new(id("a")) };
    board.plug_with(never, &log);
    board.plug("b", &log);
    let (follower, _stop) = follow(dir.path(), &board);
    until(&follower, |status| status.connected_to == Some(id("a"))).await;
    let heard = Instant::now();
    let left = until(&follower, |status| status.connected_to.is_none()).await;
    assert_eq!(left.trouble.as_deref(), Some("a said nothing for 3s"));
    assert_eq!(heard.elapsed().as_millis() / 10, 300);
    until(&follower, |status| status.connected_to == Some(id("b"))).await;
}

#[tokio::test(start_paused = true)]
async fn staleness_is_the_voters_own_and_the_time_since_it_spoke() {
    let dir = tempfile::tempdir().unwrap();
    let (board, log) = (Switchboard::new(), Log::new("c", 3));
    board.plug("a", &log);
    log.lead(|leadership| leadership.leader_seen = Some(Instant::now().into_std()));
    let (follower, _stop) = follow(dir.path(), &board);
    assert_eq!(follower.status().borrow().staleness(), None, "nothing was heard yet");
    until(&follower, |status| status.connected_to.is_some()).await;
    assert!(follower.status().borrow().staleness().unwrap() < Duration::from_millis(200));

    // The voter's leader is silent: its figure grows with every heartbeat, and the follower's between them.
    let silent_since = Instant::now();
    until(&follower, |status| status.voter_behind >= Some(Duration::from_secs(6))).await;
    let stale = follower.status().borrow().staleness().unwrap();
    let really = silent_since.elapsed();
    assert!(stale.abs_diff(really) < Duration::from_millis(300), "{stale:?} instead of {really:?}");

    // The voter goes: the clock alone goes on.
    board.unplug("a");
    let gone = until(&follower, |status| status.connected_to.is_none()).await;
    tokio::time::advance(Duration::from_secs(30)).await;
    let (stale, really) = (gone.staleness().unwrap(), silent_since.elapsed());
    assert!(stale.abs_diff(really) < Duration::from_millis(300), "{stale:?} instead of {really:?}");

    // It comes back, and knows a leader again.
    log.lead(|leadership| leadership.leader_seen = Some(Instant::now().into_std()));
    board.plug("a", &log);
    until(&follower, |status| status.connected_to.is_some()).await;
    let stale = follower.status().borrow().staleness().unwrap();
    assert!(stale < Duration::from_secs(6), "{stale:?}");

    log.lead(|leadership| leadership.leader_seen = None);
    until(&follower, |status| status.voter_behind.is_none()).await;
    assert_eq!(follower.status().borrow().staleness(), None);
}

#[tokio::test(start_paused = true)]
async fn a_voter_cut_off_from_the_leader_is_left_for_one_that_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let board = Switchboard::new();
    let (cut_off, well) = (Log::new("c", 3), Log::new("c", 3));
    board.plug("a", &cut_off);
    cut_off.lead(|leadership| leadership.leader = None);
    board.plug("b", &well);
    let (follower, _stop) = follow(dir.path(), &board);
    until(&follower, |status| status.connected_to == Some(id("a"))).await;
    let beginning = Instant::now();
    // The other one hears from its leader all the time.
    let beats = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            well.lead(|leadership| leadership.leader_seen = Some(Instant::now().into_std()));
        }
    });
    let left = until(&follower, |status| status.connected_to.is_none()).await;
    assert_eq!(left.trouble.as_deref(), Some("a has known of no leader for 10s"));
    assert!((10..=12).contains(&beginning.elapsed().as_secs()), "{:?}", beginning.elapsed());
    until(&follower, |status| status.connected_to == Some(id("b"))).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(follower.status().borrow().staleness().unwrap() < Duration::from_secs(3));
    beats.abort();
}

#[tokio::test(start_paused = true)]
async fn a_recovered_cluster_is_followed_and_a_foreign_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let board = Switchboard::new();
    let lost = Log::new("c", 9);
    lost.events(30);
    board.plug("a", &lost);
    let (follower, _stop) = follow(dir.path(), &board);
    caught_up(&follower, &lost).await;
    board.unplug("a");

    let foreign = Log::new("d", 20);
    foreign.events(99);
    board.plug("f", &foreign);
    let refused = until(&follower, |status| status.trouble.as_deref().is_some_and(|t| t.contains("cluster"))).await;
    let trouble = refused.trouble.unwrap();
    assert!(trouble.contains('f') && trouble.contains("worker follows the cluster c"), "{trouble}");
    assert_eq!(follower.agreed().index, 30);
    board.unplug("f");

    // The recovered voter had fewer entries, and counts its terms from there.
    let recovered = Log::new("c", 4);
    recovered.events(25);
    recovered.rename("c-r1-x");
    recovered.events(1);
    board.plug("b", &recovered);
    until(&follower, |status| status.applied == 26).await;
    caught_up(&follower, &recovered).await;
    assert_eq!(follower.status().borrow().term, 4);
    recovered.events(10);
    until_index(&follower, 36).await;
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_was_ahead_takes_nothing_of_the_recovered_log_on_top_of_the_lost_one() {
    let dir = tempfile::tempdir().unwrap();
    let board = Switchboard::new();
    let (lost, recovered) = (Log::new("c", 4), Log::new("c", 4));
    lost.events(30);
    board.plug("a", &lost);
    let (follower, _stop) = follow(dir.path(), &board);
    caught_up(&follower, &lost).await;

    // The recovered voter has 25 of the 30 entries, and the follower is connected before the new name is agreed on.
    recovered.events(25);
    board.plug("b", &recovered);
    board.unplug("a");
    until(&follower, |status| status.connected_to == Some(id("b"))).await;
    let form = Command::FormCluster {
        cluster_id: "c-r1-x".into(),
        voters: [id("b")].into(),
        revision: String::new(),
        by: "b".into(),
        at_ms: 0,
    };
    recovered.commit(form);
    recovered.events(40);
    let mut changes = follower.changes();
    while *follower.agreed() != *LogSource(Arc::clone(&recovered)).agreed() {
        let now = follower.agreed();
        assert_eq!((now.index, now.cluster_id.as_str()), (30, "c"), "either the lost state or the recovered one");
        tokio::time::timeout(Duration::from_mins(1), changes.changed()).await.unwrap().unwrap();
    }
    assert_eq!(follower.agreed().cluster_id, "c-r1-x");
}

#[tokio::test(start_paused = true)]
async fn a_follower_without_any_voter_says_so_and_shows_the_watchdog_that_it_lives() {
    let dir = tempfile::tempdir().unwrap();
    let (follower, stop) = follow(dir.path(), &Switchboard::new());
    let status = until(&follower, |status| status.trouble.is_some()).await;
    assert_eq!(status.trouble.as_deref(), Some("no voter is reachable"));
    let before = follower.progress();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(follower.progress() >= before + 60);
    stop.cancel();
    follower.stopped().await;
}
