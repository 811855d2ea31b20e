use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::home::Home;
use crate::{exit::Exit, failure::Failure};

/// The cluster's key on this machine.
#[derive(Debug)]
pub(super) struct ClusterKey {
    pub(super) private: PathBuf,
}

impl ClusterKey {
    pub(super) fn of(home: &Home, path: &str) -> Self {
        Self { private: home.resolve(path) }
    }

    pub(super) fn exists(&self) -> bool {
        self.private.exists()
    }

    fn public(&self) -> PathBuf {
        let mut name = self.private.clone().into_os_string();
        name.push(".pub");
        name.into()
    }

    /// Makes it, without a passphrase: whoever restarts a cluster at night has an agent for another key, or none.
    pub(super) async fn make(&self) -> Result<(), Failure> {
        if let Some(dir) = self.private.parent() {
            make_folder(dir)?;
        }
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "ringrift-cluster", "-f"]).arg(&self.private);
        run(keygen).await.map(drop)
    }

    /// The line that goes to the nodes; computed anew where its file is missing.
    pub(super) async fn line(&self) -> Result<String, Failure> {
        let text = if let Ok(text) = std::fs::read_to_string(self.public()) {
            text
        } else {
            let mut keygen = Command::new("ssh-keygen");
            keygen.arg("-y").arg("-P").arg("").arg("-f").arg(&self.private);
            run(keygen).await?
        };
        let line = text.trim().to_owned();
        if line.lines().count() == 1 && line.split(' ').count() >= 2 {
            return Ok(line);
        }
        Err(Failure::new(Exit::Failed, format!("{} is no public key of one line", self.public().display()))
            .advise(format!("`ssh-keygen -y -f {}` prints it.", self.private.display())))
    }
}

/// Adds the line that is read to the keys that may log in, once; says `key=added` or `key=there`.
pub(super) const SCRIPT: &str = r#"umask 077
read -r line
body=$(printf '%s\n' "$line" | cut -d' ' -f1,2)
file=$HOME/.ssh/authorized_keys
mkdir -p "$HOME/.ssh" && touch "$file" && chmod 700 "$HOME/.ssh" && chmod 600 "$file" || exit 1
if grep -qF -- "$body" "$file"; then echo key=there; exit 0; fi
[ -z "$(tail -c 1 "$file")" ] || echo >> "$file" || exit 1
printf '%s\n' "$line" >> "$file" && echo key=added"#;

fn make_folder(dir: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| Failure::local(format!("cannot make {}", dir.display()), &e))
}

async fn run(mut command: Command) -> Result<String, Failure> {
    let output = command.output().await.map_err(|e| {
        Failure::local("cannot run ssh-keygen", &e).advise("Install OpenSSH's client (package openssh-client).")
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Failure::new(Exit::Failed, format!("ssh-keygen: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::{fs, io::Write as _, os::unix::fs::MetadataExt as _, process::Stdio};

    use super::*;

    fn authorize(home: &Path, line: &str) -> String {
        let mut sh = std::process::Command::new("sh")
            .args(["-c", SCRIPT])
            .env("HOME", home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        sh.stdin.take().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
        String::from_utf8(sh.wait_with_output().unwrap().stdout).unwrap()
    }

    #[test]
    fn a_key_is_added_once_below_what_is_there() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".ssh/authorized_keys");
        assert_eq!(authorize(home.path(), "ssh-ed25519 AAAA+/= ringrift-cluster"), "key=added\n");
        assert_eq!(authorize(home.path(), "ssh-ed25519 AAAA+/= another comment"), "key=there\n");
        fs::write(&file, "ssh-rsa BBBB somebody").unwrap();
        assert_eq!(authorize(home.path(), "ssh-ed25519 AAAA+/= it's"), "key=added\n");
        assert_eq!(fs::read_to_string(&file).unwrap(), "ssh-rsa BBBB somebody\nssh-ed25519 AAAA+/= it's\n");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_key_is_made_and_its_public_line_found_even_without_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let key = ClusterKey::of(&Home { dir: dir.path().join(".ssh") }, "~/.ssh/id_cluster");
        assert!(!key.exists());
        key.make().await.unwrap();
        let line = key.line().await.unwrap();
        assert!(line.starts_with("ssh-ed25519 ") && line.ends_with(" ringrift-cluster"), "{line}");
        fs::remove_file(key.public()).unwrap();
        assert_eq!(key.line().await.unwrap().split(' ').nth(1), line.split(' ').nth(1));
    }
}
