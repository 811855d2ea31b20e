//! What reads bytes of a peer, for coverage-guided tests (`tests/fuzz`). Each function takes any bytes and panics if the crate does
//! what it must not.

use bytes::Bytes;

use crate::{
    certified_name, control,
    frame::{self, Answer, Opening},
    hello::{Hello, Reply},
    relay,
};

/// The largest frame, bytes.
const LIMIT: usize = 1 << 20;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    futures::executor::block_on(future)
}

/// The beginning of a stream that a peer opens: what it is for, and its frame; then an answer.
pub fn stream(mut bytes: &[u8]) {
    if let Some((opening, rest)) = bytes.split_first_chunk::<{ Opening::LEN }>() {
        bytes = rest;
        if let Ok(opening) = Opening::decode(*opening) {
            assert_eq!(Opening::decode(opening.encode()).ok(), Some(opening));
            if matches!(opening, Opening::RelayTo | Opening::RelayFrom)
                && let Ok(node) = block_on(relay::read_name(&mut &*bytes))
            {
                assert_eq!(node.as_str().parse(), Ok(node));
            }
        }
    }
    if let Ok(frame) = block_on(frame::read(&mut bytes, LIMIT)) {
        let mut again = bytes::BytesMut::new();
        frame::put(&mut again, &frame);
        assert_eq!(block_on(frame::read(&mut &*again, LIMIT)).ok(), Some(frame));
    }
    if let Ok(answer) = block_on(Answer::read(&mut bytes, LIMIT)) {
        // What was no UTF-8 in a refusal has become longer.
        assert_eq!(block_on(Answer::read(&mut &*answer.encode(), 3 * LIMIT)).ok(), Some(answer));
    }
    control::fuzz(bytes);
}

/// A greeting, and the answer to one.
pub fn hello(bytes: &[u8]) {
    if let Ok(hello) = Hello::decode(bytes) {
        assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
    }
    if let Ok(reply) = Reply::decode(Bytes::copy_from_slice(bytes)) {
        let once = reply.encode();
        // A refusal that is too long is cut, which happens once.
        assert_eq!(Reply::decode(once.clone()).map(|reply| reply.encode()), Ok(once));
    }
}

/// A peer's certificate, which TLS has not judged yet.
pub fn certificate(bytes: &[u8]) {
    if let Ok(node) = certified_name::node_id(bytes) {
        assert_eq!(node.as_str().parse(), Ok(node));
    }
}

#[cfg(test)]
#[path = "../../../tests/fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ED25519, SanType, SerialNumber};
    use rustls::pki_types::PrivatePkcs8KeyDer;

    use super::*;
    use crate::{
        Protocol,
        authority::PKCS8_ED25519,
        hello::{Reject, RejectKind},
    };

    fn opened(opening: Opening, frame: &[u8], rest: &[u8]) -> Vec<u8> {
        let mut bytes = bytes::BytesMut::from(&opening.encode()[..]);
        frame::put(&mut bytes, frame);
        bytes.extend_from_slice(rest);
        bytes.to_vec()
    }

    #[test]
    fn no_stream_of_the_corpus_upsets_a_node() {
        let call = Opening::Call { protocol: Protocol::Gossip, deadline: Duration::from_secs(2) };
        let done = Answer::Done(Bytes::from_static(b"an answer")).encode();
        let seeds = [
            ("call", opened(call, b"a question", &done)),
            (
                "refused",
                opened(Opening::Stream { protocol: Protocol::Watch }, b"", &Answer::Failed("no".into()).encode()),
            ),
            ("too_large", opened(Opening::RelayTo, b"alpha", &Answer::TooLarge(1 << 30).encode())),
            ("late", opened(Opening::RelayFrom, b"beta-2", &Answer::Late.encode())),
            ("control", opened(Opening::Control, b"", &[3, 0, 0, 0, 0, 1, 0, 0, 0, 7, 4, 0, 0, 0, 0])),
        ];
        corpus::replay("link_stream", stream, &seeds);
    }

    #[test]
    fn no_greeting_of_the_corpus_upsets_a_node() {
        let node = "gpu-1".parse().unwrap();
        let observed = Some("192.0.2.7:40123".parse().unwrap());
        let (listen_port, max_frame, software) = (Some(8765), 8 << 20, "0.1.0".to_owned());
        let hello_of = Hello { node, instance: 7, up_ms: 60_000, listen_port, observed, max_frame, software };
        let reject = |kind| Reply::Reject(Reject::new(kind, "192.0.2.8:8765")).encode().to_vec();
        let seeds = [
            ("hello", hello_of.encode().to_vec()),
            ("welcome", Reply::Welcome(hello_of.encode()).encode().to_vec()),
            ("duplicate", reject(RejectKind::DuplicateId)),
            ("other", reject(RejectKind::Other)),
        ];
        corpus::replay("link_hello", hello, &seeds);
    }

    #[test]
    fn no_certificate_of_the_corpus_upsets_a_node() {
        // A key that is always the same: the corpus would otherwise differ each time.
        let key = [&PKCS8_ED25519[..], &[7; 32]].concat();
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(key), &PKCS_ED25519).unwrap();
        let made = |name: &str, names: &[SanType]| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.subject_alt_names = names.to_vec();
            params.serial_number = Some(SerialNumber::from(7));
            params.self_signed(&key).unwrap().der().to_vec()
        };
        let uri = |text: &str| SanType::URI(text.try_into().unwrap());
        let dns = |text: &str| SanType::DnsName(text.try_into().unwrap());
        let seeds = [
            ("uri", made("x", &[uri("ringrift:node:gpu-1"), dns("gpu-1.example.org")])),
            ("common_name", made("gpu-1", &[])),
            ("dns", made("Node One of ours", &[dns("gpu-1")])),
        ];
        corpus::replay("link_certificate", certificate, &seeds);
    }
}
