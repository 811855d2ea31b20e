use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use bytes::Bytes;
use ringrift_config::NodeId;
use rustls::pki_types::CertificateDer;
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::{
    LinkError, certified_name,
    frame::{self, FrameError},
    hello::{self, Hello, Reject, RejectKind, Reply},
    identity,
    link::Link,
    links::Inner,
    tls_reason,
    wire::Wire,
};

/// The two ends of a connection, for messages and for the [`Peer`](crate::Peer) that comes of it.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    /// The peer as far as it is known: its node id or `host:port`.
    pub(crate) label: String,
    /// The other end of the TCP connection.
    pub(crate) addr: SocketAddr,
    /// The same for people, with the relay if there is one.
    pub(crate) place: String,
    /// This end of the TCP connection, for people.
    pub(crate) here: String,
    pub(crate) via: Option<NodeId>,
}

/// A connection whose other end is known and wants to be linked.
pub(crate) struct Greeted {
    pub(crate) io: TlsStream<Wire>,
    pub(crate) hello: Hello,
    pub(crate) received: Arc<AtomicU64>,
}

/// What a dial found.
pub(crate) enum Met {
    New(Box<Greeted>),
    /// The node has a link already; the new connection was dropped.
    Linked(Arc<Link>),
}

impl Inner {
    /// The dialling end's handshake. `expected`: who should be there.
    pub(crate) async fn greet(&self, wire: Wire, ends: &Ends, expected: Option<&NodeId>) -> Result<Met, LinkError> {
        let within = self.limits.handshake_timeout;
        let done = tokio::time::timeout(within, self.greet_now(wire, ends, expected)).await;
        done.unwrap_or_else(|_| Err(ends.late(within)))
    }

    async fn greet_now(&self, wire: Wire, ends: &Ends, expected: Option<&NodeId>) -> Result<Met, LinkError> {
        let received = wire.received();
        let io = TlsConnector::from(self.identity().client())
            .connect(identity::server_name(), wire)
            .await
            .map_err(|error| ends.tls_error(tls_reason::describe_io(&error)))?;
        let node = certified(io.get_ref().1.peer_certificates()).map_err(|reason| ends.tls_error(reason))?;
        let mut io = TlsStream::Client(io);
        if let Some(expected) = expected.filter(|expected| **expected != node) {
            return Err(LinkError::WrongNode { peer: expected.to_string(), found: node, addr: ends.place.clone() });
        }
        let known = Ends { label: node.to_string(), ..ends.clone() };
        let ends = &known;

        frame::write(&mut io, &self.hello(ends.addr).encode())
            .await
            .map_err(|error| ends.lost(FrameError::Io(error)))?;
        let theirs = match read_reply(&mut io).await.map_err(|error| ends.lost(error))? {
            Reply::Welcome(bytes) => Hello::decode(&bytes).map_err(|error| ends.protocol_error(error.to_string()))?,
            Reply::Reject(reject) => return Err(self.refused(reject, ends)),
        };
        if theirs.node != node {
            return Err(ends.protocol_error(format!("its certificate is for {node}, it greets as {}", theirs.node)));
        }

        if let Err(reject) = self.judge(&theirs, ends).await {
            send(&mut io, &Reply::Reject(reject.clone())).await;
            return Err(match reject.kind {
                RejectKind::DuplicateId => LinkError::DuplicateId { node, holder: reject.text },
                RejectKind::SelfDial => LinkError::SelfDial { addr: ends.place.clone() },
                _ => LinkError::Busy { peer: node.to_string(), reason: reject.text },
            });
        }
        // A link that the peer made in the meantime is as good as ours would be; one through a relay is not.
        let linked = self.table().best(&node).filter(|link| ends.via.is_some() || link.peer.via.is_none());
        if let Some(link) = linked {
            send(&mut io, &Reply::Reject(Reject::new(RejectKind::AlreadyLinked, "there is a link already"))).await;
            return Ok(Met::Linked(link));
        }
        let verdict = Reply::Welcome(Bytes::new()).encode();
        frame::write(&mut io, &verdict).await.map_err(|error| ends.lost(FrameError::Io(error)))?;
        Ok(Met::New(Box::new(Greeted { io, hello: theirs, received })))
    }

    /// The answering end's handshake.
    pub(crate) async fn answer(&self, wire: Wire, ends: &Ends) -> Result<Greeted, LinkError> {
        let within = self.limits.handshake_timeout;
        let done = tokio::time::timeout(within, self.answer_now(wire, ends)).await;
        done.unwrap_or_else(|_| Err(ends.late(within)))
    }

