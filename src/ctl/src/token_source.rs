//! Which cluster token does the operator hold?

use std::{env, fs, io, path::Path};

use crate::{exit::Exit, failure::Failure};

/// Where a package puts it, for root to read.
const INSTALLED: &str = "/etc/ringrift-p2p/token";

/// The token of the file that a flag names, of the environment, or of this machine's daemon. The last is a guess: if it
/// cannot be read, there is none. One that was asked for must be there.
pub(crate) fn find(flag: Option<&Path>) -> Result<Option<String>, Failure> {
    if let Some(path) = flag {
        return read(path, "--token-file").map(Some);
    }
    if let Some(text) = env::var("RINGRIFT_CLUSTER_AUTH_TOKEN").ok().filter(|t| !t.trim().is_empty()) {
        return Ok(Some(text.trim().to_owned()));
    }
    if let Some(path) = env::var_os("RINGRIFT_CLUSTER_AUTH_TOKEN_FILE").filter(|p| !p.is_empty()) {
        return read(Path::new(&path), "RINGRIFT_CLUSTER_AUTH_TOKEN_FILE").map(Some);
    }
    match fs::read_to_string(INSTALLED) {
        Ok(text) if !text.trim().is_empty() => Ok(Some(text.trim().to_owned())),
        Ok(_) => Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => Ok(None),
        Err(error) => Err(Failure::local(format!("cannot read {INSTALLED}"), &error)),
    }
}

fn read(path: &Path, named_by: &str) -> Result<String, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|e| Failure::local(format!("cannot read the token file {} ({named_by})", path.display()), &e))?;
    match text.trim() {
        "" => Err(Failure::new(Exit::Failed, format!("the token file {} ({named_by}) is empty", path.display()))
            .advise("`ringriftctl token new --output FILE` makes one; all nodes of a cluster hold the same.")),
        token => Ok(token.to_owned()),
    }
}
