use std::collections::VecDeque;

/// Bytes that travel at once: a chunk of 256 KiB shares a link in four parts.
pub const QUANTUM: u64 = 64 << 10;

/// A chunk on its way: the blob, the chunk, and its bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    pub blob: u16,
    pub chunk: u32,
    pub bytes: u32,
}

/// What one node tells another.
#[derive(Debug, Clone)]
pub enum Message {
    Has(u16, Box<ringrift_blob::ChunkSet>),
    Have(u16, u32),
    Request(u16, u32),
    Refuse(u16, u32, bool),
    Cancel(u16, u32),
}

/// One direction of a session: chunks leave in order, a message waits for the end of the chunk that is being written, as in a stream.
#[derive(Debug)]
pub struct Lane {
    pub to: usize,
    /// Which session between the two this is: what belongs to an older one is lost.
    pub epoch: u32,
    pub up: bool,
    pub sending: Option<(Load, u64)>,
    pub waiting: VecDeque<Load>,
    pub messages: Vec<Message>,
    /// Quanta that left and did not arrive. A window limits them, as TCP does.
    pub in_flight: u32,
    pub window: u32,
}

impl Lane {
    pub fn new(to: usize, window: u32) -> Self {
        Self {
            to,
            epoch: 0,
            up: false,
            sending: None,
            waiting: VecDeque::new(),
            messages: Vec::new(),
            in_flight: 0,
            window,
        }
    }

    pub fn reset(&mut self, up: bool) {
        self.up = up;
        self.epoch += 1;
        self.sending = None;
        self.waiting.clear();
        self.messages.clear();
        self.in_flight = 0;
    }

    pub fn ready(&self) -> bool {
        self.up && self.in_flight < self.window && (self.sending.is_some() || !self.waiting.is_empty())
    }

    /// Takes the next quantum: the chunk, its bytes, and whether it is the last of the chunk.
    pub fn take(&mut self) -> Option<(Load, u64, bool)> {
        let (load, left) = self.sending.take().or_else(|| self.waiting.pop_front().map(|l| (l, u64::from(l.bytes))))?;
        let bytes = left.min(QUANTUM);
        if left > bytes {
            self.sending = Some((load, left - bytes));
        }
        self.in_flight += 1;
        Some((load, bytes, left == bytes))
    }
}
