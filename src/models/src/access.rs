//! Who may read, upload, or join the swarm?

use std::{fmt, net::IpAddr, sync::Arc, time::SystemTime};

use http::{HeaderMap, Method, Uri, header};
use ringrift_config::{NodeId, Tokens};

use crate::{
    error::HttpError,
    signature::{SCHEME, Signed, Verifier},
};

/// What a node demands of those who ask.
pub struct Access {
    /// The cluster's tokens. None: there are none, and everybody may read and upload.
    pub tokens: Option<Tokens>,
    /// Checks what other nodes signed.
    pub verifier: Verifier,
    /// The cluster's own addresses may read without either, for old clients (`compat.open_reads`).
    pub open_reads: bool,
    /// The cluster's own addresses may upload without either, for old clients (`compat.open_uploads`).
    pub open_uploads: bool,
    /// Whether an address is one of the cluster's. Addresses inside IPv6 come as the IPv4 ones that they are.
    pub own_address: Arc<OwnAddress>,
}

/// Tells the cluster's addresses from others. It is asked for each request without a token, and must not block.
pub type OwnAddress = dyn Fn(IpAddr) -> bool + Send + Sync;

/// Why a request is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// It has the cluster's token.
    Token,
    /// A node of the cluster signed it.
    Node(NodeId),
    /// It comes from one of the cluster's addresses, and a setting lets these do without.
    Address(IpAddr),
    /// No token is configured here.
    Anybody,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Read,
    Upload,
}

impl Access {
    /// Judges a request.
    pub(crate) fn judge(
        &self,
        deed: Deed,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        peer: IpAddr,
        now: SystemTime,
    ) -> Result<Caller, HttpError> {
        let refused = |why: &str| Err(HttpError::Unauthorized(why.to_owned()));
        if is_signed(headers) {
            return self.signed(method, uri, headers, now).map(|signed| Caller::Node(signed.node));
        }
        let Some(tokens) = &self.tokens else { return Ok(Caller::Anybody) };
        match Presented::of(headers) {
            Presented::Token(token) if tokens.accepts(token) => Ok(Caller::Token),
            // Whoever shows a wrong token does not mean to come without one: said at once, it is found at once.
            Presented::Token(_) => refused("the token is not the cluster's"),
            Presented::Other => refused("the scheme of Authorization is none that is known here"),
            Presented::Nothing => {
                let peer = peer.to_canonical();
                let open = match deed {
                    Deed::Read => self.open_reads,
                    Deed::Upload => self.open_uploads,
                };
                match (open, open && (self.own_address)(peer)) {
                    (_, true) => Ok(Caller::Address(peer)),
                    (true, false) => refused("no token, and this address is none of the cluster's"),
                    (false, false) => refused("no token"),
                }
            }
        }
    }

    /// Demands a node's signature.
    pub(crate) fn signed(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        now: SystemTime,
    ) -> Result<Signed, HttpError> {
        if !is_signed(headers) {
            return Err(HttpError::Unauthorized("a node's signature is needed".into()));
        }
        let text = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        self.verifier.verify(text, method, path, now).map_err(|error| HttpError::Unauthorized(error.to_string()))
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tokens, verifier, open_reads, open_uploads, own_address: _ } = self;
        f.debug_struct("Access")
            .field("tokens", tokens)
            .field("verifier", verifier)
            .field("open_reads", open_reads)
            .field("open_uploads", open_uploads)
            .finish_non_exhaustive()
    }
}

/// What a request shows.
enum Presented<'a> {
    Token(&'a str),
    Other,
    Nothing,
}

impl<'a> Presented<'a> {
    /// `Authorization: Bearer T`, the scheme in any case, or `X-RingRift-Auth: T`.
    fn of(headers: &'a HeaderMap) -> Self {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let bearer = value.to_str().ok().and_then(|text| text.split_once(' '));
            let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            return bearer.map_or(Self::Other, |(_, token)| Self::Token(token.trim()));
        }
        match headers.get("x-ringrift-auth") {
            Some(value) => value.to_str().map_or(Self::Other, |token| Self::Token(token.trim())),
            None => Self::Nothing,
        }
    }
}

