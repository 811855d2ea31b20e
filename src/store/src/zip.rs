//! Is a `.pth` whole? It is a zip archive of stored members; its directory stands at the end, so that a file that was cut, or whose
//! beginning is missing, shows without reading all of it. Layout: PKWARE's APPNOTE.TXT 6.3, sections 4.3.7, 4.3.12 to 4.3.16.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use crate::{StoreError, error::Result, hash};

const LOCAL: [u8; 4] = *b"PK\x03\x04";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const END64: [u8; 4] = *b"PK\x06\x06";
const LOCATOR64: [u8; 4] = *b"PK\x06\x07";
const END_LEN: u64 = 22;
const LOCATOR64_LEN: u64 = 20;
const END64_LEN: u64 = 56;
/// The end record may be followed by a comment of so many bytes.
const MAX_COMMENT: u64 = 65_535;
/// The largest directory read: a model has hundreds of members, not hundreds of thousands.
const MAX_DIRECTORY: u64 = 64 << 20;

/// What a zip archive has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZipReport {
    /// Bytes of the file.
    pub size: u64,
    /// Members.
    pub entries: u64,
    /// Bytes of all members as they lie in the file.
    pub compressed: u64,
    /// Bytes of all members when unpacked.
    pub uncompressed: u64,
    /// Its digest.
    pub sha256: ringrift_blob::Digest,
}

/// Why a file is not a whole zip archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZipDamage {
    /// It begins with something else.
    #[error("it does not begin with PK\\x03\\x04: it is no .pth, or its beginning is lost")]
    NoBeginning,
    /// There is no end record.
    #[error("its end record is missing: it was cut off")]
    NoEnd,
    /// A figure leads outside.
    #[error("{what} leads outside of the file: it was cut off, or bytes of it are lost")]
    OutOfBounds {
        /// Which figure.
        what: String,
    },
    /// Figures contradict each other.
    #[error("{what}: it was overwritten, or is two files mixed")]
    Contradiction {
        /// Which figures.
        what: String,
    },
    /// More than a model has.
    #[error("its directory has {0} bytes: no model has that")]
    TooLarge(u64),
}

/// Checks that a file is a whole zip archive, and hashes it. Changes nothing.
///
/// # Errors
///
/// If the file cannot be read.
pub fn validate(path: &Path) -> Result<Result<ZipReport, ZipDamage>> {
    let io = |error| StoreError::io("read", path)(error);
    let file = File::open(path).map_err(io)?;
    let meta = file.metadata().map_err(io)?;
    if !meta.is_file() {
        return Err(StoreError::NotAFile(path.to_owned()));
    }
    let mut report = match check(&file, meta.len()).map_err(io)? {
        Ok(report) => report,
        Err(damage) => return Ok(Err(damage)),
    };
    report.sha256 = hash::digest(&file, meta.len()).map_err(io)?;
    Ok(Ok(report))
}

pub(crate) fn check(file: &File, size: u64) -> io::Result<Result<ZipReport, ZipDamage>> {
    let mut first = [0; 4];
    if size < END_LEN || file.read_exact_at(&mut first, 0).is_err() || first != LOCAL {
        return Ok(Err(ZipDamage::NoBeginning));
    }
    let tail_len = size.min(END_LEN + MAX_COMMENT + LOCATOR64_LEN);
    let mut tail = vec![0; tail_len as usize];
    file.read_exact_at(&mut tail, size - tail_len)?;
    let Some(end_at) = find_end(&tail) else { return Ok(Err(ZipDamage::NoEnd)) };
    let end_offset = size - tail_len + end_at as u64;
    let directory = match directory(file, &tail, end_at, end_offset)? {
        Ok(directory) => directory,
        Err(damage) => return Ok(Err(damage)),
    };
    if directory.len > MAX_DIRECTORY {
        return Ok(Err(ZipDamage::TooLarge(directory.len)));
    }
    let mut bytes = vec![0; directory.len as usize];
    file.read_exact_at(&mut bytes, directory.start)?;
    walk(file, size, &directory, &bytes)
}

/// The last end record whose comment reaches exactly to the end of the file.
fn find_end(tail: &[u8]) -> Option<usize> {
    (0..=tail.len().checked_sub(END_LEN as usize)?).rev().find(|at| {
        tail[*at..].starts_with(&END) && at + END_LEN as usize + usize::from(u16_at(tail, at + 20)) == tail.len()
    })
}

struct Directory {
    start: u64,
    len: u64,
    entries: u64,
}

