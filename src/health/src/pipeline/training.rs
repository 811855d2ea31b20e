use std::{fs, io::Read as _, path::Path};

use super::{Found, Training, written};

/// The report that a run leaves when it is over.
const REPORT: &str = "training_report.json";

/// A report has a few kilobytes; what is larger is something else.
const MAX_REPORT: u64 = 16 << 20;

/// The newest run of a folder of runs.
pub(super) fn newest(runs: &Path) -> Found<Training> {
    let entries = match fs::read_dir(runs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Found::Missing,
        Err(error) => return Found::Unreadable(format!("{}: {error}", runs.display())),
    };
    let folders = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    let dated = folders.filter_map(|path| Some((written(&path).ok()?, path)));
    // Of two of the same moment the one whose name comes last, so that each look says the same.
    let Some((changed, folder)) = dated.max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1))) else {
        return Found::Missing;
    };
    let report = folder.join(REPORT);
    let written = written(&report).map_or(changed, |at| at.max(changed));
    let run = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Found::Read(Training { run, written, success: success(&report) })
}

fn success(report: &Path) -> Found<bool> {
    let mut text = String::new();
    let read = fs::File::open(report).and_then(|file| file.take(MAX_REPORT).read_to_string(&mut text));
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Found::Missing,
        Err(error) => return Found::Unreadable(format!("{}: {error}", report.display())),
        Ok(_) => {}
    }
    let value: serde_json::Value = match serde_json::from_str(&text) {
        Ok(value) => value,
        Err(error) => return Found::Unreadable(format!("{}: {error}", report.display())),
    };
    match value.get("success").and_then(serde_json::Value::as_bool) {
        Some(success) => Found::Read(success),
        None => Found::Unreadable(format!("{} does not say whether it had success", report.display())),
    }
}
