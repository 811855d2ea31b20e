//! The bytes of an answer, out of an object.

use std::{
    collections::VecDeque,
    io,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use ringrift_store::{Object, mapping};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::warm::{self, Warmth};

/// Bytes that are read at once where they must be read.
const COPY: u64 = 256 << 10;

/// Bytes that leave at once where the kernel moves them, and between two looks at the file.
const SLICE: u64 = mapping::MAX_SEND as u64;

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// What stands between ranges.
    Text(Bytes),
    /// Bytes of the object.
    Range(Range<u64>),
}

/// How bytes reach the connection.
#[derive(Debug, Clone)]
pub(crate) enum Passage {
    /// As addresses, for a [`Wire`](crate::Wire), which looks at the file before and after it sends.
    Mapped(Arc<Warmth>),
    /// In memory, for any connection. At most 256 KiB of an answer are in memory at a time.
    Copied,
}

/// An answer's bytes. It ends with an error, and so the connection does, once the file is not what it was.
#[derive(Debug)]
pub(crate) struct ObjectBody {
    object: Arc<Object>,
    parts: VecDeque<Part>,
    passage: Passage,
    left: u64,
    /// Up to here the file was read ahead for this answer.
    warm_until: u64,
    /// The disk is being waited for, elsewhere. Bytes, or nothing but the certainty that they are in memory now.
    waiting: Option<JoinHandle<io::Result<Bytes>>>,
}

impl ObjectBody {
    pub(crate) fn new(object: Arc<Object>, parts: VecDeque<Part>, passage: Passage) -> Self {
        let length = |part: &Part| match part {
            Part::Text(text) => text.len() as u64,
            Part::Range(range) => range.end - range.start,
        };
        let left = parts.iter().map(length).sum();
        Self { object, parts, passage, left, warm_until: 0, waiting: None }
    }

    /// Bytes that are still to come.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// The next bytes; empty ones when the disk must be waited for first.
    fn next(&mut self) -> Option<Bytes> {
        let range = match self.parts.front_mut()? {
            Part::Text(text) => {
                let text = std::mem::take(text);
                self.parts.pop_front();
                return Some(text);
            }
            Part::Range(range) => range,
        };
        let most = match self.passage {
            Passage::Mapped(_) => SLICE,
            Passage::Copied => COPY,
        };
        let piece = range.start..range.end.min(range.start + most);
        let end = range.end;
        let bytes = match &self.passage {
            Passage::Mapped(warmth) => {
                if piece.end > self.warm_until && warmth.is_cold(&self.object, &piece) {
                    // Not asked again for this piece: were it gone at once, waiting again would not help.
                    self.warm_until = piece.end;
                    let object = Arc::clone(&self.object);
                    self.waiting = Some(spawn_blocking(move || {
                        warm::warm(&object, &piece, end);
                        Ok(Bytes::new())
                    }));
                    return Some(Bytes::new());
                }
                self.object.slice(piece.clone())
            }
            Passage::Copied => {
                let (object, piece) = (Arc::clone(&self.object), piece.clone());
                self.waiting = Some(spawn_blocking(move || read(&object, piece)));
                Bytes::new()
            }
        };
        range.start = piece.end;
        if range.start == end {
            self.parts.pop_front();
        }
        Some(bytes)
    }
}

fn read(object: &Object, piece: Range<u64>) -> io::Result<Bytes> {
    let mut bytes = vec![0; (piece.end - piece.start) as usize];
    let read = object.read_at(&mut bytes, piece.start)?;
    if read < bytes.len() { Err(changed(object)) } else { Ok(bytes.into()) }
}

fn changed(object: &Object) -> io::Error {
    let why = format!("{} was changed on the disk while it was sent", object.sha256());
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl http_body::Body for ObjectBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            let bytes = match &mut self.waiting {
                Some(waiting) => {
                    let done = ready!(Pin::new(waiting).poll(cx));
                    self.waiting = None;
                    done.map_err(io::Error::other).flatten().map(Some)
                }
                None => Ok(self.next()),
            };
            match bytes {
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(Some(bytes)) => {
                    self.left -= bytes.len() as u64;
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Ok(None) => return Poll::Ready(None),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
