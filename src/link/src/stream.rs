use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::io::{AsyncRead as _, AsyncWrite as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::link::Lease;

/// One stream of bytes within a link. Closing the write side (`shutdown`) is seen by the peer as the end of the data;
/// a stream that is dropped before, or whose link ends, is seen as [`io::ErrorKind::ConnectionReset`].
#[derive(Debug)]
pub struct Stream {
    inner: yamux::Stream,
    /// Counts the stream as in use on its link for as long as it lives.
    lease: Lease,
    write_closed: bool,
}

impl Stream {
    pub(crate) fn new(inner: yamux::Stream, lease: Lease) -> Self {
        Self { inner, lease, write_closed: false }
    }

    /// No longer counts the stream as in use.
    pub(crate) fn uncount(&mut self) {
        self.lease.release();
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let count = ready!(Pin::new(&mut this.inner).poll_read(cx, buf.initialize_unfilled()))?;
        // yamux reports a reset and a lost connection as the end of the data. Only while our own side is open can they
        // be told apart: a peer that is merely done leaves the stream half open.
        if count == 0 && !this.write_closed && this.inner.is_closed() {
            let reason = this.lease.close_reason().unwrap_or_else(|| "the peer reset the stream".to_owned());
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, reason)));
        }
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_close(cx))?;
        self.write_closed = true;
        Poll::Ready(Ok(()))
    }
}
