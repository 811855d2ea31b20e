//! A voter and what its watchers may do to it.

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use ringrift_state::{Agreed, Command, EntryMeta, NewEvent, Update};
use ringrift_watch::{Hub, HubConfig, Leadership, ServeError, Source};
use serde::Serialize;
use support::{Log, LogSource, Switchboard, caught_up, follow, id, raw, until_index};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

#[derive(Serialize)]
struct Hello<'a> {
    node: &'a str,
    cluster_id: &'a str,
    from_index: u64,
}

async fn greet(stream: &mut DuplexStream, node: &str, cluster_id: &str, from_index: u64) {
    let hello = rmp_serde::to_vec_named(&Hello { node, cluster_id, from_index }).expect("the stream is open");
    stream.write_u8(1).await.expect("the stream is open");
    stream.write_u32(hello.len() as u32).await.expect("the stream is open");
    stream.write_all(&hello).await.expect("the stream is open");
}

/// The kind of the next frame and its content.
async fn frame(stream: &mut DuplexStream) -> (u8, Vec<u8>) {
    let mut content = vec![0; stream.read_u32().await.expect("the stream is open") as usize];
    stream.read_exact(&mut content).await.expect("the stream is open");
    (content.remove(0), content)
}

/// The content of the next frame of this kind.
async fn first_of(stream: &mut DuplexStream, wanted: u8) -> Vec<u8> {
    let found = async {
        loop {
            match frame(stream).await {
                (kind, content) if kind == wanted => return content,
                _ => {}
            }
        }
    };
    timeout(Duration::from_secs(5), found).await.expect("a frame of this kind within 5 s")
}

const REPORT: u8 = 1;
const ENTRY: u8 = 2;
const SNAPSHOT_END: u8 = 4;
const REFUSAL: u8 = 5;

fn hub(log: &Arc<Log>) -> Hub {
    Switchboard::new().plug("a", log)
}

