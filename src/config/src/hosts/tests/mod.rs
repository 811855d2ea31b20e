//! Claims about hosts files; contract §3 has one for every row of `quirks`.

mod addresses;
mod advice;
mod errors;
mod loopback;
mod property;
mod quirks;
mod real_files;

use std::path::Path;

use super::{Host, HostsError, HostsFile};

/// A file of this text, which can be used.
fn file(text: &str) -> HostsFile {
    HostsFile::parse(text, Path::new("hosts.yaml")).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The only host of a file: `gpu-1`, with these lines.
fn host(lines: &str) -> Host {
    let text: String = lines.lines().fold("hosts:\n  gpu-1:\n".to_owned(), |text, line| text + "    " + line + "\n");
    let mut file = file(&text);
    file.hosts.shift_remove("gpu-1").expect("the host that was written")
}

/// Everything that is wrong with a text.
fn errors(text: &str) -> Vec<String> {
    match HostsFile::parse(text, Path::new("hosts.yaml")) {
        Ok(_) => panic!("this was to be refused:\n{text}"),
        Err(error @ HostsError::Invalid(_)) => error.findings().iter().map(ToString::to_string).collect(),
        Err(error @ HostsError::Read { .. }) => panic!("{error}"),
    }
}

/// What was odd about a file.
fn warnings(file: &HostsFile) -> Vec<String> {
    file.warnings.iter().map(ToString::to_string).collect()
}
