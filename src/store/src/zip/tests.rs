use std::io::Write;

use proptest::prelude::*;

use super::*;

/// An archive of stored members, as `PyTorch` writes one: with the 64-bit records or without.
fn archive(members: &[(&str, &[u8])], wide: bool) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for (name, data) in members {
        let offset = file.len() as u32;
        let sizes = [0_u32, data.len() as u32, data.len() as u32].map(u32::to_le_bytes).concat();
        let head = [&[0; 10][..], &sizes, &(name.len() as u16).to_le_bytes(), &[0, 0]].concat();
        file.extend([&LOCAL[..], &head, name.as_bytes(), data].concat());
        let tail = [&[0; 2][..], &[0; 8], &offset.to_le_bytes(), name.as_bytes()].concat();
        directory.extend([&CENTRAL[..], &[0; 2], &head, &tail].concat());
    }
    let (start, len, count) = (file.len() as u64, directory.len() as u64, members.len() as u64);
    file.extend(directory);
    if wide {
        let end64 = file.len() as u64;
        file.extend([&END64[..], &44_u64.to_le_bytes(), &[0; 12]].concat());
        file.extend([count, count, len, start].map(u64::to_le_bytes).concat());
        file.extend([&LOCATOR64[..], &[0; 4], &end64.to_le_bytes(), &[1, 0, 0, 0]].concat());
    }
    let count = (count as u16).to_le_bytes();
    let figures = [&count[..], &count, &(len as u32).to_le_bytes(), &(start as u32).to_le_bytes()].concat();
    file.extend([&END[..], &[0; 4], &figures, &[0; 2]].concat());
    file
}

pub(crate) fn model(wide: bool) -> Vec<u8> {
    archive(&[("archive/data.pkl", &[1; 300]), ("archive/data/0", &[2; 5000]), ("archive/version", b"3\n")], wide)
}

fn report(bytes: &[u8]) -> Result<ZipReport, ZipDamage> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    validate(file.path()).unwrap()
}

#[test]
fn a_whole_archive_is_told_apart() {
    for wide in [false, true] {
        let bytes = model(wide);
        let report = report(&bytes).unwrap();
        assert_eq!((report.entries, report.compressed, report.uncompressed), (3, 5302, 5302));
        assert_eq!(report.size, bytes.len() as u64);
        assert_eq!(report.sha256, ringrift_blob::Digest::of(&bytes));
    }
    // A comment after the end record belongs to it.
    let mut commented = model(false);
    let end = commented.len();
    commented[end - 2..].copy_from_slice(&[5, 0]);
    commented.extend(b"hello");
    assert!(report(&commented).is_ok());
}

#[test]
fn no_part_of_an_archive_passes_for_all_of_it() {
    for wide in [false, true] {
        let bytes = model(wide);
        for len in 0..bytes.len() {
            assert!(report(&bytes[..len]).is_err(), "the first {len} bytes");
        }
        for lost in [1, 100, 4096] {
            assert!(report(&bytes[lost..]).is_err(), "without the first {lost} bytes");
            let hole = [&bytes[..500], &bytes[500 + lost..]].concat();
            assert!(report(&hole).is_err(), "without {lost} bytes in the middle");
        }
        assert!(report(&[&bytes[..], b"x"].concat()).is_err(), "with a byte more");
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let bytes = model(true);
    let central = bytes.windows(4).position(|window| window == CENTRAL).unwrap();
    let end = bytes.len() - END_LEN as usize;
    for (at, value, why) in [
        (0, 0, "does not begin with PK"),
        (central, 0, "directory entry 0 is damaged"),
        (central + 10, 8, ""),
        (central + 24, 9, "stored with two sizes"),
        (central + 42, 9, "does not begin where the directory says"),
        (central + 44, 9, "leads outside"),
        (central + 23, 9, "leads outside"),
        (end, 0, "end record is missing"),
        (end + 4, 1, "several disks"),
        (end + 10, 9, "end records differ"),
        (end + 16, 9, "end records differ"),
        (end - 20, 0, "its directory"),
        (end - 12, 1, "64-bit end record"),
        (end - 20 - 56 + 32, 9, "end records differ"),
    ] {
        let mut damaged = bytes.clone();
        damaged[at] = value;
        let found = report(&damaged).map_or_else(|damage| damage.to_string(), |_| String::new());
        assert!(if why.is_empty() { found.is_empty() } else { found.contains(why) }, "byte {at}: {found:?}");
    }
}

#[test]
fn the_64_bit_figures_of_a_member_are_read() {
    let mut extra = vec![0x77, 0x77, 2, 0, 9, 9];
    extra.extend([&[1, 0, 24, 0][..], &7_u64.to_le_bytes(), &8_u64.to_le_bytes(), &9_u64.to_le_bytes()].concat());
    let mut entry = [&CENTRAL[..], &[0; 42]].concat();
    entry[20..28].fill(0xff);
    entry[42..46].fill(0xff);
    entry[30] = extra.len() as u8;
    entry.extend(extra);
    let member = Member::read(&entry).unwrap();
    assert_eq!((member.uncompressed, member.compressed, member.offset), (7, 8, 9));
    for len in 0..entry.len() {
        assert!(Member::read(&entry[..len]).is_none());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(noise: Vec<u8>, places: Vec<(prop::sample::Index, u8)>, wide: bool) {
        let mut bytes = model(wide);
        for (place, value) in places {
            let at = place.index(bytes.len());
            bytes[at] = value;
        }
        let _ = report(&bytes);
        let _ = report(&[&LOCAL[..], &noise, &bytes[bytes.len() - 200..]].concat());
    }
}
