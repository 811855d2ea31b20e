use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::{DbError, Result};

/// Refuses to begin what the disk has no room for.
pub(crate) fn need(folder: &Path, bytes: u64) -> Result<()> {
    let stat = rustix::fs::statvfs(folder).map_err(|e| DbError::io("ask for the free space of", folder)(e.into()))?;
    if stat.f_frsize.saturating_mul(stat.f_bavail) < bytes {
        return Err(DbError::DiskFull { path: folder.to_owned(), needed: Some(bytes) });
    }
    Ok(())
}

/// A file that is gone when nobody keeps it, in the folder of the file that it may become.
pub(crate) fn temporary(beside: &Path) -> Result<NamedTempFile> {
    let folder = folder(beside);
    let name = beside.file_name().unwrap_or_default().to_string_lossy();
    let made = tempfile::Builder::new().prefix(&format!(".{name}.")).suffix(".tmp").tempfile_in(folder);
    made.map_err(DbError::io("make a file in", folder))
}

/// The folder that a file is in.
pub(crate) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
