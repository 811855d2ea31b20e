//! Keeps in touch: finds the first peers, holds the links that others reach this node by, and says what gossip finds.

use std::time::Duration;

use ringrift_config::NodeId;
use ringrift_link::{LinkEvent, Protocol};
use ringrift_members::Event;
use tokio::sync::{broadcast::error::RecvError, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::node::Shared;

/// How often a node that only dials out makes sure that its voters can reach it.
const KEEP_EVERY: Duration = Duration::from_secs(2);

/// How often seeds are tried until one has answered.
const SEED_EVERY: Duration = Duration::from_secs(2);

/// Another machine holds this node's id. The daemon must not go on.
#[derive(Debug, Clone)]
pub(crate) struct IdTaken {
    pub(crate) holder: String,
}

/// Gives gossip the evidence of links that came and went. The links themselves log what happens to them.
pub(crate) async fn watch_links(shared: Shared, taken: mpsc::Sender<IdTaken>, shutdown: CancellationToken) {
    let mut events = shared.links.events();
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = shutdown.cancelled() => return,
        };
        match event {
            Ok(LinkEvent::Up(peer)) => shared.members.meet(&peer.node),
            Ok(LinkEvent::Down { peer, .. }) => shared.members.link_lost(&peer.node),
            Ok(LinkEvent::IdTaken { holder }) => {
                let _ = taken.send(IdTaken { holder }).await;
            }
            Ok(LinkEvent::DuplicateId { node, holder, newcomer }) => {
                shared.conflicts.refused(&node, &holder, &newcomer);
            }
            Ok(LinkEvent::Unused(_) | LinkEvent::Rejected { .. } | LinkEvent::Moved { .. }) => {}
            Err(RecvError::Lagged(missed)) => debug!(missed, "link events were missed"),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Logs what gossip finds.
pub(crate) async fn watch_members(shared: Shared, shutdown: CancellationToken) {
    let mut events = shared.members.events();
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = shutdown.cancelled() => return,
        };
        match event {
            Ok(event) => {
                if let Event::Conflict { node, other_instance } = &event {
                    shared.conflicts.rival(node, *other_instance);
                }
                log(&event);
            }
            Err(RecvError::Lagged(missed)) => debug!(missed, "member events were missed"),
            Err(RecvError::Closed) => return,
        }
        shared.forget_snapshot();
    }
}

fn log(event: &Event) {
    match event {
        Event::Changed { node, from, to, accuser } => {
            let accuser = accuser.as_ref().map(tracing::field::display);
            info!(peer = %node, %from, %to, accuser, "{node} is {to}");
        }
        Event::Restarted { node, instance } => info!(peer = %node, instance, "{node} was started anew"),
        Event::Refuted { accuser, state } => {
            let accuser = accuser.as_ref().map(tracing::field::display);
            warn!(accuser, "others held this node for {state}; it has answered");
        }
        Event::Conflict { node, other_instance } => {
            warn!(peer = %node, instance = other_instance, "two machines seem to run as {node}");
        }
        Event::ClockSkew { node, offset_ms } => warn!(
            peer = %node,
            "the clock of {node} is {} s {} this node's; nothing here depends on it, logs and times shown do",
            offset_ms.unsigned_abs() / 1000,
            if *offset_ms > 0 { "ahead of" } else { "behind" }
        ),
        Event::ClockRight { node } => info!(peer = %node, "the clock of {node} is right again"),
        Event::Garbage { node, error } => warn!(peer = %node, error, "{node} sent what makes no sense; ignored"),
        Event::BadFacts { node, error } => warn!(peer = %node, error, "the facts of {node} cannot be used"),
        Event::StoodStill { gap } => {
            warn!(seconds = gap.as_secs_f32(), "this node stood still; it judges nobody for a while");
        }
        Event::TableFull { node } => warn!(peer = %node, "the member table is full; {node} is not taken in"),
    }
}

/// Dials the configured seeds until one has answered, and again whenever this node knows nobody who is alive.
pub(crate) async fn find_seeds(shared: Shared, seeds: Vec<String>, shutdown: CancellationToken) {
    if seeds.is_empty() {
        return;
    }
    let mut tick = ringrift_tick::every(SEED_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = shutdown.cancelled() => return,
        }
        if shared.members.table().others().any(|m| m.state.is_present()) {
            continue;
        }
        for seed in &seeds {
            match shared.links.dial_seed(seed).await {
                Ok(node) => {
                    info!(peer = %node, seed, "found {node} at a seed");
                    shared.members.meet(&node);
                }
                Err(error) => warn!(peer = seed, seed, "{error}"),
            }
        }
    }
}

/// On a node that only dials out: holds a link to every voter, so that others reach it through them.
pub(crate) async fn keep_links(shared: Shared, shutdown: CancellationToken) {
    let mut tick = ringrift_tick::every(KEEP_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = shutdown.cancelled() => return,
        }
        let picture = shared.picture();
        let linked: Vec<&NodeId> = picture.links.iter().map(|l| &l.peer.node).collect();
        let missing = picture.voters().iter().filter(|v| **v != picture.node && !linked.contains(v));
        futures::future::join_all(missing.map(|voter| {
            let links = shared.links.clone();
            async move {
                // Opening and dropping a stream leaves the link. A failure is the link's to report, with back-off.
                if let Err(error) = links.open(voter, Protocol::Http).await {
                    debug!(peer = %voter, %error, "no link to a voter");
                }
            }
        }))
        .await;
    }
}
