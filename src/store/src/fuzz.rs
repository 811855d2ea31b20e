//! What reads bytes from outside, for coverage-guided tests (`tests/fuzz`). Each function takes any bytes and panics if the crate does
//! what it must not.

use std::{fs::File, io::Write as _};

use ringrift_blob::{Blob, Digest};
use ringrift_state::{decode, encode};
use rustix::fs::MemfdFlags;

use crate::{index::Index, journal, zip};

/// A model's archive.
pub fn archive(bytes: &[u8]) {
    // A file in memory: what is checked is read from one.
    let file = rustix::fs::memfd_create("archive", MemfdFlags::CLOEXEC).expect("memory is there");
    let mut file = File::from(file);
    file.write_all(bytes).expect("memory is there");
    let report = zip::check(&file, bytes.len() as u64).expect("nothing outside of the file is read");
    if let Ok(report) = report {
        assert_eq!(report.size, bytes.len() as u64);
        assert!(report.compressed <= report.size, "members do not overlap");
        // An entry of the directory has 46 bytes at least, and what it names 30.
        assert!(report.entries * 76 <= report.size);
    }
}

/// What is left of a fetch: a journal of the chunks that were written, behind their number (u32, big-endian).
pub fn resumed(bytes: &[u8]) {
    let Some((count, claimed)) = bytes.split_first_chunk::<4>() else { return };
    let count = u32::from_be_bytes(*count) % (1 << 16);
    let sha256 = Digest::of(b"a model");
    let claims = journal::claims(&sha256, count, claimed);
    assert_eq!(claims.len(), count);
    assert!(claims.count() as usize <= claimed.len() / 8);
    let again: Vec<u8> = claims.iter().flat_map(|chunk| journal::record(&sha256, chunk)).collect();
    assert_eq!(journal::claims(&sha256, count, &again), claims);
}

/// What the store remembers of names, and of a blob that is being fetched.
pub fn index(bytes: &[u8]) {
    if let Ok(blob) = decode::<Blob>(bytes)
        && blob.check().is_ok()
    {
        let whole: u64 = (0..blob.count()).map(|chunk| blob.range(chunk)).map(|range| range.end - range.start).sum();
        assert_eq!(whole, blob.size);
        assert_eq!(decode::<Blob>(&encode(&blob).expect("what was decoded can be encoded")).ok(), Some(blob));
    }
    let Ok(mut index) = decode::<Index>(bytes) else { return };
    let once = encode(&index).expect("what was decoded can be encoded");
    let again: Index = decode(&once).expect("what was encoded can be decoded");
    assert_eq!(encode(&again).expect("it was encoded before"), once);
    let names: Vec<_> = index.names.keys().chain(index.gone.keys()).cloned().collect();
    for name in names {
        let _ = index.named(&name, Digest::of(b"another"));
        index.forget(&name, 9, 10);
    }
}

#[cfg(test)]
#[path = "../../../tests/fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zip::tests::model;

    #[test]
    fn no_archive_of_the_corpus_upsets_the_store() {
        corpus::replay("store_archive", archive, &[("narrow", model(false)), ("wide", model(true))]);
    }

    #[test]
    fn no_journal_of_the_corpus_upsets_the_store() {
        let sha256 = Digest::of(b"a model");
        let records = [0, 3, 8, 99].map(|chunk| journal::record(&sha256, chunk)).concat();
        let of = |count: u32, records: &[u8]| [&count.to_be_bytes()[..], records].concat();
        let seeds = [("whole", of(9, &records)), ("torn", of(100, &records[..29])), ("none", of(7, &[]))];
        corpus::replay("store_resumed", resumed, &seeds);
    }

    #[test]
    fn no_index_of_the_corpus_upsets_the_store() {
        let part = Digest::of(b"part");
        let chunks = [part, part, part].into_iter().collect();
        let blob = Blob { sha256: Digest::of(b"whole"), size: 9000, chunk_size: 4096, chunks };
        let mut index_of = Index::default();
        for (name, generation) in [("a.pth", 3), ("b.pth", 4)] {
            index_of.named(&name.parse().unwrap(), part).generation = generation;
        }
        index_of.forget(&"a.pth".parse().unwrap(), 5, 1_700_000_000_000);
        corpus::replay(
            "store_index",
            index,
            &[("blob", encode(&blob).unwrap()), ("index", encode(&index_of).unwrap())],
        );
    }
}
