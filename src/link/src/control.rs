use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{mpsc, oneshot},
    time::sleep_until,
};

use crate::{
    Direction, Limits, Stream,
    frame::Opening,
    link::{Link, Order},
};

/// Pings whose answers are still waited for; older ones are forgotten.
const MAX_AWAITED: usize = 16;
/// After so many ping intervals in a row without a byte from the peer it is dead.
const DEAD_AFTER: u32 = 3;
/// A link that nothing uses is looked after this many times less often, and so is the round trip of one whose peer is heard anyway.
/// A node has links to all others and uses few of them at a time: pings on all were most of what an idle one did. A machine that is
/// gone is noticed by TCP meanwhile ([`crate::wire`]), and whoever calls a process that stands still waits for no link.
const SELDOM: u32 = 5;
/// Whose link was dialled hears the other end's pings, and measures the round trip this many times less often again.
const HEARING: u32 = 4;

/// One message on the control stream: kind, and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    /// To be answered with the same number.
    Ping(u32),
    Pong(u32),
    /// The sender opens no more streams and asks the peer to do the same.
    Retire,
    /// After `Retire`: no stream that the sender opened is in use any more.
    Drained,
}

impl Message {
    const LEN: usize = 5;

    fn encode(self) -> [u8; Self::LEN] {
        let (kind, number) = match self {
            Self::Ping(number) => (1, number),
            Self::Pong(number) => (2, number),
            Self::Retire => (3, 0),
            Self::Drained => (4, 0),
        };
        let [a, b, c, d] = u32::to_be_bytes(number);
        [kind, a, b, c, d]
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let (kind, number) = (bytes.try_get_u8().ok()?, bytes.try_get_u32().ok()?);
        match kind {
            1 => Some(Self::Ping(number)),
            2 => Some(Self::Pong(number)),
            3 => Some(Self::Retire),
            4 => Some(Self::Drained),
            _ => None,
        }
    }
}

/// Keeps the control stream of a link: measures, notices a peer that is dead, ends the link in good order. Returns
/// when the link is closed.
pub(crate) async fn keep(
    link: Arc<Link>,
    orders: mpsc::Receiver<Order>,
    control: oneshot::Receiver<Stream>,
    received: impl Fn() -> u64,
    limits: &Limits,
) {
    let stream = match link.direction {
        Direction::Outbound => open(&link).await,
        Direction::Inbound => {
            let given = tokio::time::timeout(limits.handshake_timeout, control).await;
            if given.is_err() {
                link.close("the peer did not open the control stream");
            }
            given.ok().and_then(Result::ok)
        }
    };
    let Some(stream) = stream else { return };
    let mut keeper = Keeper {
        link: &link,
        stream,
        inbox: BytesMut::new(),
        number: 0,
        awaited: VecDeque::new(),
        silent: 0,
        received: 0,
        pinged: tokio::time::Instant::now(),
        retire: Retire::No,
    };
    let run = keeper.run(orders, received, limits);
    let ended = tokio::select! {
        () = link.closed() => return,
        ended = run => ended,
    };
    let reason = ended.map_or_else(|error| error.to_string(), |()| "the peer ended its control stream".to_owned());
    // The control stream also ends with the connection, and the connection's task knows better why.
    if tokio::time::timeout(Duration::from_secs(1), link.closed()).await.is_err() {
        link.close(reason);
    }
}

async fn open(link: &Arc<Link>) -> Option<Stream> {
    let mut stream = link.open_control().await.ok()?;
    stream.write_all(&Opening::Control.encode()).await.ok()?;
    Some(stream)
}

struct Keeper<'a> {
    link: &'a Link,
    stream: Stream,
    inbox: BytesMut,
    number: u32,
    awaited: VecDeque<Awaited>,
    /// Looks in a row without a byte from the peer.
    silent: u32,
    received: u64,
    /// When the last ping was sent.
    pinged: tokio::time::Instant,
    retire: Retire,
}

struct Awaited {
    number: u32,
    sent: Instant,
    /// Told when the answer comes.
    probe: Option<oneshot::Sender<()>>,
}

/// How far the orderly end of the link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retire {
    No,
    /// We asked; the peer still uses streams that it opened.
    Asked,
    /// We asked; the peer is done.
    PeerDrained,
    /// The peer asked; we still use streams.
    ToDrain,
    /// The peer asked; we are done and have said so.
    Drained,
}

