use std::{fmt, rc::Rc};

use ringrift_config::Host;
use ringrift_fleet::Ssh;

use super::{
    checkout,
    debian::{self, Package},
    look::Found,
    nixos,
    version::{Version, Way},
};

/// What a node is to have.
#[derive(Debug, Clone)]
pub(super) enum Goal {
    /// The system that the flake has for it.
    Flake(String),
    /// The package in this file.
    Package(Rc<Package>),
    /// The version of its package, or the newest, that its apt finds.
    Apt(Option<String>),
    /// The newest commit of its branch, or this tag, branch or commit.
    Checkout(Option<String>),
    /// What it had before.
    Before(Version),
}

/// What there is to update nodes with.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) flake: Option<String>,
    pub(super) packages: Vec<Rc<Package>>,
    pub(super) to: Option<String>,
}

impl Sources {
    /// What a node is to have that was found so. The sentence is why nothing here is for it.
    pub(super) fn goal(&self, way: Way, found: &Found) -> Result<Goal, String> {
        match way {
            Way::Nixos => match &self.flake {
                Some(flake) => Ok(Goal::Flake(flake.clone())),
                None => Err("it is NixOS, and no --flake was given".to_owned()),
            },
            Way::Debian if self.packages.is_empty() => Ok(Goal::Apt(self.to.clone())),
            Way::Debian => {
                let Some(Version::Debian { package: name, .. }) = found.version(way) else {
                    return Err("no Debian package of the program is installed".to_owned());
                };
                let fits = |package: &&Rc<Package>| package.name == *name && package.fits(&found.architecture);
                self.packages
                    .iter()
                    .find(fits)
                    .cloned()
                    .map(Goal::Package)
                    .ok_or_else(|| format!("no --package was given that replaces {name} on {}", found.architecture))
            }
            Way::Git => Ok(Goal::Checkout(self.to.clone())),
        }
    }
}

impl Goal {
    pub(super) fn way(&self) -> Way {
        match self {
            Self::Flake(_) => Way::Nixos,
            Self::Package(_) | Self::Apt(_) => Way::Debian,
            Self::Checkout(_) => Way::Git,
            Self::Before(version) => version.way(),
        }
    }

    /// Whether a node that was found so has it; `None` where only those who bring it know.
    pub(super) fn is_met(&self, found: &Found) -> Option<bool> {
        let package = |name: &str, version: &str| {
            Some(found.has(&Version::Debian { package: name.to_owned(), version: version.to_owned() }))
        };
        match self {
            Self::Package(wanted) => package(&wanted.name, &wanted.version),
            Self::Apt(Some(wanted)) => match found.version(Way::Debian) {
                Some(Version::Debian { package: name, .. }) => package(name, wanted),
                _ => Some(false),
            },
            Self::Before(version) => Some(found.has(version)),
            Self::Flake(_) | Self::Apt(None) | Self::Checkout(_) => None,
        }
    }

    /// Brings it to the node. `here` is what the node has, `before` what there will be to go back to. The sentence is why it
    /// failed.
    pub(super) async fn bring(
        &self,
        ssh: &Ssh,
        host: &Host,
        here: Option<&Version>,
        before: &Version,
    ) -> Result<(), String> {
        let package = || match before {
            Version::Debian { package, version } => Ok((package.as_str(), version.as_str())),
            other => Err(format!("{other} is no version of a package")),
        };
        match self {
            Self::Flake(flake) => nixos::switch(ssh, host, flake).await,
            Self::Package(wanted) => wanted.install(ssh, host, package()?.1).await,
            Self::Apt(wanted) => {
                let (name, before) = package()?;
                debian::from_apt(ssh, host, name, wanted.as_deref(), before).await
            }
            Self::Checkout(to) => checkout::update(ssh, host, to.as_deref(), here == Some(before)).await,
            Self::Before(Version::Nixos { system, .. }) => nixos::go_back(ssh, host, system).await,
            Self::Before(Version::Debian { package, version }) => debian::go_back(ssh, host, package, version).await,
            Self::Before(Version::Git { commit, branch }) => {
                checkout::go_back(ssh, host, commit, branch.as_deref()).await
            }
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flake(flake) => write!(f, "what {flake} has for it"),
            Self::Package(package) => write!(f, "{} of {}", package.version, package.path.display()),
            Self::Apt(Some(version)) => write!(f, "{version} by apt-get"),
            Self::Apt(None) => f.write_str("the newest that apt-get finds"),
            Self::Checkout(Some(to)) => f.write_str(to),
            Self::Checkout(None) => f.write_str("the newest of its branch"),
            Self::Before(version) => write!(f, "{version}, which it had before"),
        }
    }
}
