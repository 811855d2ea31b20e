use std::fmt;

use serde::{Serialize, Serializer};

/// What the operator says of a host. Only [`Status::Ready`] is given work.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Status {
    /// In use.
    Ready,
    /// Not in use any more.
    Retired,
    /// Switched off for now.
    Offline,
    /// Passes connections on and does nothing else.
    ProxyOnly,
    /// Given back to its provider.
    Terminated,
    /// Given back to its provider, with its disk.
    Destroyed,
    /// Not yet set up.
    PendingSetup,
    /// Its tailnet wants somebody to log in.
    NeedsTailscaleAuth,
    /// Being set up.
    Setup,
    /// Not yet set up.
    NeedsSetup,
    /// Does not let us in.
    SshKeyRejected,
    /// Switched off by an operator.
    Disabled,
    /// An operator is at work there.
    Maintenance,
    /// A word of the operator's own.
    Other(String),
}

impl Status {
    /// Every status with a meaning of its own, as hosts files spell it.
    pub const NAMES: [&str; 13] = [
        "ready",
        "retired",
        "offline",
        "proxy_only",
        "terminated",
        "destroyed",
        "pending_setup",
        "needs_tailscale_auth",
        "setup",
        "needs_setup",
        "ssh_key_rejected",
        "disabled",
        "maintenance",
    ];

    /// As the hosts file spells it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ready => "ready",
            Self::Retired => "retired",
            Self::Offline => "offline",
            Self::ProxyOnly => "proxy_only",
            Self::Terminated => "terminated",
            Self::Destroyed => "destroyed",
            Self::PendingSetup => "pending_setup",
            Self::NeedsTailscaleAuth => "needs_tailscale_auth",
            Self::Setup => "setup",
            Self::NeedsSetup => "needs_setup",
            Self::SshKeyRejected => "ssh_key_rejected",
            Self::Disabled => "disabled",
            Self::Maintenance => "maintenance",
            Self::Other(text) => text,
        }
    }
}

impl From<&str> for Status {
    fn from(text: &str) -> Self {
        match text {
            "ready" => Self::Ready,
            "retired" => Self::Retired,
            "offline" => Self::Offline,
            "proxy_only" => Self::ProxyOnly,
            "terminated" => Self::Terminated,
            "destroyed" => Self::Destroyed,
            "pending_setup" => Self::PendingSetup,
            "needs_tailscale_auth" => Self::NeedsTailscaleAuth,
            "setup" => Self::Setup,
            "needs_setup" => Self::NeedsSetup,
            "ssh_key_rejected" => Self::SshKeyRejected,
            "disabled" => Self::Disabled,
            "maintenance" => Self::Maintenance,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_meaning_and_every_other_word_is_kept() {
        for name in Status::NAMES {
            let status = Status::from(name);
            assert!(!matches!(status, Status::Other(_)), "{name}");
            assert_eq!(status.to_string(), name);
        }
        assert_eq!(Status::from("Ready"), Status::Other("Ready".to_owned()));
    }
}