fn directory(file: &File, tail: &[u8], at: usize, offset: u64) -> io::Result<Result<Directory, ZipDamage>> {
    let (disk, start_disk) = (u16_at(tail, at + 4), u16_at(tail, at + 6));
    let (here, all) = (u64::from(u16_at(tail, at + 8)), u64::from(u16_at(tail, at + 10)));
    let (mut len, mut start) = (u64::from(u32_at(tail, at + 12)), u64::from(u32_at(tail, at + 16)));
    let (mut entries, mut before) = (all, offset);
    let large = all == 0xffff || len == 0xffff_ffff || start == 0xffff_ffff;
    // PyTorch writes the 64-bit record always, and the small figures when they fit.
    let locator = at.checked_sub(LOCATOR64_LEN as usize).filter(|at| tail[*at..].starts_with(&LOCATOR64));
    match locator {
        Some(locator) => {
            let end64 = u64_at(tail, locator + 8);
            let mut record = [0; END64_LEN as usize];
            let inside = end64.checked_add(END64_LEN).is_some_and(|end| end <= offset - LOCATOR64_LEN);
            if !inside {
                return Ok(Err(ZipDamage::OutOfBounds { what: "the 64-bit end record".into() }));
            }
            file.read_exact_at(&mut record, end64)?;
            if !record.starts_with(&END64) {
                return Ok(Err(ZipDamage::Contradiction {
                    what: "there is no 64-bit end record where it should be".into(),
                }));
            }
            entries = u64_at(&record, 32);
            len = u64_at(&record, 40);
            start = u64_at(&record, 48);
            before = end64;
            if !large
                && (entries, len, start) != (all, u64::from(u32_at(tail, at + 12)), u64::from(u32_at(tail, at + 16)))
            {
                return Ok(Err(ZipDamage::Contradiction { what: "its two end records differ".into() }));
            }
        }
        None if large => return Ok(Err(ZipDamage::Contradiction { what: "its 64-bit end record is missing".into() })),
        None => {}
    }
    if disk != 0 && disk != 0xffff || start_disk != 0 && start_disk != 0xffff || here != all {
        return Ok(Err(ZipDamage::Contradiction { what: "it claims to span several disks".into() }));
    }
    if start.checked_add(len) != Some(before) {
        return Ok(Err(ZipDamage::OutOfBounds { what: format!("its directory ({len} bytes from byte {start})") }));
    }
    Ok(Ok(Directory { start, len, entries }))
}

fn walk(file: &File, size: u64, directory: &Directory, bytes: &[u8]) -> io::Result<Result<ZipReport, ZipDamage>> {
    let zero = ringrift_blob::Digest::from_bytes([0; 32]);
    let mut report = ZipReport { size, entries: 0, compressed: 0, uncompressed: 0, sha256: zero };
    let mut spans = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let Some(member) = Member::read(&bytes[at..]) else {
            let what = format!("directory entry {} is damaged", report.entries);
            return Ok(Err(ZipDamage::Contradiction { what }));
        };
        let mut local = [0; 30];
        let data_end = member.offset.checked_add(30).filter(|end| *end <= directory.start);
        if data_end.is_none() {
            return Ok(Err(ZipDamage::OutOfBounds { what: format!("member {}", member.name) }));
        }
        file.read_exact_at(&mut local, member.offset)?;
        if !local.starts_with(&LOCAL) {
            let what = format!("member {} does not begin where the directory says", member.name);
            return Ok(Err(ZipDamage::Contradiction { what }));
        }
        let head = 30 + u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28));
        let end = member.offset.checked_add(head).and_then(|data| data.checked_add(member.compressed));
        let Some(end) = end.filter(|end| *end <= directory.start) else {
            return Ok(Err(ZipDamage::OutOfBounds { what: format!("member {}", member.name) }));
        };
        if member.stored && member.compressed != member.uncompressed {
            let what = format!("member {} is stored with two sizes", member.name);
            return Ok(Err(ZipDamage::Contradiction { what }));
        }
        spans.push((member.offset, end));
        report.entries += 1;
        report.compressed += member.compressed;
        report.uncompressed = report.uncompressed.saturating_add(member.uncompressed);
        at += member.len;
    }
    if report.entries != directory.entries {
        let what = format!("its directory has {} entries, its end record says {}", report.entries, directory.entries);
        return Ok(Err(ZipDamage::Contradiction { what }));
    }
    spans.sort_unstable();
    if spans.windows(2).any(|pair| pair[0].1 > pair[1].0) {
        return Ok(Err(ZipDamage::Contradiction { what: "its members overlap".into() }));
    }
    Ok(Ok(report))
}

struct Member {
    name: String,
    offset: u64,
    compressed: u64,
    uncompressed: u64,
    stored: bool,
    /// Bytes of its entry in the directory.
    len: usize,
}

impl Member {
    fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < 46 || !bytes.starts_with(&CENTRAL) {
            return None;
        }
        let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(bytes, at)));
        let len = 46 + name + extra + comment;
        let extra = bytes.get(46 + name..46 + name + extra)?;
        bytes.get(..len)?;
        let mut member = Self {
            name: String::from_utf8_lossy(&bytes[46..46 + name.min(200)]).into_owned(),
            offset: u64::from(u32_at(bytes, 42)),
            compressed: u64::from(u32_at(bytes, 20)),
            uncompressed: u64::from(u32_at(bytes, 24)),
            stored: u16_at(bytes, 10) == 0,
            len,
        };
        member.widen(extra)?;
        Some(member)
    }

    /// Takes the 64-bit figures for those that do not fit (section 4.5.3): in this order, each only if its small one says so.
    fn widen(&mut self, mut extra: &[u8]) -> Option<()> {
        let large = |figure: u64| figure == 0xffff_ffff;
        if !(large(self.uncompressed) || large(self.compressed) || large(self.offset)) {
            return Some(());
        }
        while extra.len() >= 4 {
            let len = usize::from(u16_at(extra, 2));
            let mut body = extra.get(4..4 + len)?;
            if u16_at(extra, 0) == 1 {
                for figure in [&mut self.uncompressed, &mut self.compressed, &mut self.offset] {
                    if large(*figure) {
                        let (value, rest) = body.split_first_chunk::<8>()?;
                        *figure = u64::from_le_bytes(*value);
                        body = rest;
                    }
                }
                return Some(());
            }
            extra = &extra[4 + len..];
        }
        None
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
pub(crate) mod tests;