#[tokio::test(start_paused = true)]
async fn a_greeting_that_is_wrong_is_answered_with_a_sentence() {
    let log = Log::new("ours", 3);
    log.events(3);
    let hub = hub(&log);
    let cases = [
        ("w", "mallory", "ours", "w calls itself mallory: its node id and its certificate differ"),
        (
            "w",
            "w",
            "theirs",
            "w follows the cluster theirs, and this voter belongs to ours: its copy of the state is not from here",
        ),
        ("w", "w", "ours-r1-x", "w follows the cluster ours-r1-x, and this voter belongs to ours"),
        ("w", "-", "ours", "w sent a greeting that cannot be read: "),
    ];
    for (watcher, claimed, cluster_id, told) in cases {
        let (mut stream, served) = raw(&hub, watcher);
        greet(&mut stream, claimed, cluster_id, 1).await;
        assert_eq!(stream.read_u8().await.unwrap(), 1);
        let (kind, text) = frame(&mut stream).await;
        let text = String::from_utf8(text).unwrap();
        assert_eq!(kind, REFUSAL);
        assert!(text.starts_with(told), "{text}");
        assert_eq!(served.await.unwrap().unwrap_err().to_string(), text);
        assert_eq!(stream.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    }
    assert_eq!(hub.watchers(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_says_nothing_or_too_much_is_dropped() {
    let log = Log::new("c", 3);
    let hub = hub(&log);

    let (_silent, served) = raw(&hub, "w");
    let error = served.await.unwrap().unwrap_err().to_string();
    assert_eq!(error, "w sent a greeting that cannot be read: it did not come in time");

    let (mut huge, served) = raw(&hub, "w");
    huge.write_all(&[1, 0x40, 0, 0, 0]).await.unwrap();
    let error = served.await.unwrap().unwrap_err().to_string();
    assert!(error.starts_with("w sent a greeting that cannot be read: "), "{error}");

    let (mut other, served) = raw(&hub, "w");
    other.write_u8(77).await.unwrap();
    assert_eq!(other.read_u8().await.unwrap(), 1, "the other side learns what is spoken here");
    assert!(matches!(served.await.unwrap(), Err(ServeError::Version { found: 77, .. })));

    let (mut talker, served) = raw(&hub, "w");
    greet(&mut talker, "w", "c", 1).await;
    talker.write_all(&[0, 0, 0, 1, 9]).await.unwrap();
    let error = served.await.unwrap().unwrap_err().to_string();
    assert_eq!(error, "w sent a greeting that cannot be read: it went on after its greeting");
    assert_eq!(hub.watchers(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_watcher_gets_the_report_first_and_then_what_it_lacks() {
    let log = Log::new("c", 3);
    log.events(5);
    let hub = hub(&log);
    for (from_index, kinds) in [(4, vec![REPORT, ENTRY, ENTRY]), (0, vec![REPORT, SNAPSHOT_END]), (6, vec![REPORT])] {
        let (mut stream, served) = raw(&hub, "w");
        greet(&mut stream, "w", "c", from_index).await;
        assert_eq!(stream.read_u8().await.unwrap(), 1);
        let mut came = Vec::new();
        while let Ok((kind, _)) = timeout(Duration::from_millis(100), frame(&mut stream)).await {
            came.push(kind);
        }
        // Heartbeats may fall into the wait.
        came.dedup();
        let mut kinds = kinds;
        kinds.dedup();
        assert!(came.starts_with(&kinds), "{from_index}: {came:?}");
        drop(stream);
        assert!(served.await.unwrap().is_ok(), "a watcher may leave");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_takes_nothing_is_dropped_and_costs_no_memory() {
    let log = Log::new("c", 3);
    let board = Switchboard::new();
    let hub = board.plug("a", &log);
    log.lead(|leadership| leadership.leader_seen = Some((Instant::now() + Duration::from_mins(1)).into_std()));
    let (mut stuck, served) = raw(&hub, "stuck");
    greet(&mut stuck, "stuck", "c", 1).await;
    let beginning = Instant::now();
    // Far more than the stream's buffer holds, while another watcher takes it all.
    let dir = tempfile::tempdir().unwrap();
    let (follower, _stop) = follow(dir.path(), &board);
    for n in 0..400 {
        log.commit(Command::Record { event: NewEvent::new("E", "x".repeat(1000), n) });
    }
    until_index(&follower, 400).await;
    assert!(beginning.elapsed() < Duration::from_secs(2), "nobody waits for the slow one: {:?}", beginning.elapsed());
    let error = served.await.unwrap().unwrap_err().to_string();
    assert_eq!(error, "stuck took no bytes for 10s and was dropped");
    assert!((10..13).contains(&beginning.elapsed().as_secs()), "{:?}", beginning.elapsed());
    assert_eq!(hub.watchers(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_was_overtaken_gets_a_snapshot_instead_of_what_it_missed() {
    let log = Log::new("c", 3);
    let config = HubConfig { keep_entries: 100, ..HubConfig::new(id("a")) };
    let hub = Switchboard::new().plug_with(config, &log);
    let (mut slow, _served) = raw(&hub, "slow");
    greet(&mut slow, "slow", "c", 1).await;
    assert_eq!(slow.read_u8().await.unwrap(), 1);
    for n in 0..1000 {
        log.commit(Command::Record { event: NewEvent::new("E", "x".repeat(500), n) });
        // The hub reads along, and the slow one does not.
        tokio::task::yield_now().await;
    }
    let (mut entries, mut snapshot) = (0, None);
    while snapshot.is_none() {
        match frame(&mut slow).await {
            (ENTRY, _) => entries += 1,
            (SNAPSHOT_END, bytes) => snapshot = Some(ringrift_state::decode::<Agreed>(&bytes).unwrap()),
            (REPORT, _) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!((1..900).contains(&entries), "{entries}");
    assert!(snapshot.unwrap().index > 900);
    log.events(1);
    first_of(&mut slow, ENTRY).await;
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_serves_many_until_the_log_has_left_it_behind() {
    let log = Log::new("c", 3);
    log.events(50);
    let config = HubConfig { keep_entries: 100, ..HubConfig::new(id("a")) };
    let hub = Switchboard::new().plug_with(config, &log);
    let mut kept = Vec::new();
    // Each asks for a snapshot: the second gets the first one's and the entries since, the third a new one.
    for (more, wanted) in [(0, 50), (80, 50), (40, 170)] {
        log.events(more);
        tokio::time::advance(Duration::from_millis(1)).await;
        let (mut stream, served) = raw(&hub, "w");
        greet(&mut stream, "w", "c", 0).await;
        assert_eq!(stream.read_u8().await.unwrap(), 1);
        let bytes = first_of(&mut stream, SNAPSHOT_END).await;
        assert_eq!(ringrift_state::decode::<Agreed>(&bytes).unwrap().index, wanted);
        kept.push((stream, served));
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_watchers_are_told_so() {
    let log = Log::new("c", 3);
    let config = HubConfig { max_watchers: 2, ..HubConfig::new(id("a")) };
    let hub = Switchboard::new().plug_with(config, &log);
    let mut kept = Vec::new();
    for watcher in ["w1", "w2"] {
        let (mut stream, served) = raw(&hub, watcher);
        greet(&mut stream, watcher, "", 1).await;
        assert_eq!(stream.read_u8().await.unwrap(), 1);
        assert_eq!(frame(&mut stream).await.0, REPORT);
        kept.push((stream, served));
    }
    let (mut third, served) = raw(&hub, "w3");
    greet(&mut third, "w3", "", 1).await;
    let error = served.await.unwrap().unwrap_err().to_string();
    assert_eq!(error, "w3 was not served: 2 nodes watch this voter already, and more are not allowed");
    kept.pop();
    timeout(Duration::from_secs(5), async {
        while hub.watchers() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let (mut fourth, _served) = raw(&hub, "w4");
    greet(&mut fourth, "w4", "", 1).await;
    assert_eq!(fourth.read_u8().await.unwrap(), 1);
    assert_eq!(frame(&mut fourth).await.0, REPORT);
}

#[tokio::test(start_paused = true)]
async fn a_voter_that_stops_ends_its_streams() {
    let log = Log::new("c", 3);
    let stop = CancellationToken::new();
    let hub = Hub::start(HubConfig::new(id("a")), Arc::new(LogSource(Arc::clone(&log))), stop.clone());
    let (mut stream, served) = raw(&hub, "w");
    greet(&mut stream, "w", "c", 1).await;
    assert_eq!(stream.read_u8().await.unwrap(), 1);
    assert_eq!(frame(&mut stream).await.0, REPORT);
    stop.cancel();
    assert!(matches!(served.await.unwrap(), Err(ServeError::Stopped)));
    let (_late, served) = raw(&hub, "w");
    assert!(matches!(served.await.unwrap(), Err(ServeError::Stopped)));
}

/// A log that loses an entry on the way to the hub.
struct Forgetful(Arc<Log>);

impl Source for Forgetful {
    fn agreed(&self) -> Arc<Agreed> {
        LogSource(Arc::clone(&self.0)).agreed()
    }

    fn subscribe(&self, from_index: u64) -> BoxStream<'static, Update> {
        let lost = |update: &Update| matches!(update, Update::Entry { meta: EntryMeta { index: 7, .. }, .. });
        let all = LogSource(Arc::clone(&self.0)).subscribe(from_index);
        all.flat_map(move |update| stream::iter((!lost(&update)).then_some(update))).boxed()
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        LogSource(Arc::clone(&self.0)).leadership()
    }

    fn leadership_now(&self) -> Leadership {
        LogSource(Arc::clone(&self.0)).leadership_now()
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_the_hub_missed_reaches_its_watchers_in_a_snapshot() {
    let log = Log::new("c", 3);
    log.events(10);
    let hub = Hub::start(HubConfig::new(id("a")), Arc::new(Forgetful(Arc::clone(&log))), CancellationToken::new());
    let (mut stream, _served) = raw(&hub, "w");
    greet(&mut stream, "w", "c", 1).await;
    assert_eq!(stream.read_u8().await.unwrap(), 1);
    let bytes = first_of(&mut stream, SNAPSHOT_END).await;
    let snapshot: Agreed = ringrift_state::decode(&bytes).unwrap();
    assert_eq!(snapshot, *LogSource(log).agreed());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_watchers_hear_everything_from_one_voter() {
    let log = Log::new("c", 3);
    log.events(100);
    let board = Switchboard::new();
    let hub = board.plug("a", &log);
    let dir = tempfile::tempdir().unwrap();
    let followers: Vec<_> = (0..1000)
        .map(|n| {
            let own = dir.path().join(n.to_string());
            follow(&own, &board)
        })
        .collect();
    for (follower, _) in &followers {
        until_index(follower, 100).await;
    }
    assert_eq!(hub.watchers(), 1000);
    let began = Instant::now();
    for _ in 0..20 {
        log.events(1);
        tokio::task::yield_now().await;
    }
    for (follower, _) in &followers {
        caught_up(follower, &log).await;
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    log.lead(|leadership| (leadership.term, leadership.leader) = (4, Some(id("b"))));
    for (follower, _) in &followers {
        follower.status().wait_for(|status| status.leader == Some(id("b"))).await.unwrap();
    }
    assert_eq!(board.dialled().len(), 1000, "nobody had to dial twice");
}
