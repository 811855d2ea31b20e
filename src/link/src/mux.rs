use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf},
    sync::{mpsc, oneshot},
};
use tokio_rustls::TlsStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};
use yamux::{ConnectionError, FrameDecodeError};

use crate::{Direction, link::Link, tls_reason, wire::Wire};

/// Streams of one link that this end may have open for calls and protocols. yamux lets no more than 256 wait for the
/// peer's first answer; one more would hold up all others.
pub(crate) const MAX_OPENED: usize = 256;
/// Streams of one link that may carry relayed links.
pub(crate) const MAX_RELAYED: usize = 256;
/// Streams of one link that the peer may have open here: what it may open, and some whose end it saw earlier than us.
pub(crate) const MAX_SERVED: usize = MAX_OPENED + MAX_RELAYED + 128;
/// All streams of one link. yamux ends the whole connection above it, so our own bounds must be reached first.
const MAX_STREAMS: usize = MAX_OPENED + MAX_RELAYED + MAX_SERVED + 128;
/// What streams may hold beyond the 256 KiB that each starts with, all together, when the line is long and fast.
const EXTRA_WINDOW: usize = 64 << 20;
/// Frame headers are sent along with the bytes after them, up to this many bytes.
const WRITE_BUFFER: usize = 4096;
/// Time to send what is queued when a link is closed.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// Asks the connection's task for a stream.
pub(crate) type Open = oneshot::Sender<yamux::Stream>;

/// A multiplexed connection. It only moves while its task polls it.
pub(crate) struct Connection {
    yamux: yamux::Connection<Compat<Together<BufWriter<TlsStream<Wire>>>>>,
    flushes: Arc<Flushes>,
}

/// Holds back flushes until all that there is to send has been written.
///
/// yamux flushes after each frame: an answer and the end of its stream would be two records, two packets and two wake-ups of the peer.
/// What is small, as most of what nodes with little to do tell each other, costs by its number and not by its bytes.
///
/// Its own pings, by which it measures how far windows should grow, wait for the next frame of another kind and go along with that:
/// where nothing else is sent no window needs to grow, and where much is they wait for nothing.
struct Together<T> {
    inner: T,
    flushes: Arc<Flushes>,
    frames: Frames,
}

/// Follows the frames that are written, to see whether one is among them that must not wait.
#[derive(Default)]
struct Frames {
    head: [u8; Self::HEAD],
    /// Bytes of the head that are there.
    known: usize,
    /// Bytes of the body that follow.
    body: usize,
    urgent: bool,
}

impl Frames {
    /// Version, type, flags (16 bits), stream (32 bits), length (32 bits): the yamux specification, "Framing".
    const HEAD: usize = 12;
    const DATA: u8 = 0;
    const PING: u8 = 2;

    fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let body = self.body.min(bytes.len());
            self.body -= body;
            bytes = &bytes[body..];
            let head = bytes.len().min(Self::HEAD - self.known);
            self.head[self.known..self.known + head].copy_from_slice(&bytes[..head]);
            self.known += head;
            bytes = &bytes[head..];
            if self.known == Self::HEAD {
                let [_, kind, _, _, _, _, _, _, length @ ..] = self.head;
                self.known = 0;
                // In the other kinds of frame the length says something else.
                self.body = if kind == Self::DATA { u32::from_be_bytes(length) as usize } else { 0 };
                self.urgent |= kind != Self::PING;
            }
        }
    }
}

#[derive(Default)]
struct Flushes {
    held: AtomicBool,
    wanted: AtomicBool,
}