    async fn answer_now(&self, wire: Wire, ends: &Ends) -> Result<Greeted, LinkError> {
        let received = wire.received();
        let io = TlsAcceptor::from(self.identity().server())
            .accept(wire)
            .await
            .map_err(|error| ends.tls_error(tls_reason::describe_io(&error)))?;
        let node = certified(io.get_ref().1.peer_certificates()).map_err(|reason| ends.tls_error(reason))?;
        let mut io = TlsStream::Server(io);
        let known = Ends { label: node.to_string(), ..ends.clone() };
        let ends = &known;

        let bytes = frame::read(&mut io, hello::MAX_LEN).await.map_err(|error| ends.lost(error))?;
        let theirs = match Hello::decode(&bytes) {
            Ok(theirs) if theirs.node == node => theirs,
            Ok(theirs) => {
                let reason = format!("its certificate is for {node}, it greets as {}", theirs.node);
                send(&mut io, &Reply::Reject(Reject::new(RejectKind::Other, reason.clone()))).await;
                return Err(ends.protocol_error(reason));
            }
            Err(error) => {
                let reason = error.to_string();
                send(&mut io, &Reply::Reject(Reject::new(RejectKind::Other, mirrored(&error)))).await;
                return Err(ends.protocol_error(reason));
            }
        };
        if let Err(reject) = self.judge(&theirs, ends).await {
            send(&mut io, &Reply::Reject(reject.clone())).await;
            return Err(match reject.kind {
                RejectKind::DuplicateId => LinkError::DuplicateId { node, holder: reject.text },
                RejectKind::SelfDial => LinkError::SelfDial { addr: ends.place.clone() },
                _ => LinkError::Busy { peer: ends.label.clone(), reason: reject.text },
            });
        }
        let welcome = Reply::Welcome(self.hello(ends.addr).encode());
        frame::write(&mut io, &welcome.encode()).await.map_err(|error| ends.lost(FrameError::Io(error)))?;
        match read_reply(&mut io).await.map_err(|error| ends.lost(error))? {
            Reply::Welcome(_) => Ok(Greeted { io, hello: theirs, received }),
            Reply::Reject(reject) => Err(self.refused(reject, ends)),
        }
    }

    fn hello(&self, observed: SocketAddr) -> Hello {
        Hello {
            node: self.node.clone(),
            instance: self.instance,
            up_ms: self.up_ms(),
            listen_port: self.listen_port,
            observed: Some(observed),
            max_frame: u32::try_from(self.limits.max_frame).unwrap_or(u32::MAX),
            software: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// The peer's refusal as this end's error.
    fn refused(&self, reject: Reject, ends: &Ends) -> LinkError {
        match reject.kind {
            RejectKind::DuplicateId => {
                self.taken(reject.text.clone(), ends);
                LinkError::DuplicateId { node: self.node.clone(), holder: reject.text }
            }
            RejectKind::SelfDial => LinkError::SelfDial { addr: ends.place.clone() },
            RejectKind::AlreadyLinked | RejectKind::Other => {
                LinkError::Rejected { peer: ends.label.clone(), reason: reject.text }
            }
        }
    }
}

impl Ends {
    fn tls_error(&self, reason: String) -> LinkError {
        LinkError::Tls { peer: self.label.clone(), addr: self.place.clone(), reason }
    }

    fn late(&self, after: Duration) -> LinkError {
        LinkError::Timeout { peer: self.label.clone(), what: "TLS handshake and greeting", after }
    }

    fn protocol_error(&self, reason: String) -> LinkError {
        LinkError::Protocol { peer: self.label.clone(), reason }
    }

    /// TLS 1.3 lets the dialling end finish before its certificate is judged, so a refusal arrives with the first read.
    fn lost(&self, error: FrameError) -> LinkError {
        match error {
            FrameError::Io(error) if tls_reason::is_tls(&error) => self.tls_error(tls_reason::describe_io(&error)),
            FrameError::Io(error) => {
                LinkError::Closed { peer: self.label.clone(), reason: tls_reason::describe_io(&error) }
            }
            error => self.protocol_error(error.to_string()),
        }
    }
}

/// A complaint about the peer's greeting, worded for the peer.
fn mirrored(error: &hello::Unreadable) -> String {
    match error {
        hello::Unreadable::Version(theirs) => format!(
            "it speaks version {} of the link protocol, this node version {theirs}; upgrade the older one",
            hello::VERSION
        ),
        hello::Unreadable::Malformed(_) => "it cannot read this node's greeting".to_owned(),
    }
}

fn certified(chain: Option<&[CertificateDer<'_>]>) -> Result<NodeId, String> {
    let first = chain.and_then(<[_]>::first).ok_or("it presented no certificate")?;
    certified_name::node_id(first)
}

async fn read_reply(io: &mut TlsStream<Wire>) -> Result<Reply, FrameError> {
    let bytes = frame::read(io, 2 * hello::MAX_LEN).await?;
    Reply::decode(bytes).map_err(|error| FrameError::Malformed(error.to_string()))
}

/// Sends the last word. The connection is given up, so nobody minds if it does not arrive.
async fn send(io: &mut TlsStream<Wire>, reply: &Reply) {
    if frame::write(io, &reply.encode()).await.is_ok() {
        let _ = io.shutdown().await;
    }
}
