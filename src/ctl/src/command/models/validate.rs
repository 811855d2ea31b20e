use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;
use ringrift_blob::Digest;
use serde_json::{Value, json};

use super::{promote::hash, which::short};
use crate::{
    bytes::bytes,
    context::Context,
    exit::Exit,
    paint::{Paint, Tone},
    report::Report,
    table::{Cell, Table, left, right},
};

/// Which files.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// The files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// What a file is.
struct Checked {
    path: String,
    found: Option<(Digest, u64)>,
    parts: u64,
    /// Empty when nothing is wrong.
    fault: String,
    sidecar: &'static str,
}

pub(super) fn run(context: &Context, args: &ValidateArgs) -> Report {
    let checked: Vec<Checked> = args.files.iter().map(|path| check(context, path)).collect();
    let sound = checked.iter().all(|file| file.fault.is_empty());
    let json: Vec<Value> = checked
        .iter()
        .map(|file| {
            json!({
                "file": file.path,
                "ok": file.fault.is_empty(),
                "sha256": file.found.map(|(sha256, _)| sha256),
                "size": file.found.map(|(_, size)| size),
                "parts": file.parts,
                "sidecar": file.sidecar,
                "message": file.fault,
            })
        })
        .collect();
    let exit = if sound { Exit::Ok } else { Exit::Failed };
    Report::ok(table(&checked, context.paint), json!({ "success": sound, "files": json })).exit(exit)
}

fn check(context: &Context, path: &Path) -> Checked {
    let mut checked =
        Checked { path: path.display().to_string(), found: None, parts: 0, fault: String::new(), sidecar: "none" };
    match ringrift_store::validate(path) {
        Ok(Ok(whole)) => {
            checked.parts = whole.entries;
            checked.found = Some((whole.sha256, whole.size));
        }
        // Its digest may still tell which file it was.
        Ok(Err(damage)) => {
            checked.fault = damage.to_string();
            checked.found = hash(context, path).ok();
        }
        Err(error) => checked.fault = error.to_string(),
    }
    let Some((sha256, _)) = checked.found else { return checked };
    match sidecar(path) {
        Ok(None) => {}
        Ok(Some(expected)) if expected == sha256 => checked.sidecar = "agrees",
        Ok(Some(expected)) => {
            checked.sidecar = "differs";
            let differs = format!("its .sha256 file says {}", short(&expected));
            checked.fault = if checked.fault.is_empty() { differs } else { format!("{}; {differs}", checked.fault) };
        }
        Err(error) => {
            checked.sidecar = "unreadable";
            if checked.fault.is_empty() {
                checked.fault = format!("its .sha256 file cannot be read: {error}");
            }
        }
    }
    checked
}

/// The digest of the file beside it, in the form of sha256sum.
fn sidecar(path: &Path) -> io::Result<Option<Digest>> {
    let mut name = path.as_os_str().to_owned();
    name.push(".sha256");
    let text = match fs::read_to_string(name) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let digest = text.split_ascii_whitespace().next().unwrap_or_default();
    digest.parse().map(Some).map_err(|e: ringrift_blob::InvalidDigest| io::Error::new(io::ErrorKind::InvalidData, e))
}

fn table(checked: &[Checked], paint: Paint) -> String {
    let mut table =
        Table::new(&[left("FILE"), left("RESULT"), right("PARTS"), right("SIZE"), left("SHA-256"), left("NOTE")]);
    for file in checked {
        let (result, tone) = if file.fault.is_empty() { ("ok", Tone::Good) } else { ("WRONG", Tone::Bad) };
        let (sha256, size) = file
            .found
            .map_or_else(|| ("-".to_owned(), "-".to_owned()), |(sha256, size)| (sha256.to_string(), bytes(size)));
        let note = match (file.fault.as_str(), file.sidecar) {
            ("", "agrees") => "its .sha256 file agrees",
            (fault, _) => fault,
        };
        table.row(vec![
            file.path.as_str().into(),
            Cell::toned(result, tone),
            file.parts.to_string().into(),
            size.into(),
            sha256.into(),
            note.into(),
        ]);
    }
    table.render(paint)
}
