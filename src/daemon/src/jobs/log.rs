//! What a run wrote: the journal's lines of its unit, or the files of the plain runner.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::Stdio,
};

use ringrift_api::LogLine;
use ringrift_job::RunId;
use serde_json::Value;
use tokio::process::Command;

use super::Machine;

/// Lines, and where to go on.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Lines {
    pub(crate) lines: Vec<LogLine>,
    pub(crate) cursor: String,
}

/// The most lines of one answer.
const MAX_LINES: usize = 10_000;
/// The most bytes of files that are read for one answer.
const MAX_BYTES: u64 = 1 << 20;

/// The last `lines` lines of a run, or those after a cursor.
pub(crate) async fn read(machine: &Machine, run: &RunId, lines: usize, after: Option<&str>) -> Result<Lines, String> {
    let lines = lines.clamp(1, MAX_LINES);
    match machine {
        Machine::None(why) => Err(format!("this node runs no jobs: {why}")),
        Machine::Systemd(_) => journal(&run.unit(), lines, after).await,
        Machine::Plain(runner) => {
            let files = runner.log_files(run);
            let after = after.map(str::to_owned);
            let read = tokio::task::spawn_blocking(move || from_files(&files, lines, after.as_deref()));
            read.await.map_err(|error| error.to_string())?.map_err(|error| format!("cannot read the log: {error}"))
        }
    }
}

