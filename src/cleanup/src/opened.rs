use std::{collections::BTreeSet, fs, os::unix::fs::MetadataExt as _, path::Path};

/// The files that some process has open just now, as far as this user may see: root sees all.
#[derive(Debug, Clone, Default)]
pub struct Opened(BTreeSet<(u64, u64)>);

impl Opened {
    /// Looks at all processes.
    pub fn now() -> Self {
        let mut files = BTreeSet::new();
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let is_process = process.file_name().to_str().is_some_and(|name| name.bytes().all(|b| b.is_ascii_digit()));
            if !is_process {
                continue;
            }
            for fd in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
                files.extend(fs::metadata(fd.path()).ok().filter(fs::Metadata::is_file).map(|m| (m.dev(), m.ino())));
            }
        }
        Self(files)
    }

    /// Whether a file is open.
    pub fn has(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|metadata| self.0.contains(&(metadata.dev(), metadata.ino())))
    }
}