fn is_signed(headers: &HeaderMap) -> bool {
    let scheme = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().get(..SCHEME.len()));
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ringrift_config::Token;

    use super::*;
    use crate::signature::{Signer, SigningKey};

    const SECRET: &[u8] = &[3; 32];
    const INSIDE: &str = "10.0.0.7";
    const OUTSIDE: &str = "192.0.2.1";

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
    }

    fn access(open_reads: bool, open_uploads: bool) -> Access {
        let token = |letter: &str| Token::parse(&letter.repeat(32)).unwrap();
        Access {
            tokens: Some(Tokens { primary: token("a"), old: Some(token("b")) }),
            verifier: Verifier::new("beta".parse().unwrap(), vec![SigningKey::derive(SECRET)]),
            open_reads,
            open_uploads,
            own_address: Arc::new(|address| address.to_string().starts_with("10.")),
        }
    }

    fn signature(secret: &[u8]) -> String {
        let signer = Signer::new("alpha".parse().unwrap(), SigningKey::derive(secret));
        let value = signer.sign(&"beta".parse().unwrap(), &Method::GET, "/models/a?b", now(), 1);
        value.to_str().unwrap().to_owned()
    }

    fn judge(access: &Access, deed: Deed, headers: &[(&'static str, String)], from: &str) -> Result<Caller, String> {
        let headers: HeaderMap =
            headers.iter().map(|(k, v)| (header::HeaderName::from_static(k), v.parse().unwrap())).collect();
        let uri = "/models/a?b".parse().unwrap();
        access.judge(deed, &Method::GET, &uri, &headers, from.parse().unwrap(), now()).map_err(|error| match error {
            HttpError::Unauthorized(reason) => reason,
            other => panic!("{other}"),
        })
    }

    #[test]
    fn tokens_and_signatures_count_from_anywhere() {
        let bearer = |text: &str, letter: &str| vec![("authorization", format!("{text} {}", letter.repeat(32)))];
        let node = Ok(Caller::Node("alpha".parse().unwrap()));
        for (headers, expected) in [
            (bearer("Bearer", "a"), Ok(Caller::Token)),
            (bearer("bEARER", "b"), Ok(Caller::Token)),
            (bearer("Bearer", "c"), Err("the token is not the cluster's".to_owned())),
            (bearer("Basic", "a"), Err("the scheme of Authorization is none that is known here".into())),
            (vec![("x-ringrift-auth", "a".repeat(32))], Ok(Caller::Token)),
            (vec![("x-ringrift-auth", "a".repeat(31))], Err("the token is not the cluster's".into())),
            (vec![("authorization", signature(SECRET))], node),
            (
                vec![("authorization", signature(b"another"))],
                Err("the signature in the name of node alpha is wrong: does it have the same cluster token?".into()),
            ),
            (
                vec![("authorization", SCHEME.to_owned())],
                Err("the signature cannot be read: parameters are missing".into()),
            ),
            (vec![], Err("no token".into())),
        ] {
            for from in [INSIDE, OUTSIDE] {
                for deed in [Deed::Read, Deed::Upload] {
                    assert_eq!(judge(&access(false, false), deed, &headers, from), expected, "{headers:?} {from}");
                }
            }
        }
    }

    #[test]
    fn the_clusters_addresses_do_without_where_a_setting_says_so() {
        use Deed::{Read, Upload};
        let inside = Ok(Caller::Address(INSIDE.parse().unwrap()));
        let stranger = Err("no token, and this address is none of the cluster's".to_owned());
        let closed = Err("no token".to_owned());
        for (reads, uploads, deed, from, expected) in [
            (true, false, Read, INSIDE, &inside),
            (true, false, Read, "::ffff:10.0.0.7", &inside),
            (true, false, Read, OUTSIDE, &stranger),
            (true, false, Upload, INSIDE, &closed),
            (false, true, Upload, INSIDE, &inside),
            (false, true, Upload, OUTSIDE, &stranger),
            (false, true, Read, INSIDE, &closed),
        ] {
            assert_eq!(judge(&access(reads, uploads), deed, &[], from), *expected, "{reads} {uploads} {deed:?} {from}");
        }
        let wrong = vec![("x-ringrift-auth", "x".repeat(32))];
        assert!(judge(&access(true, true), Read, &wrong, INSIDE).is_err(), "a wrong token is worse than none");
    }

    #[test]
    fn without_a_token_everybody_may() {
        let access = Access { tokens: None, ..access(false, false) };
        assert_eq!(judge(&access, Deed::Upload, &[], OUTSIDE), Ok(Caller::Anybody));
        let signed = vec![("authorization", signature(SECRET))];
        assert_eq!(judge(&access, Deed::Read, &signed, OUTSIDE), Ok(Caller::Node("alpha".parse().unwrap())));
    }
}
