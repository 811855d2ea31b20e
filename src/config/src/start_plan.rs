use std::{collections::BTreeSet, path::PathBuf};

use crate::{Host, HostsFile, NodeId, Settings, Source, nearest::nearest};

/// What a daemon needs to know of the cluster before it starts.
#[derive(Debug, Clone)]
pub struct StartPlan {
    /// This node.
    pub node: NodeId,
    /// This node in the hosts file, if there is a file.
    pub host: Option<Host>,
    /// Who votes when the cluster is founded; later the agreed set counts.
    pub voters: BTreeSet<NodeId>,
    /// Who says so.
    pub voters_from: VotersFrom,
    /// The other nodes that are expected to run.
    pub known: Vec<NodeId>,
    /// What somebody should know; nothing that keeps this node from starting.
    pub warnings: Vec<String>,
}

/// Where the voters come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VotersFrom {
    /// `p2p_voters` of the hosts file.
    HostsFile,
    /// A setting that overrides it.
    Setting(Source),
    /// `single_node`: this node alone.
    SingleNode(Source),
}

/// Why a daemon does not start on these settings and this file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Neither the file nor a setting names voters.
    #[error("{}: p2p_voters: missing: a cluster needs voters. List 3 to 9 stable hosts there, or start this node as a cluster of its own with --single-node", file.display())]
    NoVoters {
        /// The hosts file.
        file: PathBuf,
    },
    /// The list of voters is there and has nobody in it.
    #[error("{}: p2p_voters: the list is empty. List 3 to 9 stable hosts there, or start this node as a cluster of its own with --single-node", file.display())]
    EmptyVoters {
        /// The hosts file.
        file: PathBuf,
    },
    /// Nothing describes the cluster.
    #[error("there is no hosts file ({searched} does not exist) and no voters are named. Name a file with --hosts or RINGRIFT_HOSTS_FILE, or the voters with --voters, or start this node as a cluster of its own with --single-node", searched = Settings::HOSTS_FILE)]
    NoHostsFile,
    /// This node is not in the file.
    #[error("this node is {node} ({named_by}), and {} has no such host{}; name it with --node-id or RINGRIFT_NODE_ID", file.display(), suggestion(near.as_ref(), hosts))]
    UnknownNode {
        /// What it is called.
        node: NodeId,
        /// Who calls it so.
        named_by: Source,
        /// The hosts file.
        file: PathBuf,
        /// The host that was probably meant.
        near: Option<NodeId>,
        /// The hosts that there are.
        hosts: Vec<NodeId>,
    },
    /// A voter of the settings is not in the file.
    #[error("voters ({named_by}): {voter} is not among the hosts of {}{}", file.display(), suggestion(near.as_ref(), hosts))]
    UnknownVoter {
        /// The voter.
        voter: NodeId,
        /// Who names it.
        named_by: Source,
        /// The hosts file.
        file: PathBuf,
        /// The host that was probably meant.
        near: Option<NodeId>,
        /// The hosts that there are.
        hosts: Vec<NodeId>,
    },
    /// Told to be alone, and told whom to be together with.
    #[error(
        "single_node ({named_by}) makes this node a cluster of its own, and {voters_from} names other voters ({}); take one of the two away",
        list(others)
    )]
    SingleNodeAmongVoters {
        /// Who says `single_node`.
        named_by: Source,
        /// Who names voters.
        voters_from: String,
        /// The other voters.
        others: Vec<NodeId>,
    },
}

/// Decides what a daemon starts as. `hosts` is the file that `settings.hosts_file` names.
pub fn start_plan(settings: &Settings, hosts: Option<&HostsFile>) -> Result<StartPlan, StartError> {
    let node = settings.node_id.value.clone();
    let host = match hosts {
        None => None,
        Some(file) => Some(file.hosts.get(&node).cloned().ok_or_else(|| StartError::UnknownNode {
            node: node.clone(),
            named_by: settings.node_id.source.clone(),
            file: file.path.clone(),
            near: near(&node, file),
            hosts: file.hosts.keys().cloned().collect(),
        })?),
    };
    let (voters, voters_from) = voters(settings, hosts)?;
    let alone = matches!(voters_from, VotersFrom::SingleNode(_));
    let expected = hosts.iter().filter(|_| !alone).flat_map(|file| file.hosts.values()).filter(|h| h.runs_daemon());
    let mut known: Vec<NodeId> = expected.map(|h| h.id.clone()).filter(|id| *id != node).collect();
    if hosts.is_none() {
        known.extend(voters.iter().filter(|id| **id != node).cloned());
    }
    let warnings = warnings(hosts, host.as_ref(), &voters);
    Ok(StartPlan { node, host, voters, voters_from, known, warnings })
}

