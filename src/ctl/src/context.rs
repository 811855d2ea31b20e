use std::{io::IsTerminal as _, path::PathBuf, time::Duration};

use ringrift_api::Client;
use ringrift_config::{HostsFile, NodeId};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use crate::{cli::Global, command, exit::Exit, failure::Failure, paint::Paint, token_source};

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Context {
    api: String,
    token_file: Option<PathBuf>,
    timeout: Duration,
    hosts: Option<PathBuf>,
    pub(crate) json: bool,
    pub(crate) paint: Paint,
}

/// An answer as it came, for `--json`, and as this version understands it.
#[derive(Debug)]
pub(crate) struct Fetched<T> {
    pub(crate) raw: Value,
    pub(crate) typed: T,
}

/// Where the hosts file lies when nobody says.
const HOSTS_FILES: [&str; 2] = ["/etc/ringrift-p2p/distributed_hosts.yaml", "config/distributed_hosts.yaml"];

impl Context {
    pub(crate) fn new(global: Global) -> Self {
        Self {
            api: global.api,
            token_file: global.token_file,
            timeout: global.timeout,
            hosts: global.hosts,
            json: global.json,
            paint: Paint::for_stdout(),
        }
    }

    /// A client of the daemon, or of `node` through it.
    pub(crate) fn client(&self, node: Option<&NodeId>) -> Result<Client, Failure> {
        let token = token_source::find(self.token_file.as_deref())?;
        let client = Client::new(&self.api, token)?.with_timeout(self.timeout);
        Ok(match node {
            Some(node) => client.through(node),
            None => client,
        })
    }

    /// How long a request may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether the output is for somebody who sits in front of it.
    pub(crate) fn is_interactive(&self) -> bool {
        !self.json && std::io::stdout().is_terminal() && std::io::stdin().is_terminal()
    }

    /// The hosts file that is meant, read.
    pub(crate) fn hosts(&self) -> Result<HostsFile, Failure> {
        command::hosts::load(&self.hosts_file()?)
    }

    /// The hosts file that is meant.
    pub(crate) fn hosts_file(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.hosts {
            return Ok(path.clone());
        }
        HOSTS_FILES.iter().map(PathBuf::from).find(|p| p.exists()).ok_or_else(|| {
            Failure::new(Exit::Failed, format!("there is no hosts file at {}", HOSTS_FILES.join(" or ")))
                .advise("Name it with --hosts FILE or RINGRIFT_HOSTS_FILE.")
        })
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Fetched<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Value::deserialize(deserializer)?;
        let typed = T::deserialize(&raw).map_err(serde::de::Error::custom)?;
        Ok(Self { raw, typed })
    }
}
