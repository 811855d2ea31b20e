use std::collections::BTreeMap;

use ringrift_api::{Client, Health, Node, Status};
use ringrift_config::{Host, NodeId};
use ringrift_fleet::{Line, Ssh};

use super::{
    script,
    state::{Running, State},
};
use crate::{command::status, context::Context, failure::Failure};

/// The daemon at `--api`, and what it knows of the others; or why it is not asked.
#[derive(Debug)]
pub(crate) struct Api {
    client: Client,
    known: BTreeMap<NodeId, Node>,
    own: Option<NodeId>,
    pub(crate) status: Option<Status>,
    /// Why it does not answer.
    pub(crate) unasked: Option<Failure>,
}

impl Api {
    /// Asks for what it knows.
    pub(crate) async fn open(context: &Context) -> Result<Self, Failure> {
        let client = context.client(None)?;
        Ok(match client.get_json::<Status>(status::PATH).await {
            Ok(status) => Self {
                known: status.nodes.iter().map(|node| (node.node_id.clone(), node.clone())).collect(),
                own: Some(status.node_id.clone()),
                status: Some(status),
                client,
                unasked: None,
            },
            Err(error) => Self { client, known: BTreeMap::new(), own: None, status: None, unasked: Some(error.into()) },
        })
    }

    /// Whether the daemon of `host` answers.
    async fn ask(&self, host: &Host) -> Option<Running> {
        let own = self.own.as_ref()?;
        let client = if *own == host.id { self.client.clone() } else { self.client.through(&host.id) };
        // One that never said anything has no link either.
        let node = self.known.get(&host.id).filter(|node| *own == host.id || node.last_heartbeat > 0.0)?;
        let (_, health) = client.get_json_any::<Health>("/health").await.ok()?;
        Some(Running {
            pid: 0,
            role: if health.is_leader { "leader".to_owned() } else { health.role },
            version: node.version.clone(),
            advertise: node.host.clone(),
        })
    }

    /// How it is: asked over the API, else over SSH.
    pub(crate) async fn state(&self, ssh: &Ssh, host: &Host, line: &Line<'_>) -> State {
        line.says("asking its daemon");
        match self.ask(host).await {
            Some(running) => State::Running(running),
            None => over_ssh(ssh, host, line, &script::look()).await,
        }
    }

    /// A sentence for people, where nobody could be asked.
    pub(crate) fn remark(&self) -> Option<String> {
        self.unasked.as_ref().map(|failure| format!("note: {}; every node is asked over SSH\n", failure.message))
    }
}

/// Runs one of the scripts.
pub(crate) async fn over_ssh(ssh: &Ssh, host: &Host, line: &Line<'_>, script: &str) -> State {
    line.says("over SSH");
    match ssh.run(host, script).await {
        Ok(ran) => script::read(&ran),
        Err(unreached) => State::Unreachable(unreached),
    }
}
