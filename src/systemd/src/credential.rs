//! Secrets that systemd hands to the daemon (`LoadCredential=`, `systemd.exec(5)`), readable by its user alone.

use std::path::PathBuf;

use libsystemd::credentials::CredentialsLoader;

/// The file of the credential `name`, or `None` when systemd passed none of that name.
///
/// A name with a slash is never a credential's: it could point outside the directory.
pub fn credential(name: &str) -> Option<PathBuf> {
    let loader = CredentialsLoader::open().ok()?;
    loader.get(name).ok()?;
    Some(CredentialsLoader::path_from_env()?.join(name))
}
