//! A database whose first 100 bytes are damaged: SQLite calls it no database, though all that follows is there.
//! <https://www.sqlite.org/fileformat2.html#the_database_header>

use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path};

use crate::side::Side;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const LENGTH: usize = 100;

/// Sizes of pages, the usual one first.
const PAGE_SIZES: [u32; 8] = [4096, 1024, 8192, 16_384, 32_768, 65_536, 2048, 512];

/// Writes a new header in front of what is there, for each size that pages can have, until `reads` says that the tables can be listed.
/// Whether one was found; if not, the file is as it was.
pub(super) fn mend(copy: &Path, mut reads: impl FnMut() -> bool) -> io::Result<bool> {
    let file = File::options().read(true).write(true).open(copy)?;
    let size = file.metadata()?.len();
    let mut old = [0; LENGTH + 8];
    if size < 512 || file.read_exact_at(&mut old, 0).is_err() {
        return Ok(false);
    }
    // The list of tables begins on page 1, behind the header: without it nothing is gained.
    if !matches!(old[LENGTH], 0x05 | 0x0d) {
        return Ok(false);
    }
    let logged = Side::of(copy)?.wal_bytes > 0;
    for page in PAGE_SIZES.into_iter().filter(|page| u64::from(*page) <= size) {
        file.write_all_at(&header(page, size, logged), 0)?;
        if reads() {
            return Ok(true);
        }
    }
    file.write_all_at(&old[..LENGTH], 0)?;
    Ok(false)
}

/// The header of a database without free pages, in UTF-8.
fn header(page: u32, size: u64, logged: bool) -> [u8; LENGTH] {
    let mut header = [0; LENGTH];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, MAGIC);
    // 65536 does not fit, and is written as 1.
    put(16, &u16::try_from(page).unwrap_or(1).to_be_bytes());
    put(18, if logged { &[2, 2] } else { &[1, 1] });
    put(21, &[64, 32, 32]);
    let pages = u32::try_from(size / u64::from(page)).unwrap_or(u32::MAX);
    for (at, word) in [(24, 1), (28, pages), (40, 1), (44, 4), (56, 1), (92, 1), (96, 3_045_000)] {
        put(at, &word.to_be_bytes());
    }
    header
}
