//! How does one node prove to another who it is, in a single HTTP request, without showing the cluster's secret?
//!
//! `Authorization: RingRift-HMAC-SHA256 node=…, to=…, time=…, nonce=…, mac=…`. The MAC covers all of it, the method, and the path with
//! its query. It does not cover a body: what must not be exchanged on the way is named by digest in the query. `to` is the node that
//! is meant, so that a request overheard on its way to one node is worth nothing at another; within one node each is taken once.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderValue, Method};
use ringrift_blob::Digest;
use ringrift_config::NodeId;
use sha2::Sha256;

use crate::replay::{Replay, Seen};

/// The name of the scheme in `Authorization` (RFC 9110 §11.1).
pub const SCHEME: &str = "RingRift-HMAC-SHA256";

/// How far the clocks of two nodes may be apart, either way.
pub const TOLERANCE: Duration = Duration::from_mins(5);

/// The longest header that is looked at, bytes: two node ids and the fixed parts are far below.
const MAX_LEN: usize = 512;

/// What nodes of one cluster sign with: a function of the cluster's secret, from which the secret does not follow.
#[derive(Clone)]
pub struct SigningKey([u8; 32]);

/// Signs requests of one node.
#[derive(Debug, Clone)]
pub struct Signer {
    node: NodeId,
    key: SigningKey,
}

/// Checks what others signed for one node. It remembers what came, so one server has one of it.
#[derive(Debug)]
pub struct Verifier {
    node: NodeId,
    keys: Vec<SigningKey>,
    seen: Seen,
}

/// A request that a node of the cluster signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Which node.
    pub node: NodeId,
    /// What proves to it that the answer comes from a node of the cluster, for `Authentication-Info`.
    pub proof: HeaderValue,
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is not written as it must be.
    #[error("the signature cannot be read: {0}")]
    Malformed(&'static str),
    /// Another secret, another request, or no signature at all.
    #[error("the signature in the name of node {0} is wrong: does it have the same cluster token?")]
    Wrong(NodeId),
    /// It was meant for somebody else.
    #[error("node {node} signed for {to}, this is {here}")]
    Misdirected {
        /// Who signed.
        node: NodeId,
        /// For whom.
        to: NodeId,
        /// Who we are.
        here: NodeId,
    },
    /// The clocks disagree.
    #[error("the clock of node {node} is {seconds} s {}: at most {} s are allowed", if *.behind { "behind" } else { "ahead" }, TOLERANCE.as_secs())]
    Clock {
        /// Who signed.
        node: NodeId,
        /// How far its clock is off.
        seconds: u64,
        /// In which direction.
        behind: bool,
    },
    /// The same request came before.
    #[error("node {0} sent this very request before")]
    Replayed(NodeId),
    /// So many requests that not all of them can be remembered.
    #[error("node {0} signed too many requests in the last minutes")]
    TooMany(NodeId),
}

impl SigningKey {
    /// The key that follows from a cluster's secret, by HKDF (RFC 5869).
    pub fn derive(cluster_secret: &[u8]) -> Self {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(Some(b"ringrift cluster"), cluster_secret)
            .expand(b"signatures of http requests, hmac-sha256, v1", &mut key)
            .expect("32 bytes are within what HKDF-SHA256 can expand");
        Self(key)
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(text.as_bytes());
        mac
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(hidden)")
    }
}

/// What is signed.
struct Claim<'a> {
    node: &'a NodeId,
    to: &'a NodeId,
    method: &'a Method,
    path_and_query: &'a str,
    time: u64,
    nonce: u128,
}

impl Claim<'_> {
    /// One line each; none of them can hold a line break.
    fn request(&self) -> String {
        let Self { node, to, method, path_and_query, time, nonce } = self;
        format!("ringrift request v1\n{node}\n{to}\n{method}\n{path_and_query}\n{time}\n{nonce:032x}")
    }

    fn answer(&self) -> String {
        self.request().replacen("request", "answer", 1)
    }
}

impl Signer {
    /// Signs for this node.
    pub fn new(node: NodeId, key: SigningKey) -> Self {
        Self { node, key }
    }

    /// Who signs.
    pub fn node(&self) -> &NodeId {
        &self.node
    }

    /// The value of `Authorization` for one request to the node `to`. A nonce is never used twice.
    pub fn sign(
        &self,
        to: &NodeId,
        method: &Method,
        path_and_query: &str,
        now: SystemTime,
        nonce: u128,
    ) -> HeaderValue {
        let claim = self.claim(to, method, path_and_query, seconds(now), nonce);
        let mac = hex(self.key.mac(&claim.request()));
        let value = format!("{SCHEME} node={}, to={to}, time={}, nonce={nonce:032x}, mac={mac}", self.node, claim.time);
        value.try_into().expect("visible ASCII alone")
    }

