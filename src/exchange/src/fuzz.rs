//! What reads bytes from outside, for coverage-guided tests (`tests/fuzz`). Each function takes any bytes and panics if the crate does
//! what it must not.

use bytes::{BufMut as _, BytesMut};
use ringrift_blob::ChunkSet;

use crate::wire::{Frame, MAX_CHUNK, MAX_CONTROL, Next, decode, encode, encode_data_header};

/// A stream of frames, as another node sends them. The bytes of chunks are left out, as the reader takes them past the decoder.
pub fn frames(bytes: &[u8]) {
    let mut buffer = BytesMut::from(bytes);
    loop {
        let held = buffer.clone();
        match decode(&mut buffer) {
            Err(_) => return,
            Ok(None) => {
                assert_eq!(buffer, held, "nothing is taken before a frame is whole");
                assert!(buffer.len() < 4 + MAX_CONTROL, "no frame is so long that the reader must hold more");
                return;
            }
            Ok(Some(next)) => {
                let mut again = BytesMut::new();
                match &next {
                    Next::Frame(frame) => encode(frame, &mut again),
                    Next::Data { which, length } => {
                        assert!((1..=MAX_CHUNK).contains(length));
                        encode_data_header(*which, *length, &mut again);
                    }
                }
                assert_eq!(again, held[..held.len() - buffer.len()], "it is written as it was read");
                if let Next::Frame(Frame::Has { count, bits, .. }) = &next
                    && let Ok(set) = ChunkSet::from_bytes(*count, bits)
                {
                    assert_eq!(set.to_bytes(), *bits);
                    assert_eq!(set.iter().count() + set.iter_missing().count(), *count as usize);
                }
            }
        }
    }
}

/// The same in two halves: what a frame is does not depend on how the stream is cut.
pub fn halves(bytes: &[u8]) {
    let Some((at, stream)) = bytes.split_first() else { return };
    let (first, second) = stream.split_at(usize::from(*at).min(stream.len()));
    let read = |pieces: &[&[u8]]| {
        let (mut buffer, mut came) = (BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.put_slice(piece);
            loop {
                match decode(&mut buffer) {
                    Ok(Some(next)) => came.push(next),
                    Ok(None) => break,
                    Err(error) => return (came, Some(error)),
                }
            }
        }
        (came, None)
    };
    assert_eq!(read(&[first, second]), read(&[stream]));
}

#[cfg(test)]
#[path = "../../../tests/fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use ringrift_blob::Digest;

    use super::*;
    use crate::wire::{ChunkId, Farewell};

    fn stream() -> Vec<u8> {
        let sha256 = Digest::of(b"a model");
        let which = ChunkId { sha256, chunk: 2 };
        let mut bytes = BytesMut::new();
        let frames = [
            Frame::Hello { node: "gpu-1".parse().expect("a node id"), instance: 7 },
            Frame::Has { sha256, count: 11, bits: vec![0b1010_0101, 0b101] },
            Frame::Have { sha256, chunks: vec![1, 3] },
            Frame::Request(which),
            Frame::Refused { which, busy: true },
            Frame::Cancel(which),
            Frame::Forget(sha256),
            Frame::KeepAlive,
            Frame::Bye(Farewell::Idle),
        ];
        for frame in &frames {
            encode(frame, &mut bytes);
        }
        encode_data_header(which, 4096, &mut bytes);
        bytes.to_vec()
    }

    #[test]
    fn no_frames_of_the_corpus_upset_the_reader() {
        let stream = stream();
        corpus::replay("exchange_frames", frames, &[("all", stream.clone()), ("hello", stream[..19].to_vec())]);
        let halved = |at: u8| [&[at], &stream[..]].concat();
        corpus::replay("exchange_halves", halves, &[("early", halved(3)), ("late", halved(140))]);
    }
}