async fn journal(unit: &str, lines: usize, after: Option<&str>) -> Result<Lines, String> {
    let mut command = Command::new("journalctl");
    command.args(["--output=json", "--no-pager", "--quiet"]).arg(format!("_SYSTEMD_UNIT={unit}"));
    match after {
        // It is one argument, whatever is in it.
        Some(cursor) => command.arg(format!("--after-cursor={cursor}")),
        None => command.arg(format!("--lines={lines}")),
    };
    let output =
        command.stdin(Stdio::null()).output().await.map_err(|error| format!("cannot run journalctl: {error}"))?;
    if !output.status.success() {
        return Err(format!("journalctl: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(of_journal(&String::from_utf8_lossy(&output.stdout), lines))
}

/// Reads what `journalctl --output=json` prints.
fn of_journal(text: &str, lines: usize) -> Lines {
    let mut read = Lines::default();
    for entry in text.lines().take(lines) {
        let Ok(entry) = serde_json::from_str::<Value>(entry) else { continue };
        let text = match &entry["MESSAGE"] {
            Value::String(text) => text.clone(),
            // Bytes that are no text come as a list of numbers.
            Value::Array(bytes) => {
                let bytes: Vec<u8> = bytes.iter().filter_map(|byte| byte.as_u64()?.try_into().ok()).collect();
                String::from_utf8_lossy(&bytes).into_owned()
            }
            _ => continue,
        };
        let at = entry["__REALTIME_TIMESTAMP"].as_str().and_then(|micros| micros.parse::<f64>().ok());
        read.lines.push(LogLine { at: at.map(|micros| micros / 1e6), text });
        if let Some(cursor) = entry["__CURSOR"].as_str() {
            cursor.clone_into(&mut read.cursor);
        }
    }
    read
}

/// A cursor of files: the inode of one, and the offset in it.
fn parse(cursor: &str) -> Option<(u64, u64)> {
    let (inode, offset) = cursor.split_once('-')?;
    Some((inode.parse().ok()?, offset.parse().ok()?))
}

fn from_files(files: &[PathBuf], lines: usize, after: Option<&str>) -> std::io::Result<Lines> {
    let mut opened = Vec::new();
    for path in files {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        opened.push((file, meta.ino(), meta.len()));
    }
    let start = after.and_then(parse);
    let first = start.and_then(|(inode, _)| opened.iter().position(|(_, ino, _)| *ino == inode));
    let mut bytes = Vec::new();
    let mut cursor = String::new();
    if let (Some(first), Some((_, offset))) = (first, start) {
        for (at, (file, inode, length)) in opened.iter_mut().enumerate().skip(first) {
            let from = if at == first { offset.min(*length) } else { 0 };
            let room = MAX_BYTES.saturating_sub(bytes.len() as u64);
            file.seek(SeekFrom::Start(from))?;
            let read = file.take(room.min(*length - from)).read_to_end(&mut bytes)? as u64;
            cursor = format!("{inode}-{}", from + read);
        }
    } else {
        // The end of what there is, as much of it as is shown.
        let mut room = MAX_BYTES;
        for (file, inode, length) in opened.iter_mut().rev() {
            let from = length.saturating_sub(room);
            room -= *length - from;
            file.seek(SeekFrom::Start(from))?;
            let mut piece = Vec::new();
            file.take(*length - from).read_to_end(&mut piece)?;
            if cursor.is_empty() {
                cursor = format!("{inode}-{}", from + piece.len() as u64);
            }
            piece.append(&mut bytes);
            bytes = piece;
        }
    }
    Ok(whole_lines(&bytes, cursor, lines, after.is_none()))
}

/// The lines in some bytes. One whose end has not been written yet is left for the next time.
fn whole_lines(bytes: &[u8], cursor: String, lines: usize, last: bool) -> Lines {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let left = (bytes.len() - end) as u64;
    let cursor = match parse(&cursor) {
        Some((inode, offset)) => format!("{inode}-{}", offset.saturating_sub(left)),
        None => cursor,
    };
    let text = String::from_utf8_lossy(&bytes[..end]);
    let all: Vec<&str> = text.lines().collect();
    let shown = if last { &all[all.len().saturating_sub(lines)..] } else { &all[..] };
    Lines { lines: shown.iter().map(|line| LogLine { at: None, text: (*line).to_owned() }).collect(), cursor }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn texts(read: &Lines) -> Vec<&str> {
        read.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn files_are_read_from_their_end_and_then_from_where_one_was() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("log.1"), folder.path().join("log"));
        fs::write(&old, "a\nb\n").unwrap();
        fs::write(&new, "c\nd\nunfini").unwrap();
        let files = [old, new.clone()];
        let first = from_files(&files, 3, None).unwrap();
        assert_eq!(texts(&first), ["b", "c", "d"]);
        assert_eq!(texts(&from_files(&files, 3, Some(&first.cursor)).unwrap()), [""; 0]);
        fs::write(&new, "c\nd\nunfinished\ne\n").unwrap();
        let next = from_files(&files, 3, Some(&first.cursor)).unwrap();
        assert_eq!(texts(&next), ["unfinished", "e"]);
        // The newest file was put aside meanwhile.
        let aside = folder.path().join("log.0");
        fs::rename(&new, &aside).unwrap();
        fs::write(&new, "f\n").unwrap();
        let files = [files[0].clone(), aside, new];
        assert_eq!(texts(&from_files(&files, 3, Some(&next.cursor)).unwrap()), ["f"]);
        assert_eq!(texts(&from_files(&[], 3, None).unwrap()), [""; 0]);
    }

    #[test]
    fn the_journals_json_is_read_line_by_line() {
        let text = "{\"MESSAGE\":\"one\",\"__REALTIME_TIMESTAMP\":\"1500000\",\"__CURSOR\":\"s=1\"}\n\
                    {\"MESSAGE\":[104,105,255],\"__REALTIME_TIMESTAMP\":\"x\",\"__CURSOR\":\"s=2\"}\nnonsense\n";
        let read = of_journal(text, 10);
        assert_eq!(texts(&read), ["one", "hi\u{fffd}"]);
        assert_eq!((read.lines[0].at, read.lines[1].at, read.cursor.as_str()), (Some(1.5), None, "s=2"));
        assert_eq!(of_journal(text, 1).cursor, "s=1");
    }
}
