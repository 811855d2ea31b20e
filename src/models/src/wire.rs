//! The connection: where bytes of a mapped file leave without being touched.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    os::fd::AsFd,
    pin::Pin,
    task::{Context, Poll, ready},
};

use ringrift_store::mapping;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

use crate::{admission::Admitted, pace::Pace};

/// Slices that one system call takes at most; the rest comes with the next.
const MAX_SLICES: usize = 16;
/// Bytes not yet sent above which a socket of the swarm takes no more. 16 KiB measured the same and wakes the writer more often.
const UNSENT: u32 = 64 << 10;

/// A TCP connection that knows slices of the store's mappings when it is given some, and has the kernel move those bytes by itself.
/// All other bytes go as usual.
#[derive(Debug)]
pub struct Wire {
    socket: TcpStream,
    /// None: whoever writes has a rule of its own for peers that do not read.
    pace: Option<Pace>,
    /// Counted among the server's connections as long as it lives.
    _admitted: Option<Admitted>,
}

impl Wire {
    /// A connection that this node opened.
    pub fn new(socket: TcpStream) -> Self {
        Self { socket, pace: None, _admitted: None }
    }

    /// A connection that the server accepted.
    pub(crate) fn accepted(socket: TcpStream, pace: Pace, admitted: Admitted) -> Self {
        Self { socket, pace: Some(pace), _admitted: Some(admitted) }
    }

    /// Leaves it to others to judge whether the peer reads fast enough.
    pub(crate) fn without_pace(mut self) -> Self {
        self.pace = None;
        self
    }

    /// Keeps the socket from taking far more than it can send now. A chunk that lies in the socket counts as sent, and its place is
    /// given to the next one: over a slow line all ten neighbours' chunks crawl side by side then, and news wait behind them.
    ///
    /// # Errors
    ///
    /// If the kernel has no such option.
    pub(crate) fn hold_little(&self) -> io::Result<()> {
        socket2::SockRef::from(&self.socket).set_tcp_notsent_lowat(UNSENT)
    }

    /// The address of the other end.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            let ready = self.socket.poll_write_ready(cx)?;
            if ready.is_pending() {
                return match &mut self.pace {
                    Some(pace) => pace.poll_stuck(cx, &self.socket).map(Err),
                    None => Poll::Pending,
                };
            }
            match self.socket.try_io(Interest::WRITABLE, || send(&self.socket, slices)) {
                Ok(sent) => {
                    if let Some(pace) = &mut self.pace {
                        pace.moved(sent);
                    }
                    return Poll::Ready(Ok(sent));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) {
                        // The file changed while it was sent: what still lies in the socket may be wrong. A reset drops it.
                        let _ = rustix::net::sockopt::set_socket_linger(&self.socket, Some(std::time::Duration::ZERO));
                    }
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

/// Sends what the first slices hold: bytes of one mapping, or the bytes in memory before the next mapping.
fn send(socket: &TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let mut plain: [IoSlice<'_>; MAX_SLICES] = [IoSlice::new(&[]); MAX_SLICES];
    let mut count = 0;
    let mut flags = SendFlags::NOSIGNAL;
    for slice in slices.iter().filter(|slice| !slice.is_empty()) {
        // The address and the length alone: the slice's bytes are not looked at.
        match mapping::locate(slice.as_ptr(), slice.len()) {
            Some((mapping, offset)) if count == 0 => return mapping.send(socket.as_fd(), offset, slice.len()),
            Some(_) => {
                // A head and the first bytes of its file share a segment.
                flags |= SendFlags::MORE;
                break;
            }
            None if count == MAX_SLICES => break,
            None => {
                plain[count] = *slice;
                count += 1;
            }
        }
    }
    if count == 0 {
        return Ok(0);
    }
    Ok(sendmsg(socket, &plain[..count], &mut SendAncillaryBuffer::default(), flags)?)
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket keeps nothing back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }
}
