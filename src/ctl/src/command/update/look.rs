use std::collections::BTreeMap;

use ringrift_config::Host;
use ringrift_fleet::{Ran, Ssh, Unreached, remote_path};

use super::version::{Version, Way};
use crate::command::cluster::{State, script};

/// What a node has, and how its daemon is.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) state: State,
    /// Debian's name for its processors.
    pub(super) architecture: String,
    nixos: Option<Version>,
    debian: Option<Version>,
    /// Whether the package is installed as a whole, with its scripts run.
    whole: bool,
    git: Option<Version>,
    /// Why what lies at `ringrift_path` is no checkout.
    no_git: String,
}

/// Follows the look at the daemon: `unit` and `pid` are its names.
const VERSIONS: &str = r#"
if [ -d /run/systemd/system ]; then pid=$(systemctl show "$unit" -p MainPID --value 2>/dev/null); fi
exe=
[ "${pid:-0}" = 0 ] || exe=$(readlink "/proc/$pid/exe" 2>/dev/null)
exe=${exe% (deleted)}
# Of a daemon that starts again and again the process may not be the daemon yet.
case ${exe##*/} in *ringrift-p2p*) ;; *) exe= ;; esac
# Where the daemon does not run, or is not ours to look at.
[ -n "$exe" ] || exe=$(command -v ringrift-p2p)
if [ -e /etc/NIXOS ]; then
  echo "system=$(readlink -f /run/current-system)"
  [ -z "$exe" ] || echo "program=$("$exe" --version 2>/dev/null | sed 's/.* //')"
fi
if command -v dpkg-query > /dev/null; then
  package=
  [ -z "$exe" ] || package=$(dpkg-query -S "$exe" 2>/dev/null | sed -n 's/:.*//p' | head -n 1)
  # A package that is broken may have lost its program; one of another name may not be there at all.
  case $exe in '' | /usr/bin/*) package=${package:-ringrift-p2p} ;; esac
  if [ -n "$package" ]; then
    dpkg-query -W -f='installed=${Package} ${Version} ${db:Status-Status}\n' "$package" 2>/dev/null
    echo "architecture=$(dpkg --print-architecture 2>/dev/null)"
  fi
fi
"#;

const CHECKOUT: &str = r#"
if cd CHECKOUT 2>/dev/null; then
  if said=$(git rev-parse HEAD 2>&1); then
    echo "commit=$said"
    echo "branch=$(git symbolic-ref -q --short HEAD)"
  else
    echo "no_git=$(echo "$said" | head -n 1)"
  fi
fi
"#;

/// Looks at a node, and changes nothing.
pub(super) async fn at(ssh: &Ssh, host: &Host) -> Result<Found, Unreached> {
    let checkout = host.ringrift_path.as_deref().map(|path| CHECKOUT.replace("CHECKOUT", &remote_path(path)));
    let ran = ssh.run(host, &format!("{}\n{VERSIONS}{}", script::look(), checkout.unwrap_or_default())).await?;
    Ok(Found::read(&ran))
}

impl Found {
    fn read(ran: &Ran) -> Self {
        let facts: BTreeMap<&str, &str> = ran.out.lines().filter_map(|line| line.split_once('=')).collect();
        let fact = |key: &str| facts.get(key).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let installed = fact("installed").unwrap_or_default();
        let (debian, whole) = match installed.split(' ').collect::<Vec<_>>().as_slice() {
            // Removed, with or without its configuration.
            [_, _, "not-installed" | "config-files"] => (None, false),
            [package, version, status] if !version.is_empty() => (
                Some(Version::Debian { package: (*package).to_owned(), version: (*version).to_owned() }),
                *status == "installed",
            ),
            _ => (None, false),
        };
        Self {
            state: script::read(ran),
            architecture: fact("architecture").unwrap_or_default(),
            nixos: fact("system").map(|system| Version::Nixos { system, program: fact("program").unwrap_or_default() }),
            debian,
            whole,
            git: fact("commit").map(|commit| Version::Git { commit, branch: fact("branch") }),
            no_git: fact("no_git").unwrap_or_default(),
        }
    }

    /// How the node is updated: as it was said, or else as its daemon was installed.
    pub(super) fn way(&self, said: Option<Way>) -> Result<Way, String> {
        let found = [(Way::Nixos, &self.nixos), (Way::Debian, &self.debian), (Way::Git, &self.git)];
        let mut those = found.into_iter().filter(|(way, version)| version.is_some() && said.is_none_or(|s| s == *way));
        those.next().map(|(way, _)| way).ok_or_else(|| {
            let mut why = match said {
                Some(Way::Nixos) => "it is not NixOS".to_owned(),
                Some(Way::Debian) => "no Debian package of the program is installed".to_owned(),
                Some(Way::Git) => "there is no git checkout at its ringrift_path".to_owned(),
                None => {
                    "it is neither NixOS, nor is its daemon from a Debian package, nor has it a git checkout".to_owned()
                }
            };
            if !self.no_git.is_empty() && matches!(said, None | Some(Way::Git)) {
                why = format!("{why}: {}", self.no_git);
            }
            why
        })
    }

    /// What it has of this kind.
    pub(super) fn version(&self, way: Way) -> Option<&Version> {
        match way {
            Way::Nixos => self.nixos.as_ref(),
            Way::Debian => self.debian.as_ref(),
            Way::Git => self.git.as_ref(),
        }
    }

    /// Whether it has exactly this, and nothing of it is half done.
    pub(super) fn has(&self, version: &Version) -> bool {
        match (version, self.version(version.way())) {
            (Version::Nixos { system, .. }, Some(Version::Nixos { system: here, .. })) => system == here,
            (version @ Version::Debian { .. }, Some(here)) => version == here && self.whole,
            (version, Some(here)) => version == here,
            (_, None) => false,
        }
    }

    /// The number of the daemon's process.
    pub(super) fn pid(&self) -> Option<u32> {
        pid(&self.state)
    }
}

/// The number of the daemon's process, if it runs.
pub(super) fn pid(state: &State) -> Option<u32> {
    match state {
        State::Running(running) => Some(running.pid),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(out: &str) -> Found {
        Found::read(&Ran { code: 0, out: out.to_owned(), err: String::new() })
    }

    #[test]
    fn the_way_is_the_first_that_is_there_or_the_one_that_was_said() {
        let all = found(
            "system=/nix/store/a-s\nprogram=0.1.0\ninstalled=ringrift-p2p 0.1.0 installed\narchitecture=amd64\ncommit=c0\nbranch=main",
        );
        let package = found("installed=ringrift-p2p 0.1.0 half-configured\ncommit=c0\nbranch=");
        let removed = found("installed=ringrift-p2p 0.1.0 config-files\ncommit=c0\nbranch=");
        let nothing = found("no_git=fatal: not a git repository");
        for (found, said, expected) in [
            (&all, None, Ok(Way::Nixos)),
            (&all, Some(Way::Git), Ok(Way::Git)),
            (&package, None, Ok(Way::Debian)),
            (&package, Some(Way::Nixos), Err("it is not NixOS")),
            (&removed, None, Ok(Way::Git)),
            (&removed, Some(Way::Debian), Err("no Debian package of the program is installed")),
            (
                &nothing,
                Some(Way::Git),
                Err("there is no git checkout at its ringrift_path: fatal: not a git repository"),
            ),
        ] {
            assert_eq!(found.way(said), expected.map_err(ToOwned::to_owned), "{found:?} {said:?}");
        }
        assert!(nothing.way(None).is_err());
    }

    #[test]
    fn a_package_that_is_half_installed_is_not_there() {
        let version = Version::Debian { package: "ringrift-p2p".to_owned(), version: "0.1.0".to_owned() };
        assert!(found("installed=ringrift-p2p 0.1.0 installed").has(&version));
        assert!(!found("installed=ringrift-p2p 0.1.0 half-configured").has(&version));
        assert!(!found("installed=ringrift-p2p 0.2.0 installed").has(&version));
        let commit = Version::Git { commit: "c0".to_owned(), branch: None };
        assert!(found("commit=c0\nbranch=").has(&commit));
        assert!(!found("commit=c0\nbranch=main").has(&commit));
    }
}
