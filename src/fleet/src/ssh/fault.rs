use std::fmt;

use ringrift_config::Host;

/// Why a node is not reached over SSH. Ordered by how far the connection came: what came furthest tells most.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// There is no `ssh` to run.
    NoProgram(String),
    /// Its name means no address.
    NameNotResolved,
    /// No way leads there.
    NoRoute,
    /// Nothing answered in time.
    Timeout,
    /// The machine answers, and nothing listens on the port.
    Refused,
    /// Something else, in ssh's words.
    Other(String),
    /// The other end hung up before anybody was logged in.
    Closed,
    /// Nobody has vouched for its host key.
    HostKeyUnknown,
    /// Its host key is another than the known one.
    HostKeyChanged,
    /// The private key may be read by others, so ssh does not use it.
    KeyUnprotected,
    /// It accepts none of the keys.
    PermissionDenied,
    /// The connection ended while the command ran: what it did is not known.
    Lost,
}

impl Fault {
    /// From what `ssh` wrote to standard error before it ended with 255 (ssh(1)).
    pub fn of(said: &str) -> Self {
        // The first that is found counts: a changed key is followed by "Host key verification failed", an unprotected one by
        // "Permission denied".
        let known: [(&str, Self); 20] = [
            ("REMOTE HOST IDENTIFICATION HAS CHANGED", Self::HostKeyChanged),
            ("UNPROTECTED PRIVATE KEY FILE", Self::KeyUnprotected),
            ("Host key verification failed", Self::HostKeyUnknown),
            ("host key is known for", Self::HostKeyUnknown),
            ("Permission denied", Self::PermissionDenied),
            ("Too many authentication failures", Self::PermissionDenied),
            ("No more authentication methods", Self::PermissionDenied),
            ("Could not resolve hostname", Self::NameNotResolved),
            ("Name or service not known", Self::NameNotResolved),
            ("No route to host", Self::NoRoute),
            ("Network is unreachable", Self::NoRoute),
            ("Connection refused", Self::Refused),
            ("Connection timed out", Self::Timeout),
            ("Operation timed out", Self::Timeout),
            ("Timeout, server", Self::Timeout),
            ("timed out", Self::Timeout),
            ("Connection closed", Self::Closed),
            ("Connection reset", Self::Closed),
            ("Broken pipe", Self::Closed),
            ("kex_exchange_identification", Self::Closed),
        ];
        known
            .into_iter()
            .find(|(words, _)| said.contains(words))
            .map_or_else(|| Self::Other(last_line(said)), |(_, f)| f)
    }

    /// The word for it in JSON.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NoProgram(_) => "no_ssh",
            Self::NameNotResolved => "name_not_resolved",
            Self::NoRoute => "no_route",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Other(_) => "other",
            Self::Closed => "closed",
            Self::HostKeyUnknown => "host_key_unknown",
            Self::HostKeyChanged => "host_key_changed",
            Self::KeyUnprotected => "key_unprotected",
            Self::PermissionDenied => "permission_denied",
            Self::Lost => "lost",
        }
    }

    /// What mends it, after the operators' runbook.
    pub fn remedy(&self, host: &Host) -> String {
        let (id, port) = (&host.id, host.ssh_port);
        let key = host.ssh_key.as_deref().unwrap_or("~/.ssh/id_cluster");
        let at = host.ssh_endpoints().last().map_or_else(|| id.to_string(), |(address, _)| address.clone());
        match self {
            Self::NoProgram(_) => "install OpenSSH's client (package openssh-client), or name it with --ssh".to_owned(),
            Self::NameNotResolved => {
                format!("correct ssh_host of {id} in the hosts file; is the tailnet up (`tailscale status`)?")
            }
            Self::NoRoute => format!("is the tailnet up (`tailscale status`), and ssh_host of {id} still its address?"),
            Self::Timeout => format!(
                "is the machine on, and its address in the hosts file right? Open the port in its firewall (`sudo ufw allow \
                 {port}/tcp` there)"
            ),
            Self::Refused => {
                format!(
                    "no SSH server listens there: correct ssh_port of {id} (now {port}), or start it (`systemctl start ssh`)"
                )
            }
            Self::Other(_) | Self::Closed => {
                format!("`ssh -v -p {port} {at}` shows more; on the node `journalctl -u ssh` does")
            }
            Self::HostKeyUnknown => format!("`ringriftctl ssh setup --node {id}` shows its key and records it"),
            Self::HostKeyChanged => format!(
                "if the machine was set up anew: `ssh-keygen -R {}`, then `ringriftctl ssh setup --node {id}`; if not, somebody \
                 may stand between",
                super::quoted(&known_name(&at, port))
            ),
            Self::KeyUnprotected => format!("`chmod 600 {key}`"),
            Self::PermissionDenied => {
                format!(
                    "`ringriftctl ssh setup --node {id}`, or `ssh-copy-id -i {key}.pub`; does ssh_key name the right key?"
                )
            }
            Self::Lost => format!("look at the node before you repeat it: `ringriftctl cluster check --node {id}`"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoProgram(why) => return write!(f, "cannot run ssh: {why}"),
            Self::Other(said) => return write!(f, "SSH: {said}"),
            Self::NameNotResolved => "name not resolved",
            Self::NoRoute => "no route to host",
            Self::Timeout => "SSH timeout",
            Self::Refused => "connection refused",
            Self::Closed => "connection closed by the other end",
            Self::HostKeyUnknown => "host key unknown",
            Self::HostKeyChanged => "host key changed",
            Self::KeyUnprotected => "private key readable by others",
            Self::PermissionDenied => "permission denied",
            Self::Lost => "connection lost while the command ran",
        })
    }
}

