//! Inputs that are several pieces, each behind its length.

/// The pieces of an input: each is a length (u16, big-endian) and that many bytes, or as many as are left.
pub(crate) fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (piece, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        bytes = rest;
        Some(piece)
    })
}

/// An input of these pieces.
#[cfg(test)]
pub(crate) fn joined(pieces: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let length = |piece: &[u8]| u16::try_from(piece.len()).expect("a piece of a seed is short").to_be_bytes();
    pieces.into_iter().flat_map(|piece| [&length(&piece)[..], &piece].concat()).collect()
}
