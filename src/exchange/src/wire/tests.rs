use proptest::prelude::*;

use super::*;

fn digests() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

fn ids() -> impl Strategy<Value = ChunkId> {
    (digests(), any::<u32>()).prop_map(|(sha256, chunk)| ChunkId { sha256, chunk })
}

fn frames() -> impl Strategy<Value = Frame> {
    let has = (digests(), 1..5000u32, any::<u8>()).prop_map(|(sha256, count, bits)| Frame::Has {
        sha256,
        count,
        bits: vec![bits; (count as usize).div_ceil(8)],
    });
    prop_oneof![
        ("[a-z0-9]{1,63}", any::<u64>())
            .prop_map(|(name, instance)| Frame::Hello { node: name.parse().unwrap(), instance }),
        has,
        (digests(), prop::collection::vec(any::<u32>(), 1..=MAX_NEWS))
            .prop_map(|(sha256, chunks)| Frame::Have { sha256, chunks }),
        ids().prop_map(Frame::Request),
        (ids(), any::<bool>()).prop_map(|(which, busy)| Frame::Refused { which, busy }),
        ids().prop_map(Frame::Cancel),
        digests().prop_map(Frame::Forget),
        Just(Frame::KeepAlive),
        prop::sample::select(Farewell::ALL.to_vec()).prop_map(Frame::Bye),
    ]
}

fn encoded(frame: &Frame) -> BytesMut {
    let mut buffer = BytesMut::new();
    encode(frame, &mut buffer);
    buffer
}

proptest! {
    #[test]
    fn frames_come_back_however_the_stream_is_cut(sent in prop::collection::vec(frames(), 1..8), step in 1..4000usize) {
        let mut stream = BytesMut::new();
        for frame in &sent {
            encode(frame, &mut stream);
        }
        let (mut buffer, mut came) = (BytesMut::new(), Vec::new());
        for piece in stream.chunks(step) {
            buffer.extend_from_slice(piece);
            while let Some(next) = decode(&mut buffer).unwrap() {
                came.push(next);
            }
        }
        prop_assert!(buffer.is_empty());
        prop_assert_eq!(came, sent.into_iter().map(Next::Frame).collect::<Vec<_>>());
    }

    #[test]
    fn no_input_panics_or_asks_for_more_than_the_bound(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut buffer = BytesMut::from(&bytes[..]);
        loop {
            let before = buffer.len();
            match decode(&mut buffer) {
                Ok(Some(_)) => prop_assert!(buffer.len() < before, "a frame has bytes"),
                Ok(None) => {
                    prop_assert_eq!(buffer.len(), before);
                    // Whatever it waits for comes within the bound.
                    buffer.resize(LENGTH + MAX_CONTROL, 0);
                    prop_assert!(!matches!(decode(&mut buffer), Ok(None)));
                    break;
                }
                Err(_) => break,
            }
        }
    }

    #[test]
    fn a_frame_with_a_changed_byte_is_a_frame_or_an_error(frame in frames(), at: prop::sample::Index, flip in 1..=255u8) {
        let mut bytes = encoded(&frame);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(Some(Next::Frame(other))) = decode(&mut bytes) {
            prop_assert_ne!(other, frame);
        }
    }

    #[test]
    fn a_chunk_is_told_before_its_bytes_come(which in ids(), length in 1..=MAX_CHUNK) {
        let mut buffer = BytesMut::new();
        encode_data_header(which, length, &mut buffer);
        prop_assert_eq!(buffer.len(), DATA_HEADER);
        let all = buffer.clone();
        for cut in 0..DATA_HEADER {
            prop_assert_eq!(decode(&mut BytesMut::from(&all[..cut])), Ok(None));
        }
        prop_assert_eq!(decode(&mut buffer), Ok(Some(Next::Data { which, length })));
        prop_assert!(buffer.is_empty());
    }
}

#[test]
fn what_no_frame_is_refused_by_its_first_bytes() {
    let has = |count: u32, bytes: usize| {
        let mut buffer = BytesMut::new();
        buffer.put_u32((1 + WHICH + bytes) as u32);
        put_which(&mut buffer, 2, ChunkId { sha256: Digest::of(b""), chunk: count });
        buffer.put_bytes(0, bytes);
        buffer
    };
    let raw = |bytes: &[u8]| BytesMut::from(bytes);
    for (mut bytes, why) in [
        (raw(&[0, 0, 0, 0, 9]), "kind 9 with 0 bytes"),
        (raw(&[0, 0, 0, 1, 0]), "kind 0"),
        (raw(&[0, 0, 0, 1, 11]), "kind 11"),
        (raw(&[255, 255, 255, 255, 2]), "kind 2 with 4294967295 bytes"),
        (raw(&[255, 255, 255, 255, 5]), "kind 5 with 4294967295 bytes"),
        (raw(&[1, 0, 0, 38, 5]), "kind 5 with 16777254 bytes"),
        (raw(&[0, 0, 0, 37, 5]), "kind 5 with 37 bytes"),
        (raw(&[0, 0, 0, 2, 10, 9]), "farewell"),
        (raw(&[0, 0, 0, 11, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, b'a']), "version 2"),
        (raw(&[0, 0, 0, 11, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, b'/']), "node id"),
        (has(0, 1), "bitmap"),
        (has(9, 1), "bitmap"),
        (has(u32::MAX, 1), "bitmap"),
        (has(8, 2), "bitmap"),
    ] {
        let error = decode(&mut bytes).unwrap_err().to_string();
        assert!(error.contains(why), "{error} instead of {why}");
    }
}
