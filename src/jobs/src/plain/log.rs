//! What a run writes, in a file that is put aside when it has grown.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::manifest::{LogSpec, gone};

pub(crate) struct Log {
    spec: LogSpec,
    file: Option<File>,
    size: u64,
}

impl Log {
    pub(crate) fn new(spec: LogSpec) -> Self {
        Self { spec, file: None, size: 0 }
    }

    /// Appends. A program must not wait or fail because a disk is full, so what cannot be written is lost.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.try_write(bytes).is_err() {
            self.file = None;
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.size > 0 && self.size + bytes.len() as u64 > self.spec.piece_bytes {
            self.file = None;
            put_aside(&self.spec.path, self.spec.old_pieces)?;
        }
        let file = if let Some(file) = &mut self.file {
            file
        } else {
            let file = File::options().create(true).append(true).open(&self.spec.path)?;
            self.size = file.metadata()?.len();
            self.file.insert(file)
        };
        file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }
}

/// `a.log` becomes `a.log.1`, that becomes `a.log.2`, and the last one is gone.
fn put_aside(path: &Path, old_pieces: u32) -> io::Result<()> {
    if old_pieces == 0 {
        return gone(fs::remove_file(path));
    }
    for number in (1..old_pieces).rev() {
        gone(fs::rename(piece(path, number), piece(path, number + 1)))?;
    }
    gone(fs::rename(path, piece(path, 1)))
}

/// The pieces of a log that there are, the oldest first.
pub(crate) fn pieces(path: &Path) -> Vec<PathBuf> {
    let mut pieces: Vec<PathBuf> =
        (1..=u32::MAX).map(|number| piece(path, number)).take_while(|path| path.exists()).collect();
    pieces.reverse();
    pieces.extend(path.exists().then(|| path.to_owned()));
    pieces
}

fn piece(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_pieces_are_kept_in_order_and_a_log_goes_on_where_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let spec = LogSpec { path: path.clone(), piece_bytes: 11, old_pieces: 2 };
        Log::new(spec.clone()).write(b"one\n");
        let mut log = Log::new(spec);
        for line in ["two\n", "three\n", "four\n", "a line longer than a piece\n", "five\n"] {
            log.write(line.as_bytes());
        }
        let text = |path: &PathBuf| fs::read_to_string(path).unwrap();
        let shown: Vec<String> = pieces(&path).iter().map(text).collect();
        assert_eq!(shown, ["three\nfour\n", "a line longer than a piece\n", "five\n"]);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
    }

    #[test]
    fn without_old_pieces_a_log_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut log = Log::new(LogSpec { path: path.clone(), piece_bytes: 5, old_pieces: 0 });
        log.write(b"1234");
        log.write(b"5678");
        assert_eq!(fs::read(&path).unwrap(), b"5678");
        assert_eq!(pieces(&path), [path]);
    }
}
