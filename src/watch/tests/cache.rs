//! What a follower keeps for its next start.

mod support;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ringrift_watch::{Dialer, Follower, FollowerConfig};
use support::{Log, Switchboard, caught_up, follow, id, until};
use tokio_util::sync::CancellationToken;

#[tokio::test(start_paused = true)]
async fn a_restart_without_a_voter_knows_what_was_agreed_and_that_it_may_be_old() {
    let dir = tempfile::tempdir().unwrap();
    let (board, log) = (Switchboard::new(), Log::new("c", 6));
    log.events(40);
    board.plug("a", &log);
    let (follower, stop) = follow(dir.path(), &board);
    caught_up(&follower, &log).await;
    until(&follower, |status| status.term == 6).await;
    stop.cancel();
    follower.stopped().await;
    let before = follower.agreed();

    let (again, _stop) = follow(dir.path(), &Switchboard::new());
    assert_eq!(*again.agreed(), *before);
    let status = again.status().borrow().clone();
    assert_eq!((status.term, status.applied, status.staleness()), (6, 40, None));
    assert_eq!(status.voters.into_iter().collect::<Vec<_>>(), [id("a"), id("b"), id("c")]);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_follower_asks_only_for_what_is_new_and_still_refuses_older_terms() {
    let dir = tempfile::tempdir().unwrap();
    let (board, log) = (Switchboard::new(), Log::new("c", 6));
    log.events(40);
    board.plug("a", &log);
    let (follower, stop) = follow(dir.path(), &board);
    caught_up(&follower, &log).await;
    until(&follower, |status| status.term == 6).await;
    stop.cancel();
    follower.stopped().await;

    log.lead(|leadership| leadership.term = 5);
    let (again, _stop) = follow(dir.path(), &board);
    let refused = until(&again, |status| status.trouble.is_some()).await;
    assert_eq!(refused.trouble.unwrap(), "a speaks for term 5, but a leader in term 6 was heard of: a is behind");
    log.lead(|leadership| leadership.term = 6);
    log.events(2);
    caught_up(&again, &log).await;
}

#[tokio::test(start_paused = true)]
async fn the_cache_is_written_every_few_seconds_and_not_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agreed.cache");
    let (board, log) = (Switchboard::new(), Log::new("c", 6));
    log.events(40);
    board.plug("a", &log);
    let (follower, _stop) = follow(dir.path(), &board);
    caught_up(&follower, &log).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!path.exists(), "it is not written at every entry");
    tokio::time::sleep(Duration::from_secs(3)).await;
    // Minutes of this time pass within one tick of the clock that dates files.
    fs::File::options().write(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let is_written_anew = || fs::metadata(&path).unwrap().modified().unwrap() != SystemTime::UNIX_EPOCH;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(!is_written_anew(), "nothing new, nothing written");
    log.events(1);
    caught_up(&follower, &log).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert!(is_written_anew());
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_cannot_be_written_stops_nothing_and_is_written_once_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let (board, log) = (Switchboard::new(), Log::new("c", 6));
    log.events(5);
    board.plug("a", &log);
    let (follower, stop) = follow(&missing, &board);
    caught_up(&follower, &log).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    fs::create_dir(&missing).unwrap();
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert!(missing.join("agreed.cache").exists());
    stop.cancel();
    follower.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn a_damaged_cache_stops_the_start_with_what_to_do_and_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agreed.cache");
    let (board, log) = (Switchboard::new(), Log::new("c", 6));
    log.events(5);
    board.plug("a", &log);
    let (follower, stop) = follow(dir.path(), &board);
    caught_up(&follower, &log).await;
    stop.cancel();
    follower.stopped().await;

    let good = fs::read(&path).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 4;
    let mut newer = good.clone();
    newer[8] = 200;
    let file = path.display();
    let cases = [
        (
            flipped,
            format!(
                "its SHA-256 does not match: its bytes changed since they were written. It was left as it is. The voters \
                           have the state, so remove {file} and start again; this node then fetches it anew"
            ),
        ),
        (good[..good.len() - 1].to_vec(), format!("so remove {file} and start again")),
        (newer, format!("so start the newer program that wrote it, or remove {file} and start again")),
        (Vec::new(), format!("so remove {file} and start again")),
    ];
    for (bytes, told) in cases {
        fs::write(&path, &bytes).unwrap();
        let config = FollowerConfig::new(id("worker"), path.clone());
        let started = Follower::start(config, Arc::clone(&board) as Arc<dyn Dialer>, CancellationToken::new());
        let error = started.err().expect("it does not start").to_string();
        assert!(error.contains(&told), "{error}");
        assert!(error.starts_with(&format!("the copy of the agreed state cannot be used: {file}: ")), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}
