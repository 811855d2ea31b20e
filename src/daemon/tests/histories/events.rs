//! The event log against what clients were told: nothing acknowledged is missing, nothing is there twice.

use std::collections::BTreeMap;

use ringrift_api::EventPage;

use crate::{clients::Record, cluster::Cluster};

pub(crate) async fn check(record: &Record, cluster: &Cluster) {
    let client = cluster.operator(0);
    let mut found: BTreeMap<u64, u32> = BTreeMap::new();
    let mut since = 0;
    loop {
        // On a busy machine a leader may just have lost its quorum.
        let path = format!("/api/events?since={since}&consistent=true");
        let page: EventPage =
            cluster.until("a page of the event log", async || client.get_json(&path).await.ok()).await;
        assert!(
            since > 0 || page.first_seq <= 1,
            "the log is too short for this test: it begins with {}",
            page.first_seq
        );
        for event in &page.events {
            assert_eq!(event.seq, since + 1, "the log has a hole");
            since = event.seq;
            let reason = event.details.get("reason").and_then(|reason| reason.as_str());
            if let Some(number) = reason.and_then(|reason| reason.parse().ok()) {
                *found.entry(number).or_default() += 1;
            }
        }
        if since == page.last_seq {
            break;
        }
    }
    let mut writes = record.writes();
    for (number, times) in &found {
        let known = writes.remove(number);
        assert_eq!(*times, 1, "write {number} is in the log {times} times");
        // A write that was refused is not among the writes, and may not be in the log.
        let changed = known.unwrap_or_else(|| panic!("write {number} was refused, and is in the log"));
        assert_ne!(changed, Some(false), "write {number} changed nothing, and is in the log");
    }
    let lost: Vec<u64> =
        writes.into_iter().filter(|(_, changed)| *changed == Some(true)).map(|(number, _)| number).collect();
    assert!(lost.is_empty(), "acknowledged, and not in the log: {lost:?}");
    eprintln!("{} changes are in the log, each once", found.len());
}
