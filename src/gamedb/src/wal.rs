//! The write-ahead log of a database that nobody has open. SQLite reads it up to the first frame that is not as it was written, and
//! says nothing of what comes after: <https://www.sqlite.org/fileformat2.html#walformat>.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// What is in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Frames {
    /// Frames that SQLite reads.
    pub(crate) read: u64,
    /// Frames with committed transactions after one that is damaged: SQLite does not read them.
    pub(crate) cut_off: u64,
}

/// Reads a log; one that is missing or has no header has no frames.
pub(crate) fn frames(path: &Path) -> io::Result<Frames> {
    let mut log = match File::open(path) {
        Ok(file) => BufReader::with_capacity(1 << 18, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Frames::default()),
        Err(error) => return Err(error),
    };
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(Frames::default());
    }
    let magic = word(&header, 0);
    let page = word(&header, 8) as usize;
    if magic & !1 != 0x377f_0682 || !page.is_power_of_two() || !(512..=65_536).contains(&page) {
        return Ok(Frames::default());
    }
    let big_endian = magic & 1 == 1;
    let salt = &header[16..24];
    let mut before = (word(&header, 24), word(&header, 28));
    let mut frames = Frames::default();
    let mut broken = checksum((0, 0), &header[..24], big_endian) != before;
    let mut since_commit = 0;
    let mut frame = vec![0; FRAME_HEADER + page];
    // A frame of another salt is left over from before the log was begun anew.
    while fill(&mut log, &mut frame)? && frame[8..16] == *salt {
        let stored = (word(&frame, 16), word(&frame, 20));
        let sums = checksum(checksum(before, &frame[..8], big_endian), &frame[FRAME_HEADER..], big_endian);
        let intact = sums == stored;
        let commits = word(&frame, 4) != 0;
        match (broken, intact) {
            (false, true) => frames.read += 1,
            (true, true) if commits => {
                frames.cut_off += since_commit + 1;
                since_commit = 0;
            }
            (true, true) => since_commit += 1,
            (_, false) => {
                broken = true;
                since_commit = 0;
            }
        }
        before = stored;
    }
    Ok(frames)
}

fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

fn checksum((mut a, mut b): (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    for pair in bytes.as_chunks::<8>().0 {
        let word = |at: usize| if big_endian { word(pair, at) } else { word(pair, at).swap_bytes() };
        a = a.wrapping_add(word(0)).wrapping_add(b);
        b = b.wrapping_add(word(4)).wrapping_add(a);
    }
    (a, b)
}
