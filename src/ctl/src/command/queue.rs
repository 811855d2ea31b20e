use std::fmt::Write as _;

use ringrift_api::WorkStatus;

use super::jobs;
use crate::{
    context::{Context, Fetched},
    failure::Failure,
    paint::Tone,
    report::Report,
};

pub(crate) async fn run(context: &Context) -> Result<Report, Failure> {
    let queue: Fetched<WorkStatus> = context.client(None)?.get_json("/work/status").await?;
    let WorkStatus { by_status, by_type, pending, running, backpressure, leader_id, .. } = &queue.typed;
    let counts = |counts: &std::collections::BTreeMap<String, u64>| {
        let shown: Vec<String> =
            counts.iter().filter(|(_, n)| **n > 0).map(|(name, n)| format!("{n} {name}")).collect();
        if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
    };
    let leader = leader_id.as_ref().map_or("none", |leader| leader.as_str());
    let mut text = format!("Leader: {leader}\nJobs: {}\nBy class: {}\n", counts(by_status), counts(by_type));
    let room = format!(
        "Queue: {} asked for, {} at most (callers slow down from {} on)",
        backpressure.queued, backpressure.hard_limit, backpressure.soft_limit
    );
    let tone = match backpressure.level.as_str() {
        "none" => Tone::Plain,
        "soft" => Tone::Warn,
        _ => Tone::Bad,
    };
    let _ = writeln!(text, "{}", context.paint.text(tone, &room));
    for (title, items) in [("Waiting, the next first", pending), ("Given to nodes", running)] {
        if !items.is_empty() {
            let _ = write!(text, "\n{title}:\n{}", jobs::table(items, context.paint));
        }
    }
    Ok(Report::ok(text, queue.raw))
}