impl Keeper<'_> {
    async fn run(
        &mut self,
        mut orders: mpsc::Receiver<Order>,
        received: impl Fn() -> u64,
        limits: &Limits,
    ) -> io::Result<()> {
        // Spread, or the pings of a thousand links go out at one moment.
        let mut look_at = tokio::time::Instant::now() + limits.ping_interval.mul_f64(rand::random::<f64>());
        let mut retire_by = tokio::time::Instant::now();
        if self.link.direction == Direction::Outbound {
            self.ping(None).await?;
        }
        loop {
            tokio::select! {
                message = next(&mut self.inbox, &mut self.stream) => match message? {
                    Some(message) => self.on_message(message).await?,
                    None => return Ok(()),
                },
                () = sleep_until(look_at) => {
                    // From now on, not from when it was due: after a suspend a peer gets its time to answer.
                    look_at = tokio::time::Instant::now() + self.look(received(), limits.ping_interval).await?;
                }
                Some(order) = orders.recv() => match order {
                    Order::Probe(probe) => self.ping(Some(probe)).await?,
                    Order::Retire => {
                        self.retire = Retire::Asked;
                        retire_by = tokio::time::Instant::now() + limits.retire_grace;
                        self.send(Message::Retire).await?;
                    }
                },
                () = self.link.stream_ended(), if self.retire != Retire::No => {}
                () = sleep_until(retire_by), if matches!(self.retire, Retire::Asked | Retire::PeerDrained) => {
                    self.link.close("it was replaced; streams on it did not end in time");
                }
            }
            self.drain().await?;
            if self.link.is_closed() {
                return Ok(());
            }
        }
    }

    async fn on_message(&mut self, message: Message) -> io::Result<()> {
        match message {
            Message::Ping(number) => self.send(Message::Pong(number)).await?,
            Message::Pong(number) => {
                while let Some(awaited) = self.awaited.pop_front_if(|awaited| awaited.number <= number) {
                    if awaited.number == number {
                        self.link.set_rtt(awaited.sent.elapsed());
                    }
                    if let Some(probe) = awaited.probe {
                        let _ = probe.send(());
                    }
                }
            }
            Message::Retire => {
                self.link.mark_retired();
                self.retire = Retire::ToDrain;
            }
            Message::Drained => {
                if self.retire == Retire::Asked {
                    self.retire = Retire::PeerDrained;
                }
            }
        }
        Ok(())
    }

    /// Looks whether the peer lives; returns when to look again.
    async fn look(&mut self, received: u64, interval: Duration) -> io::Result<Duration> {
        // Any byte is a sign of life: a ping may be stuck behind a large answer on a slow line.
        if received == self.received {
            self.silent += 1;
        } else {
            self.silent = 0;
        }
        self.received = received;
        let seldom = interval * SELDOM;
        let measures = match self.link.direction {
            Direction::Inbound if self.link.rtt().is_some() => seldom * HEARING,
            Direction::Inbound | Direction::Outbound => seldom,
        };
        if self.silent >= DEAD_AFTER {
            self.link.close("the peer no longer answers pings");
        } else if self.silent > 0 || self.pinged.elapsed() + interval > measures {
            // Each end measures the round trip for itself.
            self.ping(None).await?;
        }
        let is_used = self.link.unused_for() < interval;
        Ok(if is_used || self.silent > 0 { interval } else { seldom })
    }

    async fn drain(&mut self) -> io::Result<()> {
        match self.retire {
            Retire::PeerDrained if self.link.opened() == 0 => self.link.close("it was no longer needed"),
            Retire::ToDrain if self.link.opened() == 0 => {
                self.retire = Retire::Drained;
                self.send(Message::Drained).await?;
            }
            _ => {}
        }
        Ok(())
    }

    async fn ping(&mut self, probe: Option<oneshot::Sender<()>>) -> io::Result<()> {
        self.number = self.number.wrapping_add(1);
        self.pinged = tokio::time::Instant::now();
        if self.awaited.len() == MAX_AWAITED {
            self.awaited.pop_front();
        }
        self.awaited.push_back(Awaited { number: self.number, sent: Instant::now(), probe });
        self.send(Message::Ping(self.number)).await
    }

    async fn send(&mut self, message: Message) -> io::Result<()> {
        self.stream.write_all(&message.encode()).await?;
        self.stream.flush().await
    }
}

/// The next message, `None` at the end of the stream. May be dropped and called again: what was read stays in `inbox`.
async fn next(inbox: &mut BytesMut, stream: &mut Stream) -> io::Result<Option<Message>> {
    loop {
        if inbox.len() >= Message::LEN {
            let bytes = inbox.split_to(Message::LEN);
            let message = Message::decode(&bytes);
            return message
                .map(Some)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an unknown control message"));
        }
        inbox.reserve(16 * Message::LEN);
        if stream.read_buf(inbox).await? == 0 {
            return Ok(None);
        }
    }
}

/// A control stream of any bytes, for [`crate::fuzz`].
#[cfg(any(fuzzing, test))]
pub(crate) fn fuzz(bytes: &[u8]) {
    for bytes in bytes.chunks(Message::LEN) {
        if let Some(message) = Message::decode(bytes) {
            assert_eq!(Message::decode(&message.encode()), Some(message));
        }
    }
}
