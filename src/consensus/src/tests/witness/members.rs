//! How nodes saw each other, for a life that is to be repeated exactly.

use ringrift_config::NodeId;
use ringrift_members::Event;
use tokio::{sync::broadcast::error::RecvError, time::Instant};

use super::Witness;
use crate::tests::gossip::Member;

impl Witness {
    /// Notes what a node reports while it runs.
    pub(crate) fn watch_member(&self, node: &NodeId, member: &Member, began: Instant) {
        let mut events = member.members.events();
        let (this, node) = (self.clone(), node.clone());
        tokio::spawn(async move {
            loop {
                match events.recv().await {
                    Ok(Event::Conflict { other_instance, .. }) => {
                        this.0.lock().unwrap().broken(|| format!("{node} is taken for {other_instance} too"));
                    }
                    Ok(Event::Garbage { node: peer, error } | Event::BadFacts { node: peer, error }) => {
                        this.0.lock().unwrap().broken(|| format!("{node} cannot read {peer}: {error}"));
                    }
                    Ok(event) => {
                        let at = began.elapsed().as_millis();
                        this.0.lock().unwrap().workers.followed.push(format!("{at:>7} ms: {node}: {event:?}"));
                    }
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        });
    }
}
