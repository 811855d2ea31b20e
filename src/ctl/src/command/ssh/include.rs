use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use ringrift_config::{Host, HostsFile, NodeId};
use tempfile::NamedTempFile;

use super::home::Home;

/// The file that `~/.ssh/config` includes.
const NAME: &str = "ringrift_config";

/// What `ssh NAME` needs to know of every host in use; `answered` is where a host was reached.
pub(super) fn text(file: &HostsFile, key: &Path, answered: &BTreeMap<NodeId, (String, u16)>) -> String {
    let mut text =
        "# Written by `ringriftctl ssh setup` out of the hosts file; what is changed here is lost.\n".to_owned();
    for host in file.hosts.values().filter(|host| host.is_ready()) {
        let endpoint = answered.get(&host.id).cloned().or_else(|| host.ssh_endpoints().into_iter().next());
        text.push_str(&block(host, key, endpoint));
    }
    text
}

fn block(host: &Host, key: &Path, endpoint: Option<(String, u16)>) -> String {
    let mut block = format!("\nHost {}\n", host.id);
    if let Some((address, port)) = endpoint {
        if address != host.id.as_str() {
            let _ = writeln!(block, "    HostName {address}");
        }
        let _ = writeln!(block, "    Port {port}");
    }
    if let Some(user) = &host.ssh_user {
        let _ = writeln!(block, "    User {user}");
    }
    let _ = writeln!(block, "    IdentityFile \"{}\"", key.display());
    block.push_str("    ConnectTimeout 10\n");
    block
}

/// Writes it, and the line that includes it where there is none. Says what was changed.
pub(super) fn write(home: &Home, text: &str) -> io::Result<Vec<String>> {
    let mut changed = Vec::new();
    let path = home.dir.join(NAME);
    if fs::read_to_string(&path).ok().as_deref() != Some(text) {
        replace(&path, text)?;
        changed.push(format!("wrote {}", path.display()));
    }
    let config = home.dir.join("config");
    let old = match fs::read_to_string(&config) {
        Ok(old) => old,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    if !old.lines().any(is_include) {
        // Before any `Host`: below one it would belong to that host alone (ssh_config(5)).
        replace(&config, &format!("Include {NAME}\n\n{old}"))?;
        changed.push(format!("included it at the top of {}", config.display()));
    }
    Ok(changed)
}

fn is_include(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next().is_some_and(|word| word.eq_ignore_ascii_case("include"))
        && words.any(|word| word.trim_matches('"').rsplit('/').next() == Some(NAME))
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A link to where the file really lies stays a link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut file = NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    const HOSTS: &str = "\
hosts:
  gpu-1: {ssh_host: 10.0.0.1, ssh_port: 2222, ssh_user: op, tailscale_ip: 100.64.0.9, status: ready}
  by-name: {status: ready}
  gone: {ssh_host: 10.0.0.3, status: retired}
";

    #[test]
    fn every_host_in_use_is_named_with_the_address_that_answered() {
        let file = HostsFile::parse(HOSTS, Path::new("hosts.yaml")).unwrap();
        let answered = BTreeMap::from([("gpu-1".parse().unwrap(), ("10.0.0.1".to_owned(), 2222))]);
        assert_eq!(
            text(&file, Path::new("/home/o p/.ssh/id_cluster"), &answered),
            "# Written by `ringriftctl ssh setup` out of the hosts file; what is changed here is lost.\n\
             \nHost gpu-1\n    HostName 10.0.0.1\n    Port 2222\n    User op\n    \
             IdentityFile \"/home/o p/.ssh/id_cluster\"\n    ConnectTimeout 10\n\
             \nHost by-name\n    Port 22\n    IdentityFile \"/home/o p/.ssh/id_cluster\"\n    ConnectTimeout 10\n"
        );
    }

    #[test]
    fn it_is_included_once_and_at_the_top() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home { dir: dir.path().to_owned() };
        let config = dir.path().join("config");
        fs::write(&config, "Host *\n    User me\n").unwrap();
        assert_eq!(write(&home, "one\n").unwrap().len(), 2);
        assert_eq!(fs::read_to_string(&config).unwrap(), "Include ringrift_config\n\nHost *\n    User me\n");
        assert_eq!(write(&home, "one\n").unwrap(), Vec::<String>::new());
        assert_eq!(write(&home, "two\n").unwrap().len(), 1);
        assert_eq!(fs::read_to_string(dir.path().join(NAME)).unwrap(), "two\n");
        fs::write(&config, "  include ~/.ssh/ringrift_config\n").unwrap();
        assert_eq!(write(&home, "two\n").unwrap(), Vec::<String>::new());
    }
}
