use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::plain::manifest::gone;

/// Removes the logs of forgotten runs, but for those of the newest.
pub(super) fn trim(directory: &Path, keep: usize) -> io::Result<()> {
    let mut by_run: BTreeMap<String, (SystemTime, Vec<PathBuf>)> = BTreeMap::new();
    for entry in fs::read_dir(directory.join("logs"))? {
        let entry = entry?;
        let name = entry.file_name();
        // `selfplay@a.1.log`, `selfplay@a.1.log.2`
        let Some((run, _)) = name.to_str().and_then(|name| name.rsplit_once(".log")) else { continue };
        // It may be put aside, or removed by nobody but us, at any time.
        let Ok(written) = entry.metadata().and_then(|metadata| metadata.modified()) else { continue };
        let (newest, files) = by_run.entry(run.to_owned()).or_insert((written, Vec::new()));
        *newest = written.max(*newest);
        files.push(entry.path());
    }
    by_run.retain(|run, _| !directory.join("runs").join(run).exists());
    let mut forgotten: Vec<_> = by_run.into_values().collect();
    forgotten.sort();
    let surplus = forgotten.len().saturating_sub(keep);
    for path in forgotten.into_iter().take(surplus).flat_map(|(_, files)| files) {
        gone(fs::remove_file(path))?;
    }
    Ok(())
}
