use std::time::Duration;

use ringrift_config::Host;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{begin, entry::Entry, next, script::Question};
use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    fleet::Fleet,
    progress::remark,
    report::{Reader, print_on},
};

/// How long an entry waits for older ones of other nodes.
const HELD: Duration = Duration::from_millis(600);
/// Before a journal that was lost is asked for again.
const AGAIN: Duration = Duration::from_secs(3);

/// Shows entries of all as they come, until nobody listens.
pub(super) async fn run(
    context: &Context,
    fleet: &Fleet,
    hosts: &[&Host],
    question: &Question<'_>,
) -> Result<Exit, Failure> {
    let (sender, entries) = mpsc::channel(4096);
    let read = hosts.iter().map(|host| journal(context, fleet, host, question, sender.clone()));
    let reading = futures::future::join_all(read);
    tokio::select! {
        _ = reading => Ok(Exit::Ok),
        ended = show(context, entries) => ended,
    }
}

/// Reads one journal, again and again from where it was lost.
async fn journal(context: &Context, fleet: &Fleet, host: &Host, question: &Question<'_>, entries: mpsc::Sender<Entry>) {
    let mut cursor: Option<String> = None;
    let mut told = None;
    loop {
        let why = match begin(fleet, host, &question.following(cursor.as_deref())).await {
            Err(unreached) => unreached.to_string(),
            Ok(mut session) => {
                if told.take().is_some() {
                    remark(context, None, &format!("{} is read again", host.id));
                }
                while let Ok(Some(entry)) = next(&mut session, host).await {
                    cursor = entry.cursor.clone().or(cursor);
                    if entries.send(entry).await.is_err() {
                        return;
                    }
                }
                match session.finish().await {
                    Ok(ran) => format!("its journal ended: {}", ran.err.trim()),
                    Err(fault) => fault.to_string(),
                }
            }
        };
        if told.as_ref() != Some(&why) {
            remark(context, None, &format!("{} is missing: {why}; trying again", host.id));
            told = Some(why);
        }
        sleep(AGAIN).await;
    }
}

/// Holds each for a moment, so that what happened first is shown first.
async fn show(context: &Context, mut entries: mpsc::Receiver<Entry>) -> Result<Exit, Failure> {
    let mut held: Vec<(Instant, Entry)> = Vec::new();
    let mut tick = interval(HELD / 4);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            entry = entries.recv() => match entry {
                Some(entry) => held.push((Instant::now(), entry)),
                None => return Ok(Exit::Ok),
            },
            _ = tick.tick() => {
                let text: String = due(&mut held).iter().map(|entry| {
                    if context.json { format!("{}\n", entry.json()) } else { entry.text(context.paint) }
                }).collect();
                if print_on(&text)? == Reader::Gone {
                    return Ok(Exit::Ok);
                }
            }
        }
    }
}

/// Those that have waited, oldest first, with every older one that came after them.
fn due(held: &mut Vec<(Instant, Entry)>) -> Vec<Entry> {
    let newest = held.iter().filter(|(came, _)| came.elapsed() >= HELD).map(|(_, entry)| entry.micros).max();
    let Some(newest) = newest else { return Vec::new() };
    let (mut due, rest): (Vec<_>, Vec<_>) = held.drain(..).partition(|(_, entry)| entry.micros <= newest);
    *held = rest;
    due.sort_by_key(|(_, entry)| entry.micros);
    due.into_iter().map(|(_, entry)| entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(micros: i64, node: &str) -> Entry {
        Entry::read(node, &format!(r#"{{"__REALTIME_TIMESTAMP":"{micros}","MESSAGE":"m"}}"#))
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_late_is_shown_in_its_place() {
        let mut held = vec![(Instant::now(), entry(20, "a"))];
        tokio::time::advance(HELD / 2).await;
        held.push((Instant::now(), entry(10, "b")));
        held.push((Instant::now(), entry(30, "b")));
        assert_eq!(due(&mut held), []);
        tokio::time::advance(HELD / 2).await;
        assert_eq!(due(&mut held), [entry(10, "b"), entry(20, "a")]);
        assert_eq!(due(&mut held), []);
        tokio::time::advance(HELD / 2).await;
        assert_eq!(due(&mut held), [entry(30, "b")]);
    }
}
