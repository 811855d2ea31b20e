use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use crate::{
    Direction, LinkError, LinkEvent, Peer,
    back_off::Target,
    control,
    handshake::{Ends, Greeted},
    hello::{Hello, Reject, RejectKind},
    link::{Facts, Inlets, Link},
    links::Inner,
    mux,
};

impl Inner {
    /// Whether a peer that has greeted may be linked with. Two machines with one node id are told apart here: the one
    /// that was linked first keeps the id for as long as it answers.
    pub(crate) async fn judge(&self, theirs: &Hello, ends: &Ends) -> Result<(), Reject> {
        if self.shutdown.is_cancelled() {
            return Err(Reject::new(RejectKind::Other, "it is shutting down"));
        }
        if theirs.node == self.node {
            if theirs.instance == self.instance {
                return Err(Reject::new(RejectKind::SelfDial, "this is the same process"));
            }
            if theirs.up_ms > self.up_ms() {
                self.taken(ends.place.clone(), ends);
                return Err(Reject::new(RejectKind::Other, "it has this node's id as well and came second"));
            }
            return Err(self.duplicate(theirs, ends.here.clone(), ends));
        }
        let target = Target::Node(theirs.node.clone());
        let penalty = self.penalties().remaining(&target, Instant::now()).map(|(left, last)| (left, last.to_string()));
        if let Some((left, last)) = penalty {
            let text = format!("it broke the protocol and is not linked with for {left:?} ({last})");
            return Err(Reject::new(RejectKind::Other, text));
        }
        let others: Vec<_> =
            self.table().to(&theirs.node).filter(|link| link.instance != theirs.instance).cloned().collect();
        for other in others {
            if other.probe(self.limits.probe_timeout).await {
                return Err(self.duplicate(theirs, place(&other.peer), ends));
            }
            other.close("the node came back from elsewhere and its old link did not answer");
        }
        if self.table().count() >= self.limits.max_links {
            let Some(idle) = self.table().most_idle() else {
                return Err(Reject::new(
                    RejectKind::Other,
                    format!("it has {} links, its limit", self.limits.max_links),
                ));
            };
            idle.retire();
        }
        Ok(())
    }

    fn duplicate(&self, theirs: &Hello, holder: String, ends: &Ends) -> Reject {
        let node = theirs.node.clone();
        tracing::error!(
            peer = %node, addr = %ends.place, %holder,
            "two live machines use the node id {node}; the one that came second is refused"
        );
        self.emit(LinkEvent::DuplicateId { node, holder: holder.clone(), newcomer: ends.place.clone() });
        Reject::new(RejectKind::DuplicateId, holder)
    }

    /// Reports that this machine came second with its node id.
    pub(crate) fn taken(&self, holder: String, ends: &Ends) {
        let node = &self.node;
        tracing::error!(peer = %ends.label, addr = %ends.place, %holder, "another live machine has the node id {node}");
        self.emit(LinkEvent::IdTaken { holder });
    }

    pub(crate) fn up_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Makes a link of a connection whose handshake is over, and starts its tasks.
    pub(crate) fn establish(
        self: &Arc<Self>,
        greeted: Greeted,
        ends: &Ends,
        direction: Direction,
        dialled: Option<String>,
    ) -> Result<Arc<Link>, LinkError> {
        let Greeted { io, hello, received } = greeted;
        let peer = Peer { node: hello.node, addr: ends.addr, via: ends.via.clone() };
        let (link, inlets) = Link::new(Facts {
            peer,
            instance: hello.instance,
            direction,
            software: hello.software,
            listen_port: hello.listen_port,
            observed: hello.observed,
            max_frame: self.limits.max_frame.min(hello.max_frame as usize),
            dialled,
        });
        let inserted = self
            .table()
            .insert(&link)
            .map_err(|other| LinkError::DuplicateId { node: link.peer.node.clone(), holder: place(&other.peer) })?;
        tracing::info!(peer = %link.peer.node, addr = %ends.place, ?direction, software = %link.software, "link is up");

        let Inlets { opens, orders, control } = inlets;
        let connection = mux::connection(io, direction);
        let (inner, carried) = (Arc::clone(self), Arc::clone(&link));
        self.tasks.spawn(async move {
            let on_stream = |stream| inner.serve(&carried, stream);
            tokio::select! {
                () = mux::run(connection, opens, &carried, on_stream) => {}
                // `run` ends within a second of this.
                () = inner.close_at_shutdown(&carried) => {}
            }
            inner.ended(&carried);
        });
        let (inner, kept) = (Arc::clone(self), Arc::clone(&link));
        self.tasks.spawn(async move {
            let received = || received.load(Ordering::Relaxed);
            control::keep(kept, orders, control, received, &inner.limits).await;
        });
        if let Some(from) = self.moved_from(&link.peer) {
            tracing::info!(peer = %link.peer.node, addr = %ends.place, %from, "{} has another address than before", link.peer.node);
            self.emit(LinkEvent::Moved { peer: link.peer.clone(), from });
        }
        if inserted.first {
            self.emit(LinkEvent::Up(link.peer.clone()));
        }
        for replaced in &inserted.replaced {
            replaced.retire();
        }
        self.check_older(&link);
        self.arrived.notify_waiters();
        Ok(link)
    }

    /// A peer that dials although there is a link has probably lost it: make sure before calls run into it.
    fn check_older(self: &Arc<Self>, new: &Arc<Link>) {
        if new.direction == Direction::Outbound {
            return;
        }
        let older: Vec<_> = self.table().to(&new.peer.node).filter(|link| !Arc::ptr_eq(link, new)).cloned().collect();
        for link in older {
            let within = self.limits.probe_timeout;
            self.tasks.spawn(async move {
                tokio::select! {
                    answers = link.probe(within) => if !answers {
                        link.close("the peer dialled again and the old link did not answer");
                    },
                    () = link.closed() => {}
                }
            });
        }
    }

    async fn close_at_shutdown(&self, link: &Link) {
        self.shutdown.cancelled().await;
        link.close("this node is shutting down");
        std::future::pending::<()>().await;
    }

    fn ended(&self, link: &Arc<Link>) {
        let last = self.table().remove(link);
        let reason = link.close_reason().unwrap_or_else(|| "it ended".to_owned());
        let (peer, addr) = (&link.peer, place(&link.peer));
        if link.was_violated() {
            tracing::warn!(peer = %peer.node, %addr, %reason, "cut off a peer that broke the protocol");
            let error = LinkError::Protocol { peer: peer.node.to_string(), reason: reason.clone() };
            let target = Target::Node(peer.node.clone());
            self.penalties().failed(target, error, Instant::now(), rand::random());
            self.emit(LinkEvent::Rejected { addr: peer.addr, reason: format!("{}: {reason}", peer.node) });
        } else {
            tracing::info!(peer = %peer.node, %addr, %reason, "link is down");
        }
        if last {
            let peer = peer.clone();
            let retired = link.is_retired() && !link.was_violated();
            self.emit(if retired { LinkEvent::Unused(peer) } else { LinkEvent::Down { peer, reason } });
        }
    }
}

/// Where a peer is, for people.
pub(crate) fn place(peer: &Peer) -> String {
    match &peer.via {
        None => peer.addr.to_string(),
        Some(relay) => format!("{} (through {relay})", peer.addr),
    }
}
