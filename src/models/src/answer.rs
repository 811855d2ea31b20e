//! The answer to a GET or HEAD of an object.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{body::Body, response::Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use ringrift_blob::Digest;
use ringrift_store::Object;

use crate::{
    body::{ObjectBody, Part, Passage},
    conditions::{Validators, Verdict},
    error::HttpError,
    ranges::{Wanted, wanted},
};

/// RFC 9530 §3.
pub(crate) const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// The same bytes for ever.
pub(crate) const FOR_EVER: &str = "max-age=31536000, immutable";

/// May change: ask each time, which costs a 304.
pub(crate) const ASK_AGAIN: &str = "no-cache";

/// How an object is called in headers. Made once: it costs as much as the rest of a head.
#[derive(Debug, Clone)]
pub(crate) struct Labels {
    etag: HeaderValue,
    digest: HeaderValue,
}

impl Labels {
    pub(crate) fn of(sha256: &Digest) -> Self {
        let digest = STANDARD.encode(sha256.as_bytes());
        Self { etag: text(&format!("\"{sha256}\"")), digest: text(&format!("sha-256=:{digest}:")) }
    }
}

/// What is served.
#[derive(Debug)]
pub(crate) struct Representation {
    /// Its names.
    pub(crate) labels: Labels,
    /// The bytes.
    pub(crate) object: Arc<Object>,
    /// When they began to be served under this address.
    pub(crate) modified: SystemTime,
    /// How long they may be kept.
    pub(crate) cache_control: &'static str,
    /// How they leave.
    pub(crate) passage: Passage,
}

impl Representation {
    /// Answers a GET or HEAD with these headers.
    pub(crate) fn answer(self, method: &Method, headers: &HeaderMap, now: SystemTime) -> Result<Response, HttpError> {
        let Self { labels, object, modified, cache_control, passage } = self;
        // HTTP has whole seconds. A time in the future would be a promise about it (RFC 9110 §8.8.2.1).
        let modified = whole_seconds(modified.min(now));
        let validators = Validators { etag: labels.etag.to_str().unwrap_or_default(), modified };
        let verdict = validators.judge(headers);
        if verdict == Verdict::Failed {
            return Err(HttpError::PreconditionFailed);
        }
        let size = object.size();
        let mut response = Response::new(Body::empty());
        let answer = response.headers_mut();
        answer.insert(header::ETAG, labels.etag.clone());
        answer.insert(header::LAST_MODIFIED, text(&httpdate::fmt_http_date(modified)));
        answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
        answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        answer.insert(REPR_DIGEST, labels.digest.clone());
        if verdict == Verdict::NotModified {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(response);
        }
        // A Range means something on a GET alone (§14.2).
        let range = headers.get(header::RANGE).filter(|_| method == Method::GET);
        let range = range.filter(|_| validators.range_applies(headers, now)).and_then(|range| range.to_str().ok());
        let parts = match range.map_or(Wanted::Whole, |range| wanted(range, size)) {
            Wanted::Whole => VecDeque::from([Part::Range(0..size)]),
            Wanted::Nothing => return Err(HttpError::NoSuchRange { size }),
            Wanted::Parts(ranges) => {
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                match <[_; 1]>::try_from(ranges) {
                    Ok([range]) => {
                        response.headers_mut().insert(header::CONTENT_RANGE, text(&content_range(&range, size)));
                        VecDeque::from([Part::Range(range)])
                    }
                    Err(ranges) => {
                        let boundary = boundary();
                        let kind = format!("multipart/byteranges; boundary={boundary}");
                        response.headers_mut().insert(header::CONTENT_TYPE, text(&kind));
                        multipart(ranges, size, &boundary)
                    }
                }
            }
        };
        let body = ObjectBody::new(object, parts, passage);
        let answer = response.headers_mut();
        answer.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/octet-stream"));
        answer.insert(header::CONTENT_LENGTH, body.left().into());
        if method != Method::HEAD {
            *response.body_mut() = Body::new(body);
        }
        Ok(response)
    }
}

/// RFC 9110 §14.6.
fn multipart(ranges: Vec<Range<u64>>, size: u64, boundary: &str) -> VecDeque<Part> {
    let mut parts = VecDeque::with_capacity(2 * ranges.len() + 1);
    for range in ranges {
        let range_text = content_range(&range, size);
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: {range_text}\r\n\r\n"
        );
        parts.push_back(Part::Text(head.into()));
        parts.push_back(Part::Range(range));
    }
    parts.push_back(Part::Text(Bytes::from(format!("\r\n--{boundary}--\r\n"))));
    parts
}

/// A line that is in no file: nobody can put into a model what is not known before.
fn boundary() -> String {
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the kernel's random source is always there");
    format!("ringrift-{:032x}", u128::from_le_bytes(random))
}

fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end - 1)
}

fn whole_seconds(at: SystemTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

fn text(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).expect("visible ASCII of our own making")
}
