//! Models to play with: what `PyTorch` writes, a zip archive whose members are stored as they are, with noise for weights.

use std::{
    fs,
    io::{self, BufWriter, Write},
};

use anyhow::{Context as _, Result};
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};

use super::layout::Layout;

/// Configurations that sample models are made for, and their sizes in bytes for a cluster of five: small enough for a laptop,
/// large enough to be seen arriving.
pub(crate) const SAMPLES: [(&str, usize); 3] =
    [("hex8_2p", 4 << 20), ("square8_2p", 8 << 20), ("square19_2p", 16 << 20)];

/// Puts the samples where programs of the first node would, those that are not there yet; its daemon promotes them.
pub(crate) fn write_missing(layout: &Layout) -> Result<()> {
    let Some((node, _)) = layout.nodes().next() else { return Ok(()) };
    let dir = layout.models_dir(node);
    // A large cluster on one machine shares one disk.
    let shrink = (layout.addresses().len() / 5).max(1);
    for (seed, (config, size)) in SAMPLES.iter().enumerate() {
        let path = dir.join(format!("canonical_{config}.pth"));
        if path.exists() {
            continue;
        }
        let write = || -> io::Result<()> {
            let temporary = dir.join(format!(".{config}.new"));
            let mut file = BufWriter::new(fs::File::create(&temporary)?);
            write_model(&mut file, size / shrink, seed as u64)?;
            file.into_inner()?.sync_all()?;
            fs::rename(&temporary, &path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Writes a model with about `size` bytes of weights. The same seed gives the same bytes.
fn write_model(out: &mut impl Write, size: usize, seed: u64) -> io::Result<()> {
    let mut weights = vec![0; size];
    SmallRng::seed_from_u64(seed).fill_bytes(&mut weights);
    // What `torch.save({})` pickles: protocol 2, an empty dictionary.
    let pickle = b"\x80\x02}q\x00.".to_vec();
    let members = [("archive/data.pkl", pickle), ("archive/data/0", weights), ("archive/version", b"3\n".to_vec())];

    let mut directory = Vec::new();
    let mut offset = 0;
    for (name, data) in &members {
        let entry = Entry::of(name, data);
        let mut header = b"PK\x03\x04".to_vec();
        entry.common(&mut header);
        header.extend(name.as_bytes());
        out.write_all(&header)?;
        out.write_all(data)?;
        entry.directory(&mut directory, offset);
        offset += (header.len() + data.len()) as u32;
    }
    out.write_all(&directory)?;
    let count = (members.len() as u16).to_le_bytes();
    let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
    end.extend(count);
    end.extend(count);
    end.extend((directory.len() as u32).to_le_bytes());
    end.extend(offset.to_le_bytes());
    end.extend([0, 0]);
    out.write_all(&end)
}

/// A member of the archive, as both of its headers describe it (APPNOTE.TXT 4.3.7 and 4.3.12).
struct Entry<'a> {
    name: &'a str,
    crc: u32,
    size: u32,
}

impl<'a> Entry<'a> {
    fn of(name: &'a str, data: &[u8]) -> Self {
        Self { name, crc: crc32fast::hash(data), size: data.len() as u32 }
    }

    /// Version needed, flags, method 0 (stored), the oldest date there is, CRC, sizes, lengths of name and extra field.
    fn common(&self, header: &mut Vec<u8>) {
        header.extend([20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0]);
        header.extend(self.crc.to_le_bytes());
        header.extend(self.size.to_le_bytes());
        header.extend(self.size.to_le_bytes());
        header.extend((self.name.len() as u16).to_le_bytes());
        header.extend([0, 0]);
    }

    fn directory(&self, directory: &mut Vec<u8>, offset: u32) {
        directory.extend(b"PK\x01\x02\x14\x00");
        self.common(directory);
        // Comment, disk number, attributes: none.
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(self.name.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_a_sound_archive_and_the_same_each_time() {
        let mut one = Vec::new();
        write_model(&mut one, 100_000, 7).unwrap();
        let mut same = Vec::new();
        write_model(&mut same, 100_000, 7).unwrap();
        let mut other = Vec::new();
        write_model(&mut other, 100_000, 8).unwrap();
        assert!(one == same && one != other);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("canonical_hex8_2p.pth");
        std::fs::write(&path, &one).unwrap();
        let report = ringrift_store::validate(&path).unwrap().unwrap();
        assert_eq!(report.entries, 3);
    }
}
