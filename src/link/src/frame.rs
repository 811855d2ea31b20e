use std::{io, time::Duration};

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::Protocol;

/// Memory is taken in steps of this size as bytes arrive: a length that a peer only claims costs nothing.
const STEP: usize = 64 << 10;

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("a frame of {bytes} bytes was announced, the limit is {limit}")]
    TooLarge { bytes: u64, limit: u64 },
    #[error("{0}")]
    Malformed(String),
}

/// Reads a frame: its length (32 bits, big endian), which is judged before any memory is taken, and its bytes.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin), limit: usize) -> Result<Bytes, FrameError> {
    let length = stream.read_u32().await? as usize;
    if length > limit {
        return Err(FrameError::TooLarge { bytes: length as u64, limit: limit as u64 });
    }
    let mut body = BytesMut::with_capacity(length.min(STEP));
    while body.len() < length {
        let missing = length - body.len();
        body.reserve(missing.min(STEP));
        if stream.read_buf(&mut (&mut body).limit(missing)).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
    Ok(body.freeze())
}

/// Appends a frame to a buffer.
pub(crate) fn put(buffer: &mut BytesMut, body: &[u8]) {
    buffer.reserve(4 + body.len());
    buffer.put_u32(u32::try_from(body.len()).expect("bodies are held below max_frame"));
    buffer.put_slice(body);
}

/// Writes one frame.
pub(crate) async fn write(stream: &mut (impl AsyncWrite + Unpin), body: &[u8]) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    put(&mut buffer, body);
    stream.write_all(&buffer).await?;
    stream.flush().await
}

/// The first bytes of a stream: what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// One request frame follows; one [`Answer`] comes back within `deadline`.
    Call { protocol: Protocol, deadline: Duration },
    /// The rest belongs to the protocol.
    Stream { protocol: Protocol },
    /// Pings and the orderly end of the link; one per link, opened by the node that dialled.
    Control,
    /// A frame with a node id follows; after [`Answer::Done`] the stream leads to that node.
    RelayTo,
    /// A frame with a node id follows; after [`Answer::Done`] that node's handshake comes.
    RelayFrom,
}

impl Opening {
    /// Length on the wire, in bytes.
    pub(crate) const LEN: usize = 6;

    pub(crate) fn encode(self) -> [u8; Self::LEN] {
        let (kind, protocol, deadline) = match self {
            Self::Call { protocol, deadline } => (1, protocol as u8, deadline),
            Self::Stream { protocol } => (2, protocol as u8, Duration::ZERO),
            Self::Control => (3, 0, Duration::ZERO),
            Self::RelayTo => (4, 0, Duration::ZERO),
            Self::RelayFrom => (5, 0, Duration::ZERO),
        };
        let [a, b, c, d] = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX).to_be_bytes();
        [kind, protocol, a, b, c, d]
    }

    pub(crate) fn decode([kind, protocol, a, b, c, d]: [u8; Self::LEN]) -> Result<Self, FrameError> {
        let known = || {
            Protocol::from_wire(protocol).ok_or_else(|| FrameError::Malformed(format!("unknown protocol {protocol}")))
        };
        match kind {
            1 => {
                let deadline = Duration::from_millis(u32::from_be_bytes([a, b, c, d]).into());
                Ok(Self::Call { protocol: known()?, deadline })
            }
            2 => Ok(Self::Stream { protocol: known()? }),
            3 => Ok(Self::Control),
            4 => Ok(Self::RelayTo),
            5 => Ok(Self::RelayFrom),
            other => Err(FrameError::Malformed(format!("a stream of unknown kind {other}"))),
        }
    }
}

/// What comes back for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The handler's bytes.
    Done(Bytes),
    /// The handler's refusal, in words.
    Failed(String),
    /// The handler's answer was larger than the caller takes.
    TooLarge(u64),
    /// The caller's deadline passed first.
    Late,
}

impl Answer {
    /// Status byte and frame.
    pub(crate) fn encode(&self) -> BytesMut {
        let mut buffer = BytesMut::new();
        let number;
        let (status, body): (u8, &[u8]) = match self {
            Self::Done(body) => (0, body),
            Self::Failed(text) => (1, text.as_bytes()),
            Self::TooLarge(bytes) => {
                number = bytes.to_be_bytes();
                (2, &number)
            }
            Self::Late => (3, &[]),
        };
        buffer.reserve(5 + body.len());
        buffer.put_u8(status);
        put(&mut buffer, body);
        buffer
    }

    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin), limit: usize) -> Result<Self, FrameError> {
        let status = stream.read_u8().await?;
        let body = read(stream, limit).await?;
        match status {
            0 => Ok(Self::Done(body)),
            1 => Ok(Self::Failed(String::from_utf8_lossy(&body).into_owned())),
            2 => {
                let number = <[u8; 8]>::try_from(body.as_ref())
                    .map_err(|_| FrameError::Malformed("a size that is no number".to_owned()))?;
                Ok(Self::TooLarge(u64::from_be_bytes(number)))
            }
            3 => Ok(Self::Late),
            other => Err(FrameError::Malformed(format!("an answer of unknown kind {other}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn a_frame_above_the_limit_is_refused_by_its_length_alone() {
        let announced = 1_u32 << 30;
        // The bytes themselves never come; only the length is there to be judged.
        let error = block_on(read(&mut announced.to_be_bytes().as_slice(), 8 << 20)).unwrap_err();
        assert!(matches!(error, FrameError::TooLarge { bytes, .. } if bytes == u64::from(announced)));
    }

    proptest! {
        #[test]
        fn a_frame_comes_back_as_it_went(length in 0..200_000_usize, byte in any::<u8>()) {
            let body = vec![byte; length];
            let mut buffer = BytesMut::new();
            put(&mut buffer, &body);
            buffer.put_u8(7);
            let mut rest = &buffer[..];
            let found = block_on(read(&mut rest, body.len())).unwrap();
            prop_assert_eq!(&found[..], &body[..]);
            prop_assert_eq!(rest, &[7]);
        }

        #[test]
        fn no_bytes_upset_the_readers(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = block_on(read(&mut bytes.as_slice(), 1 << 20));
            let _ = block_on(Answer::read(&mut bytes.as_slice(), 1 << 20));
        }

        #[test]
        fn an_opening_is_what_it_was_or_an_error(bytes in any::<[u8; Opening::LEN]>()) {
            if let Ok(opening) = Opening::decode(bytes) {
                prop_assert_eq!(Opening::decode(opening.encode()).unwrap(), opening);
            }
        }

        #[test]
        fn an_answer_comes_back_as_it_went(which in 0..4, size in any::<u64>(), text in ".{0,40}") {
            let answer = match which {
                0 => Answer::Done(Bytes::from(text.into_bytes())),
                1 => Answer::Failed(text),
                2 => Answer::TooLarge(size),
                _ => Answer::Late,
            };
            prop_assert_eq!(block_on(Answer::read(&mut &answer.encode()[..], 1 << 20)).unwrap(), answer);
        }
    }
}
