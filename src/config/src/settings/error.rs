use std::{io, net::IpAddr, path::PathBuf, time::Duration};

use super::setting::Source;
use crate::{Finding, TokenError};

/// Why the settings cannot be used. Each names the flag, variable or line that is to blame.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A variable whose text does not say what it should.
    #[error("{variable}: expected {expected}, found {found:?}")]
    Variable {
        /// The variable.
        variable: &'static str,
        /// What it should say.
        expected: String,
        /// What it says.
        found: String,
    },
    /// The settings file is wrong somewhere.
    #[error("{0}")]
    File(Finding),
    /// A file that somebody named cannot be read.
    #[error("cannot read {} (from {named_by}): {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Who named it.
        named_by: Source,
        /// What the system said.
        error: io::Error,
    },
    /// A token that cannot be used.
    #[error("{named_by}: {error}")]
    Token {
        /// Where it comes from.
        named_by: Source,
        /// What is wrong with it.
        error: TokenError,
    },
    /// There is an old token and no new one.
    #[error(
        "{0}: there is an old token and no token in force; during a change the new token is given as the token, the one before as the old one"
    )]
    OldTokenAlone(Source),
    /// Nobody named the node, and the machine's name is not a node id.
    #[error(
        "the host name {0:?} is not a node id (1 to 63 letters, digits, '.', '_' or '-'); name this node with --node-id or RINGRIFT_NODE_ID"
    )]
    HostName(String),
    /// Two services on one port.
    #[error("{} ({}) and {} ({}) are both {port}; each needs a port of its own", first.0, first.1, second.0, second.1)]
    SamePort {
        /// A setting and its source.
        first: (&'static str, Source),
        /// Another setting and its source.
        second: (&'static str, Source),
        /// The port.
        port: u16,
    },
    /// The election timeouts leave nothing to chance, and votes would split for ever.
    #[error("election_timeout_min ({min:?}, {}) must be below election_timeout_max ({max:?}, {})", sources.0, sources.1)]
    ElectionTimeouts {
        /// The shorter one.
        min: Duration,
        /// The longer one.
        max: Duration,
        /// Where both come from.
        sources: (Source, Source),
    },
    /// One late heartbeat would start an election.
    #[error("heartbeat ({heartbeat:?}, {}) must be below half of election_timeout_min ({min:?}, {}), or one late heartbeat costs the leader its place", sources.0, sources.1)]
    Heartbeat {
        /// The heartbeat.
        heartbeat: Duration,
        /// The election timeout.
        min: Duration,
        /// Where both come from.
        sources: (Source, Source),
    },
    /// Two limits the wrong way round.
    #[error("{} ({}, {}) must not be above {} ({}, {})", low.0, low.1, low.2, high.0, high.1, high.2)]
    Order {
        /// The one that comes first: its name, its value, where it comes from.
        low: (&'static str, u32, Source),
        /// The one that comes after it.
        high: (&'static str, u32, Source),
    },
    /// Own certificates need all three files.
    #[error("{given} ({named_by}) is set and {missing} is not: own certificates need tls_ca, tls_cert and tls_key")]
    TlsIncomplete {
        /// One that is there.
        given: &'static str,
        /// Where it comes from.
        named_by: Source,
        /// One that is not.
        missing: &'static str,
    },
    /// Other machines could reach a node that asks nobody for a token.
    #[error(
        "bind_addr is {address} ({named_by}) and there is no cluster token: without one only loopback is served. Give a token with --token-file or RINGRIFT_CLUSTER_AUTH_TOKEN_FILE (`ringriftctl token new` makes one), or leave bind_addr at 127.0.0.1, or say --insecure if everybody who reaches this port may do everything"
    )]
    OpenWithoutToken {
        /// The address.
        address: IpAddr,
        /// Where it comes from.
        named_by: Source,
    },
    /// More than one of them, one a line.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<SettingsError>),
}

impl SettingsError {
    pub(crate) fn of(mut problems: Vec<Self>) -> Option<Self> {
        match problems.len() {
            0 => None,
            1 => problems.pop(),
            _ => Some(Self::Several(problems)),
        }
    }
}