    /// The same, now, with a random nonce.
    pub fn sign_now(&self, to: &NodeId, method: &Method, path_and_query: &str) -> HeaderValue {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).expect("the kernel's random source is always there");
        self.sign(to, method, path_and_query, SystemTime::now(), u128::from_le_bytes(nonce))
    }

    /// Whether `proof`, the answer's `Authentication-Info`, comes from somebody who has the key and saw this request.
    pub fn is_proof(
        &self,
        proof: &HeaderValue,
        method: &Method,
        path_and_query: &str,
        authorization: &HeaderValue,
    ) -> bool {
        let sent = authorization.to_str().ok().and_then(|text| Parsed::of(text).ok());
        let Some((sent, proof)) = sent.zip(proof.to_str().ok().and_then(|text| text.strip_prefix("mac="))) else {
            return false;
        };
        let claim = self.claim(&sent.to, method, path_and_query, sent.time, sent.nonce);
        proof.parse::<Digest>().is_ok_and(|mac| self.key.mac(&claim.answer()).verify_slice(mac.as_bytes()).is_ok())
    }

    fn claim<'a>(
        &'a self,
        to: &'a NodeId,
        method: &'a Method,
        path_and_query: &'a str,
        time: u64,
        nonce: u128,
    ) -> Claim<'a> {
        Claim { node: &self.node, to, method, path_and_query, time, nonce }
    }
}

impl Verifier {
    /// Checks for the node `node`; any of the keys counts, so that the token can change while the cluster runs.
    pub fn new(node: NodeId, keys: Vec<SigningKey>) -> Self {
        Self { node, keys, seen: Seen::default() }
    }

    /// Whether this value of `Authorization` was signed with one of the keys, for this node and this request, just now and once.
    ///
    /// # Errors
    ///
    /// What does not hold. Nothing but [`SignatureError::Wrong`] and `Malformed` is said to somebody without the key.
    pub fn verify(
        &self,
        authorization: &str,
        method: &Method,
        path_and_query: &str,
        now: SystemTime,
    ) -> Result<Signed, SignatureError> {
        let Parsed { node, to, time, nonce, mac } = Parsed::of(authorization)?;
        let claim = Claim { node: &node, to: &to, method, path_and_query, time, nonce };
        let text = claim.request();
        // `verify_slice` compares in constant time.
        let key = self.keys.iter().find(|key| key.mac(&text).verify_slice(mac.as_bytes()).is_ok());
        let Some(key) = key else { return Err(SignatureError::Wrong(node)) };
        let proof = format!("mac={}", hex(key.mac(&claim.answer()))).try_into().expect("visible ASCII alone");
        if to != self.node {
            return Err(SignatureError::Misdirected { node, to, here: self.node.clone() });
        }
        let here = seconds(now);
        if here.abs_diff(time) > TOLERANCE.as_secs() {
            return Err(SignatureError::Clock { node, seconds: here.abs_diff(time), behind: time < here });
        }
        match self.seen.first(&node, nonce, now) {
            Ok(()) => Ok(Signed { node, proof }),
            Err(Replay::Seen) => Err(SignatureError::Replayed(node)),
            Err(Replay::Full) => Err(SignatureError::TooMany(node)),
        }
    }
}

struct Parsed {
    node: NodeId,
    to: NodeId,
    time: u64,
    nonce: u128,
    mac: Digest,
}

impl Parsed {
    fn of(text: &str) -> Result<Self, SignatureError> {
        let malformed = SignatureError::Malformed;
        if text.len() > MAX_LEN {
            return Err(malformed("it is too long"));
        }
        let (scheme, rest) = text.split_once(' ').ok_or(malformed("parameters are missing"))?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(malformed("the scheme is another one"));
        }
        let (mut node, mut to, mut time, mut nonce, mut mac) = (None, None, None, None, None);
        for parameter in rest.split(',') {
            let (key, value) = parameter.trim().split_once('=').ok_or(malformed("a parameter has no value"))?;
            let slot = match key {
                "node" => &mut node,
                "to" => &mut to,
                "time" => &mut time,
                "nonce" => &mut nonce,
                "mac" => &mut mac,
                // What a later version adds must be covered by its MAC, which this one cannot check.
                _ => return Err(malformed("a parameter is unknown")),
            };
            if slot.replace(value).is_some() {
                return Err(malformed("a parameter is there twice"));
            }
        }
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
        Ok(Self {
            node: read(node, |text| text.parse().ok(), "`node` is no node id")?,
            to: read(to, |text| text.parse().ok(), "`to` is no node id")?,
            time: read(time, |text| text.parse().ok(), "`time` is no number of seconds")?,
            nonce: read(
                nonce,
                |text| (digits(text) && text.len() == 32).then(|| u128::from_str_radix(text, 16).ok())?,
                "`nonce` is not 32 hex digits",
            )?,
            mac: read(mac, |text| text.parse().ok(), "`mac` is not 64 hex digits")?,
        })
    }
}

fn read<T>(value: Option<&str>, read: impl FnOnce(&str) -> Option<T>, why: &'static str) -> Result<T, SignatureError> {
    value.and_then(read).ok_or(SignatureError::Malformed(why))
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn hex(mac: Hmac<Sha256>) -> String {
    Digest::from_bytes(mac.finalize().into_bytes().into()).to_string()
}

#[cfg(test)]
mod tests;