impl StartPlan {
    /// Whether this node is one of the voters.
    pub fn is_voter(&self) -> bool {
        self.voters.contains(&self.node)
    }
}

fn voters(settings: &Settings, hosts: Option<&HostsFile>) -> Result<(BTreeSet<NodeId>, VotersFrom), StartError> {
    let node = &settings.node_id.value;
    let of_file = hosts.and_then(|file| file.voters.as_deref());
    let of_settings = settings.voters.value.as_deref();
    if *settings.single_node {
        let others = |voters: &[NodeId]| voters.iter().filter(|v| *v != node).cloned().collect::<Vec<_>>();
        let named = of_settings
            .map(|voters| (format!("voters ({})", settings.voters.source), others(voters)))
            .or_else(|| Some((format!("p2p_voters of {}", hosts?.path.display()), others(of_file?))));
        return match named {
            Some((voters_from, others)) if !others.is_empty() => {
                let named_by = settings.single_node.source.clone();
                Err(StartError::SingleNodeAmongVoters { named_by, voters_from, others })
            }
            Some(_) | None => {
                Ok((BTreeSet::from([node.clone()]), VotersFrom::SingleNode(settings.single_node.source.clone())))
            }
        };
    }
    if let Some(voters) = of_settings {
        let source = &settings.voters.source;
        if let Some(file) = hosts
            && let Some(unknown) = voters.iter().find(|voter| !file.hosts.contains_key(*voter))
        {
            return Err(StartError::UnknownVoter {
                voter: unknown.clone(),
                named_by: source.clone(),
                file: file.path.clone(),
                near: near(unknown, file),
                hosts: file.hosts.keys().cloned().collect(),
            });
        }
        return Ok((voters.iter().cloned().collect(), VotersFrom::Setting(source.clone())));
    }
    match (hosts, of_file) {
        (None, _) => Err(StartError::NoHostsFile),
        (Some(file), None) => Err(StartError::NoVoters { file: file.path.clone() }),
        (Some(file), Some([])) => Err(StartError::EmptyVoters { file: file.path.clone() }),
        (Some(_), Some(voters)) => Ok((voters.iter().cloned().collect(), VotersFrom::HostsFile)),
    }
}

fn warnings(hosts: Option<&HostsFile>, host: Option<&Host>, voters: &BTreeSet<NodeId>) -> Vec<String> {
    let mut warnings = Vec::new();
    let Some(file) = hosts else { return warnings };
    if let Some(host) = host.filter(|host| !host.runs_daemon()) {
        let why = if host.p2p_enabled { format!("status {}", host.status) } else { "p2p_enabled false".to_owned() };
        let (path, id) = (file.path.display(), &host.id);
        warnings.push(format!("{path}: hosts.{id} has {why}: other nodes do not expect this one, and it gets no work"));
    }
    let quorum = voters.len() / 2 + 1;
    let able = voters.iter().filter(|voter| file.hosts.get(*voter).is_some_and(Host::runs_daemon)).count();
    if able < quorum {
        warnings.push(format!(
            "{}: only {able} of {} voters are ready and p2p_enabled, and a leader needs {quorum}",
            file.path.display(),
            voters.len(),
        ));
    }
    warnings
}

fn near(wanted: &NodeId, file: &HostsFile) -> Option<NodeId> {
    let name = nearest(wanted.as_str(), file.hosts.keys().map(NodeId::as_str))?;
    file.hosts.get_key_value(name).map(|(id, _)| id.clone())
}

fn suggestion(near: Option<&NodeId>, hosts: &[NodeId]) -> String {
    match near {
        Some(near) => format!(" (did you mean {near}?)"),
        None => format!(" (it has {})", list(hosts)),
    }
}

/// The first few of them, and how many more there are.
fn list(ids: &[NodeId]) -> String {
    const SHOWN: usize = 10;
    let shown = ids.iter().take(SHOWN).map(NodeId::as_str).collect::<Vec<_>>().join(", ");
    match ids.len() {
        0 => "none".to_owned(),
        n if n > SHOWN => format!("{shown} and {} more", n - SHOWN),
        _ => shown,
    }
}

#[cfg(test)]
mod tests;