/// How `known_hosts` calls an address (sshd(8)).
fn known_name(address: &str, port: u16) -> String {
    if port == Host::SSH_PORT { address.to_owned() } else { format!("[{address}]:{port}") }
}

fn last_line(said: &str) -> String {
    said.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it said nothing").to_owned()
}

/// Every endpoint of a host, and why it is not reached there; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreached {
    /// Address, port and fault, in the order in which they were tried.
    pub tried: Vec<(String, u16, Fault)>,
}

impl Unreached {
    /// The one that tells most.
    pub fn fault(&self) -> &Fault {
        self.tried.iter().map(|(_, _, fault)| fault).max().unwrap_or(&Fault::Timeout)
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fault())?;
        if let [(address, port, _)] = self.tried.as_slice() {
            return write!(f, " at {address} port {port}");
        }
        let parts: Vec<String> =
            self.tried.iter().map(|(address, port, fault)| format!("{address} port {port}: {fault}")).collect();
        write!(f, " ({})", parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_says_why_and_we_understand_it() {
        for (said, expected) in [
            ("ssh: connect to host 10.0.0.1 port 22: Connection timed out", Fault::Timeout),
            ("Connection timed out during banner exchange\nConnection to 10.0.0.1 port 22 timed out", Fault::Timeout),
            ("ssh: connect to host 10.0.0.1 port 22: Connection refused", Fault::Refused),
            ("ssh: connect to host 10.0.0.1 port 22: No route to host", Fault::NoRoute),
            ("ssh: connect to host 10.0.0.1 port 22: Network is unreachable", Fault::NoRoute),
            ("ssh: Could not resolve hostname nowhere: Name or service not known", Fault::NameNotResolved),
            (
                "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.",
                Fault::HostKeyChanged,
            ),
            (
                "No ED25519 host key is known for [a]:1 and you have requested strict checking.\nHost key verification failed.",
                Fault::HostKeyUnknown,
            ),
            ("root@10.0.0.1: Permission denied (publickey).", Fault::PermissionDenied),
            (
                "@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\nroot@a: Permission denied (publickey).",
                Fault::KeyUnprotected,
            ),
            ("Received disconnect from ::1: Too many authentication failures", Fault::PermissionDenied),
            ("kex_exchange_identification: Connection closed by remote host", Fault::Closed),
            ("Connection reset by 10.0.0.1 port 22", Fault::Closed),
            ("Bad configuration option: x\nterminating", Fault::Other("terminating".to_owned())),
            ("", Fault::Other("it said nothing".to_owned())),
        ] {
            assert_eq!(Fault::of(said), expected, "{said}");
        }
    }

    #[test]
    fn the_endpoint_that_came_furthest_tells_why() {
        let tried = vec![
            ("100.64.0.1".to_owned(), 22, Fault::Timeout),
            ("host.example".to_owned(), 2222, Fault::PermissionDenied),
            ("other.example".to_owned(), 22, Fault::NoRoute),
        ];
        let unreached = Unreached { tried };
        assert_eq!(*unreached.fault(), Fault::PermissionDenied);
        assert_eq!(
            unreached.to_string(),
            "permission denied (100.64.0.1 port 22: SSH timeout; host.example port 2222: permission denied; other.example \
             port 22: no route to host)"
        );
    }
}
