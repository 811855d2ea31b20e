use std::net::SocketAddr;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};

/// Counts up when the messages on a link change so that old nodes cannot follow.
pub(crate) const VERSION: u16 = 1;
/// Largest message of the greeting, in bytes.
pub(crate) const MAX_LEN: usize = 4096;

/// What each end says of itself, inside TLS, before anything else. After it the dialling end has the last word: an
/// empty [`Reply::Welcome`] or a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Must equal the node id in the certificate.
    pub(crate) node: NodeId,
    /// Drawn when the process started.
    pub(crate) instance: u64,
    /// Milliseconds since then: of two machines with one node id the younger one gives way.
    pub(crate) up_ms: u64,
    /// The port on which this node accepts links.
    pub(crate) listen_port: Option<u16>,
    /// From where the other end seems to come; tells a node behind address translation how it looks from outside.
    pub(crate) observed: Option<SocketAddr>,
    /// Largest request or answer that this end takes, in bytes.
    pub(crate) max_frame: u32,
    /// The software's version, to show.
    pub(crate) software: String,
}

impl Hello {
    /// The version in two bytes, then the rest, which only that version needs to understand.
    pub(crate) fn encode(&self) -> Bytes {
        let mut buffer = BytesMut::new();
        buffer.put_u16(VERSION);
        let fields = rmp_serde::to_vec_named(self).expect("text and numbers can always be encoded");
        buffer.put_slice(&fields);
        buffer.freeze()
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Self, Unreadable> {
        let version = bytes.try_get_u16().map_err(|_| Unreadable::Malformed("no version".to_owned()))?;
        if version != VERSION {
            return Err(Unreadable::Version(version));
        }
        rmp_serde::from_slice(bytes).map_err(|error| Unreadable::Malformed(error.to_string()))
    }
}

/// Why a greeting was not understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it speaks version {0} of the link protocol, this node version {VERSION}; upgrade the older one")]
    Version(u16),
    #[error("its greeting cannot be read: {0}")]
    Malformed(String),
}

/// What the greeted end says to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The link is wanted; the answering end's own [`Hello`], or nothing from the end that greeted first.
    Welcome(Bytes),
    /// It is not.
    Reject(Reject),
}

/// A refusal. Kind and words, so that any version can at least show any other's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reject {
    pub(crate) kind: RejectKind,
    /// For [`RejectKind::DuplicateId`] the address of the holder alone.
    pub(crate) text: String,
}

/// The refusals that are acted upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RejectKind {
    /// Nothing but to be shown.
    Other,
    /// Another live machine has the node id.
    DuplicateId,
    /// Both ends are one process.
    SelfDial,
    /// A link between the two exists already.
    AlreadyLinked,
}

impl Reject {
    pub(crate) fn new(kind: RejectKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

impl Reply {
    pub(crate) fn encode(&self) -> Bytes {
        let mut buffer = BytesMut::new();
        match self {
            Self::Welcome(hello) => {
                buffer.put_u8(0);
                buffer.put_slice(hello);
            }
            Self::Reject(reject) => {
                buffer.put_u8(1);
                buffer.put_u8(match reject.kind {
                    RejectKind::Other => 0,
                    RejectKind::DuplicateId => 1,
                    RejectKind::SelfDial => 2,
                    RejectKind::AlreadyLinked => 3,
                });
                buffer.put_slice(&reject.text.as_bytes()[..reject.text.floor_char_boundary(MAX_LEN / 2)]);
            }
        }
        buffer.freeze()
    }

    pub(crate) fn decode(mut bytes: Bytes) -> Result<Self, Unreadable> {
        let malformed = |_| Unreadable::Malformed("an empty reply".to_owned());
        match bytes.try_get_u8().map_err(malformed)? {
            0 => Ok(Self::Welcome(bytes)),
            1 => {
                let kind = match bytes.try_get_u8().map_err(malformed)? {
                    1 => RejectKind::DuplicateId,
                    2 => RejectKind::SelfDial,
                    3 => RejectKind::AlreadyLinked,
                    _ => RejectKind::Other,
                };
                Ok(Self::Reject(Reject::new(kind, String::from_utf8_lossy(&bytes))))
            }
            other => Err(Unreadable::Malformed(format!("a reply of unknown kind {other}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hello() -> impl Strategy<Value = Hello> {
        let node = "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?";
        let numbers = any::<(u64, u64, Option<u16>, u32)>();
        let observed = any::<Option<(std::net::IpAddr, u16)>>();
        (node, numbers, observed, ".{0,20}").prop_map(|(node, numbers, observed, software)| {
            let observed = observed.map(SocketAddr::from);
            let (node, (instance, up_ms, listen_port, max_frame)) = (node.parse().unwrap(), numbers);
            Hello { node, instance, up_ms, listen_port, observed, max_frame, software }
        })
    }

    proptest! {
        #[test]
        fn a_hello_comes_back_as_it_went_and_fits(hello in hello()) {
            let bytes = hello.encode();
            prop_assert!(bytes.len() < MAX_LEN);
            prop_assert_eq!(Hello::decode(&bytes), Ok(hello));
        }

        #[test]
        fn no_bytes_upset_the_greeting(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Hello::decode(&bytes);
            let mut versioned = VERSION.to_be_bytes().to_vec();
            versioned.extend_from_slice(&bytes);
            let _ = Hello::decode(&versioned);
            let _ = Reply::decode(bytes.into());
        }

        #[test]
        fn a_refusal_keeps_its_kind_and_words(which in 0..4_usize, text in ".{0,60}") {
            let kinds = [RejectKind::Other, RejectKind::DuplicateId, RejectKind::SelfDial, RejectKind::AlreadyLinked];
            let reply = Reply::Reject(Reject::new(kinds[which], text));
            prop_assert_eq!(Reply::decode(reply.encode()), Ok(reply));
        }
    }

    #[test]
    fn another_version_is_named_whatever_follows_it() {
        assert_eq!(Hello::decode(&[0, 9, 0xff, 0xff]), Err(Unreadable::Version(9)));
        let long = Reply::Reject(Reject::new(RejectKind::Other, "é".repeat(MAX_LEN)));
        assert!(long.encode().len() < MAX_LEN);
    }
}
