use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use ringrift_config::Host;
use tokio::process::Command;

use super::home::Home;

/// The host keys that this user trusts.
#[derive(Debug)]
pub(super) struct KnownHosts {
    path: PathBuf,
}

impl KnownHosts {
    pub(super) fn of(home: &Home) -> Self {
        Self { path: home.dir.join("known_hosts") }
    }

    /// The endpoints of a host of which no key is known. ssh-keygen looks, since names may be hashed there.
    pub(super) async fn missing(&self, host: &Host) -> Vec<(String, u16)> {
        let mut missing = Vec::new();
        for endpoint in host.ssh_endpoints() {
            if !self.has(&endpoint).await {
                missing.push(endpoint);
            }
        }
        missing
    }

    async fn has(&self, endpoint: &(String, u16)) -> bool {
        let found = Command::new("ssh-keygen").arg("-F").arg(name(endpoint)).arg("-f").arg(&self.path).output().await;
        found.is_ok_and(|found| found.status.success() && !found.stdout.is_empty())
    }

    /// Writes down the key that the hosts file vouches for.
    pub(super) fn add(&self, endpoint: &(String, u16), key: &str) -> io::Result<()> {
        let old = match fs::read(&self.path) {
            Ok(old) => old,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let begin = if old.last().is_some_and(|last| *last != b'\n') { "\n" } else { "" };
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        file.write_all(format!("{begin}{} {key}\n", name(endpoint)).as_bytes())
    }
}

/// How `known_hosts` calls it (sshd(8)).
fn name((address, port): &(String, u16)) -> String {
    if *port == Host::SSH_PORT { address.clone() } else { format!("[{address}]:{port}") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::path::Path;

    use ringrift_config::HostsFile;

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJfGH0NnPpHzdTRDYwWbxSnDSnLPQBnOZ9LpYkxYlUJk";

    #[tokio::test]
    async fn a_key_is_known_by_address_and_port() {
        let dir = tempfile::tempdir().unwrap();
        let known = KnownHosts::of(&Home { dir: dir.path().to_owned() });
        let text = "hosts:\n  a: {ssh_host: box.example, ssh_port: 2222, tailscale_ip: 100.64.0.9, status: ready}\n";
        let file = HostsFile::parse(text, Path::new("hosts.yaml")).unwrap();
        let host = &file.hosts[0];
        assert_eq!(known.missing(host).await, host.ssh_endpoints());
        fs::write(dir.path().join("known_hosts"), "# no end of line").unwrap();
        known.add(&("box.example".to_owned(), 2222), KEY).unwrap();
        assert_eq!(known.missing(host).await, [("100.64.0.9".to_owned(), 22)]);
        known.add(&("100.64.0.9".to_owned(), 22), KEY).unwrap();
        assert_eq!(known.missing(host).await, []);
    }
}
