#![allow(unsafe_code)]

use rustix::{
    io::Errno,
    ioctl::{Getter, Opcode, ioctl},
};
use tokio::net::TcpStream;

/// `SIOCOUTQ` (tcp(7)); by its other name, since libc has it under that one.
const OUTQ: Opcode = libc::TIOCOUTQ as Opcode;

/// Bytes that were given to a socket and not acknowledged by the other end.
pub(crate) fn bytes(socket: &TcpStream) -> Result<u64, Errno> {
    // SAFETY: on a TCP socket this operation writes one int and does nothing else.
    let bytes = unsafe { ioctl(socket, Getter::<OUTQ, libc::c_int>::new()) }?;
    Ok(bytes.max(0).cast_unsigned().into())
}
