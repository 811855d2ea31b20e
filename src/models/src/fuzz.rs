//! What reads bytes from outside, for coverage-guided tests (`tests/fuzz`). Each function takes any bytes and panics if the crate does
//! what it must not.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::{
    SignatureError, Signer, SigningKey, Verifier,
    conditions::Validators,
    ranges::{Wanted, wanted},
    upload,
};

/// A `Range` header, behind the size of what is asked for (u64, big-endian).
pub fn range(bytes: &[u8]) {
    let Some((size, header)) = bytes.split_first_chunk::<8>() else { return };
    let (size, Ok(header)) = (u64::from_be_bytes(*size), std::str::from_utf8(header)) else { return };
    let Wanted::Parts(parts) = wanted(header, size) else { return };
    assert!(!parts.is_empty() && parts.len() <= 64);
    assert!(parts.iter().all(|part| part.start < part.end && part.end <= size));
    let mut sorted = parts.clone();
    sorted.sort_by_key(|part| part.start);
    let joined = sorted.windows(2).all(|pair| pair[0].end <= pair[1].start);
    // Ranges are joined when any two of them touch; as they were asked for they may not even overlap.
    assert!(joined, "no byte is sent twice: {parts:?}");
}

/// An `Authorization` header, and an `Authentication-Info` header.
pub fn authorization(bytes: &[u8]) {
    let now = UNIX_EPOCH + Duration::from_hours(500_000);
    let (node, here) = ("alpha".parse().expect("a node id"), "beta".parse().expect("a node id"));
    let alpha = Signer::new(node, SigningKey::derive(&[7; 32]));
    let path = "/models/a.pth?x=1";
    if let Ok(text) = std::str::from_utf8(bytes) {
        let verifier = Verifier::new(here, vec![SigningKey::derive(&[7; 32])]);
        let first = verifier.verify(text, &Method::GET, path, now);
        let second = verifier.verify(text, &Method::GET, path, now);
        match first {
            Ok(signed) => {
                assert_eq!(second, Err(SignatureError::Replayed(signed.node)), "a request is taken once");
                let another = Verifier::new("beta".parse().expect("a node id"), vec![SigningKey::derive(&[8; 32])]);
                assert!(another.verify(text, &Method::GET, path, now).is_err(), "it stands for one key");
            }
            Err(error) => assert_eq!(second, Err(error), "a refusal leaves nothing behind"),
        }
    }
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        let sent = alpha.sign(&"beta".parse().expect("a node id"), &Method::GET, path, now, 7);
        let _ = alpha.is_proof(&value, &Method::GET, path, &sent);
        assert!(!alpha.is_proof(&sent, &Method::GET, path, &value), "a request is no proof");
    }
}

/// Headers with conditions and promises: lines of a digit that says which, and a value.
pub fn headers(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(32) {
        let Some((which, value)) = line.split_first() else { continue };
        let (Some(name), Ok(value)) = (name(*which), HeaderValue::from_bytes(value)) else { continue };
        headers.append(name, value);
    }
    let modified = UNIX_EPOCH + Duration::from_hours(490_000);
    let validators = Validators { etag: "\"abc\"", modified };
    let _ = validators.judge(&headers);
    let _ = validators.range_applies(&headers, SystemTime::UNIX_EPOCH);
    upload::fuzz_headers(&headers);
}

fn name(which: u8) -> Option<HeaderName> {
    Some(match which {
        b'0' => header::IF_MATCH,
        b'1' => header::IF_NONE_MATCH,
        b'2' => header::IF_MODIFIED_SINCE,
        b'3' => header::IF_UNMODIFIED_SINCE,
        b'4' => header::IF_RANGE,
        b'5' => HeaderName::from_static("repr-digest"),
        b'6' => HeaderName::from_static("x-content-sha256"),
        b'7' => header::CONTENT_LENGTH,
        _ => return None,
    })
}

#[cfg(test)]
#[path = "../../../tests/fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_range_of_the_corpus_upsets_the_server() {
        let of = |size: u64, header: &str| [&size.to_be_bytes()[..], header.as_bytes()].concat();
        let seeds = [
            ("two", of(10_000, "bytes=0-0,-1")),
            ("list", of(10_000, "bytes= 0-999, 4500-5499, -1000")),
            ("joined", of(10_000, "bytes=5000-5000,1-1,0-0")),
            ("huge", of(u64::MAX, "bytes=18446744073709551614-18446744073709551615,99999999999999999999-,-5")),
        ];
        corpus::replay("models_range", range, &seeds);
    }

    #[test]
    fn no_signature_of_the_corpus_upsets_the_server() {
        let alpha = Signer::new("alpha".parse().unwrap(), SigningKey::derive(&[7; 32]));
        let now = UNIX_EPOCH + Duration::from_hours(500_000);
        let signed =
            |to: &str, path: &str| alpha.sign(&to.parse().unwrap(), &Method::GET, path, now, 7).as_bytes().to_vec();
        let seeds = [("good", signed("beta", "/models/a.pth?x=1")), ("other", signed("gamma", "/models/b.pth"))];
        corpus::replay("models_authorization", authorization, &seeds);
    }

    #[test]
    fn no_headers_of_the_corpus_upset_the_server() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let promised =
            format!("5sha-512=:AAAA:, sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:\n6{digest}\n73");
        let seeds = [
            ("tags", b"0\"abc\", \"d\"\n1W/\"abc\"\n4\"abc\"".to_vec()),
            (
                "dates",
                b"2Sun, 06 Nov 1994 08:49:37 GMT\n3Sunday, 06-Nov-94 08:49:37 GMT\n4Sun Nov  6 08:49:37 1994".to_vec(),
            ),
            ("promised", promised.into_bytes()),
        ];
        corpus::replay("models_headers", headers, &seeds);
    }
}
