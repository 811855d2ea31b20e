//! Who may do what: by what a route does, not by its method.

use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, header, request::Parts};
use ringrift_config::{NodeId, Tokens};

use super::{error::ApiError, server::Origin};
use crate::node::Shared;

/// Set by a node that forwards a request for a caller whose token it has checked. Believed only on links, where the
/// sender is known by its certificate; removed from what clients send.
pub(crate) const AUTHENTICATED: &str = "x-ringrift-authenticated";

/// Names the node that forwarded a request, so that no request travels in a circle.
pub(crate) const FORWARDED_BY: &str = "x-ringrift-forwarded-by";

/// What is known of the sender of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// It showed a valid token, to us or to the node that forwards for it, or none is asked for.
    pub(crate) trusted: bool,
    /// The node that passed the request on.
    pub(crate) forwarded_by: Option<NodeId>,
}

impl Caller {
    /// Judges a request by its headers and by where it came from.
    fn of(origin: Option<&Origin>, headers: &HeaderMap, tokens: Option<&Tokens>) -> Self {
        match origin {
            Some(Origin::Node(node)) => {
                Self { trusted: headers.get(AUTHENTICATED).is_some_and(|v| v == "1"), forwarded_by: Some(node.clone()) }
            }
            Some(Origin::Client(_)) | None => Self {
                trusted: tokens.is_none_or(|t| presented(headers).is_some_and(|text| t.accepts(text))),
                forwarded_by: None,
            },
        }
    }
}

/// The token of `Authorization: Bearer T` (scheme in any case) or `X-RingRift-Auth: T`.
fn presented(headers: &HeaderMap) -> Option<&str> {
    if let Some(value) = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()) {
        let (scheme, token) = value.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| token.trim());
    }
    headers.get("x-ringrift-auth").and_then(|v| v.to_str().ok()).map(str::trim)
}

/// Middleware: judges the caller once, and takes away what only a node may say.
pub(crate) async fn identify(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    // A request to `/api/node/<own name>/…` comes by a second time, with the verdict of the first.
    let caller = request.extensions().get::<Caller>().cloned().unwrap_or_else(|| {
        Caller::of(request.extensions().get::<Origin>(), request.headers(), shared.settings().tokens.value.as_ref())
    });
    request.headers_mut().remove(AUTHENTICATED);
    request.headers_mut().remove(FORWARDED_BY);
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// Middleware for the routes that change state or hand out files.
pub(crate) async fn require_token(caller: Caller, request: Request, next: Next) -> Response {
    if caller.trusted { next.run(request).await } else { ApiError::Unauthorized.into_response() }
}

/// Middleware for the routes that hand out files: with the token, for a node of the cluster, and, where a setting opens them for old
/// programs, for the cluster's own addresses.
pub(crate) async fn require_reader(
    State(shared): State<Shared>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Response {
    let open = *shared.settings().open_reads
        && matches!(request.extensions().get::<Origin>(), Some(Origin::Client(from)) if shared.is_own_address(from.ip()));
    if caller.trusted || caller.forwarded_by.is_some() || open {
        next.run(request).await
    } else {
        ApiError::Unauthorized.into_response()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        // Absent only if a route was mounted outside `identify`: then nobody is trusted.
        Ok(parts.extensions.get().cloned().unwrap_or(Self { trusted: false, forwarded_by: None }))
    }
}

#[cfg(test)]
mod tests {
    use ringrift_config::Token;

    use super::*;

    fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse::<header::HeaderName>().unwrap(), v.parse().unwrap())).collect()
    }

    #[test]
    fn a_token_counts_in_either_header_and_a_marker_only_from_a_node() {
        let token = "a".repeat(32);
        let old = "b".repeat(32);
        let tokens = Tokens { primary: Token::parse(&token).unwrap(), old: Some(Token::parse(&old).unwrap()) };
        let client = Origin::Client(([127, 0, 0, 1], 1).into());
        let node = Origin::Node("alpha".parse().unwrap());
        let marker = (AUTHENTICATED, "1".to_owned());
        for (name, origin, sent, trusted) in [
            ("nothing", &client, vec![], false),
            ("bearer", &client, vec![("authorization", format!("Bearer {token}"))], true),
            ("any case", &client, vec![("authorization", format!("bEARER {token}"))], true),
            ("old token", &client, vec![("authorization", format!("Bearer {old}"))], true),
            ("basic", &client, vec![("authorization", format!("Basic {token}"))], false),
            ("no scheme", &client, vec![("authorization", token.clone())], false),
            ("own header", &client, vec![("x-ringrift-auth", token.clone())], true),
            ("prefix", &client, vec![("x-ringrift-auth", token[1..].to_owned())], false),
            ("forged marker", &client, vec![marker.clone()], false),
            ("marker from a node", &node, vec![marker.clone()], true),
            ("a node without marker", &node, vec![("x-ringrift-auth", token.clone())], false),
        ] {
            let caller = Caller::of(Some(origin), &headers(&sent), Some(&tokens));
            assert_eq!(caller.trusted, trusted, "{name}");
        }
        assert!(Caller::of(Some(&client), &HeaderMap::new(), None).trusted, "no token is configured");
    }
}
