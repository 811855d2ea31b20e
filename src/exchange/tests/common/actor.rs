//! A peer that says what the test wants.

use std::time::Duration;

use bytes::BytesMut;
use ringrift_blob::{Blob, ChunkSet, Digest};
use ringrift_config::NodeId;
use ringrift_exchange::wire::{ChunkId, Frame, Next, decode, encode, encode_data_header};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

pub struct Actor {
    stream: DuplexStream,
    staged: BytesMut,
}

impl Actor {
    /// Greets over a new stream.
    pub async fn greet(stream: DuplexStream, name: NodeId) -> Self {
        let mut actor = Self { stream, staged: BytesMut::new() };
        actor.say(&Frame::Hello { node: name, instance: 7 }).await;
        actor
    }

    /// Sends a frame. That the other end is gone is seen when reading.
    pub async fn say(&mut self, frame: &Frame) {
        let mut bytes = BytesMut::new();
        encode(frame, &mut bytes);
        self.raw(&bytes).await;
    }

    /// Sends frames in one piece.
    pub async fn say_at_once(&mut self, frames: &[Frame]) {
        let mut bytes = BytesMut::new();
        for frame in frames {
            encode(frame, &mut bytes);
        }
        self.raw(&bytes).await;
    }

    pub async fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Says that it has all of a blob.
    pub async fn has_all(&mut self, blob: &Blob) {
        let all = ChunkSet::full(blob.count());
        self.say(&Frame::Has { sha256: blob.sha256, count: all.len(), bits: all.to_bytes() }).await;
    }

    pub async fn data(&mut self, which: ChunkId, bytes: &[u8]) {
        let mut frame = BytesMut::new();
        encode_data_header(which, bytes.len() as u32, &mut frame);
        frame.extend_from_slice(bytes);
        self.raw(&frame).await;
    }

    /// The next frame, or `None` when the stream has ended.
    pub async fn hears(&mut self) -> Option<Next> {
        let next = async {
            loop {
                if let Some(next) = decode(&mut self.staged).unwrap() {
                    return Some(next);
                }
                match self.stream.read_buf(&mut self.staged).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        };
        timeout(super::LONG, next).await.expect("a frame or the end comes")
    }

    /// The next request, other frames left out.
    pub async fn requested(&mut self) -> Option<ChunkId> {
        loop {
            if let Next::Frame(Frame::Request(which)) = self.hears().await? {
                return Some(which);
            }
        }
    }

    /// Reads until the other end closes; the last frame before.
    pub async fn until_closed(mut self) -> Option<Next> {
        let mut last = None;
        while let Some(next) = self.hears().await {
            if let Next::Data { length, .. } = next {
                self.skip(length as usize).await;
            }
            last = Some(next);
        }
        last
    }

    /// The bytes of a chunk whose header was heard.
    pub async fn skip(&mut self, length: usize) -> Vec<u8> {
        while self.staged.len() < length {
            if self.stream.read_buf(&mut self.staged).await.unwrap_or(0) == 0 {
                break;
            }
        }
        self.staged.split_to(length.min(self.staged.len())).to_vec()
    }
}

pub fn part<'a>(blob: &Blob, bytes: &'a [u8], chunk: u32) -> &'a [u8] {
    let range = blob.range(chunk);
    &bytes[range.start as usize..range.end as usize]
}

pub fn sum(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

pub const SOON: Duration = Duration::from_millis(300);
