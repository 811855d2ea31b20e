use std::{future::poll_fn, io, task::Poll, time::Duration};

use tokio::{
    io::BufWriter,
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
pub(crate) type Connection = yamux::Connection<Compat<BufWriter<TlsStream<Wire>>>>;

pub(crate) fn connection(io: TlsStream<Wire>, direction: Direction) -> Connection {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(MAX_STREAMS);
    config.set_max_connection_receive_window(Some(MAX_STREAMS * yamux::DEFAULT_CREDIT as usize + EXTRA_WINDOW));
    let mode = match direction {
        Direction::Outbound => yamux::Mode::Client,
        Direction::Inbound => yamux::Mode::Server,
    };
    yamux::Connection::new(BufWriter::with_capacity(WRITE_BUFFER, io).compat(), config, mode)
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
            match connection.poll_new_outbound(cx) {
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
            let _ = tokio::time::timeout(CLOSE_WITHIN, poll_fn(|cx| connection.poll_close(cx))).await;
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