impl<T: AsyncRead + Unpin> AsyncRead for Together<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Together<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.inner).poll_write(cx, buf))?;
        this.frames.follow(&buf[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.frames.urgent {
            return Poll::Ready(Ok(()));
        }
        if this.flushes.held.load(Ordering::Relaxed) {
            this.flushes.wanted.store(true, Ordering::Relaxed);
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut this.inner).poll_flush(cx))?;
        this.frames.urgent = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

impl Connection {
    /// The next stream that the peer opens. Moves all bytes that can be moved.
    fn poll_next_inbound(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<yamux::Stream, ConnectionError>>> {
        self.flushes.held.store(true, Ordering::Relaxed);
        let polled = self.yamux.poll_next_inbound(cx);
        self.flushes.held.store(false, Ordering::Relaxed);
        // A stream that came is followed by another poll.
        if polled.is_pending() && self.flushes.wanted.swap(false, Ordering::Relaxed) {
            return self.yamux.poll_next_inbound(cx);
        }
        polled
    }
}

pub(crate) fn connection(io: TlsStream<Wire>, direction: Direction) -> Connection {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(MAX_STREAMS);
    config.set_max_connection_receive_window(Some(MAX_STREAMS * yamux::DEFAULT_CREDIT as usize + EXTRA_WINDOW));
    let mode = match direction {
        Direction::Outbound => yamux::Mode::Client,
        Direction::Inbound => yamux::Mode::Server,
    };
    let flushes = Arc::<Flushes>::default();
    let inner = BufWriter::with_capacity(WRITE_BUFFER, io);
    let io = Together { inner, flushes: Arc::clone(&flushes), frames: Frames::default() };
    Connection { yamux: yamux::Connection::new(io.compat(), config, mode), flushes }
}

/// Runs a connection until it breaks or its link is closed, and closes the link. Streams that the peer opens go to
/// `inbound`, which must not block.
pub(crate) async fn run(
    mut connection: Connection,
    mut opens: mpsc::Receiver<Open>,
    link: &Link,
    mut inbound: impl FnMut(yamux::Stream),
) {
    let mut waiting: Option<Open> = None;
    let broken = poll_fn(|cx| {
        // Outbound streams first: the poll for inbound ones also moves the bytes of the new ones.
        while let Some(open) = waiting.take().or_else(|| match opens.poll_recv(cx) {
            Poll::Ready(open) => open,
            Poll::Pending => None,
        }) {
            if open.is_closed() {
                continue;
            }
            match connection.yamux.poll_new_outbound(cx) {
                Poll::Ready(Ok(stream)) => {
                    let _ = open.send(stream);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Some(error)),
                Poll::Pending => {
                    waiting = Some(open);
                    break;
                }
            }
        }
        loop {
            match connection.poll_next_inbound(cx) {
                Poll::Ready(Some(Ok(stream))) => inbound(stream),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(error)),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    });
    tokio::select! {
        biased;
        error = broken => match error {
            None => link.close("the peer closed it"),
            Some(error) if is_violation(&error) => link.violation(format!("it sent bytes that are no yamux: {error}")),
            Some(ConnectionError::Io(error) | ConnectionError::Decode(FrameDecodeError::Io(error))) => {
                link.close(lost(&error));
            }
            Some(error) => link.close(error.to_string()),
        },
        () = link.closed() => {
            // The peer may be gone or stuck; then it has to find out by itself.
            let _ = tokio::time::timeout(CLOSE_WITHIN, poll_fn(|cx| connection.yamux.poll_close(cx))).await;
        }
    }
}

fn is_violation(error: &ConnectionError) -> bool {
    match error {
        ConnectionError::Decode(error) => !matches!(error, FrameDecodeError::Io(_)),
        ConnectionError::InvalidWindowUpdate => true,
        _ => false,
    }
}

fn lost(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the connection broke off; the peer's process or machine ended".to_owned()
        }
        io::ErrorKind::TimedOut => "the peer's machine no longer answers".to_owned(),
        _ => tls_reason::describe_io(error),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const PING: [u8; 12] = [0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9];

    fn data(body: &[u8]) -> Vec<u8> {
        let mut frame = vec![0, 0, 0, 0, 0, 0, 0, 1];
        frame.extend((body.len() as u32).to_be_bytes());
        frame.extend(body);
        frame
    }

    #[tokio::test]
    async fn a_ping_waits_for_the_next_frame_of_another_kind_and_whatever_else_is_sent_goes_at_once() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let inner = BufWriter::with_capacity(WRITE_BUFFER, ours);
        let mut io = Together { inner, flushes: Arc::default(), frames: Frames::default() };
        let mut came = vec![0; 1 << 16];
        for body in [&b""[..], b"x", &[2; 300]] {
            io.write_all(&PING).await.unwrap();
            io.flush().await.unwrap();
            let nothing = futures::FutureExt::now_or_never(theirs.read(&mut came));
            assert!(nothing.is_none(), "{nothing:?}");
            // In pieces that are no frames.
            for piece in data(body).chunks(5) {
                io.write_all(piece).await.unwrap();
            }
            io.write_all(&PING).await.unwrap();
            io.flush().await.unwrap();
            let read = theirs.read(&mut came).await.unwrap();
            assert_eq!(came[..read], [&PING[..], &data(body), &PING].concat());
        }
    }
}
