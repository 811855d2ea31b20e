//! `systemctl reload`, SIGHUP and `ringriftctl reload`: settings and hosts file are read again, and certificates of the operator's
//! own.

use std::{collections::BTreeSet, sync::Arc};

use ringrift_api::{Reloaded, VoterChange};
use ringrift_config::{Flags, HostsFile, NodeId, Reread, Settings, StartPlan, start_plan};
use ringrift_link::Identity;
use tracing::{info, warn};

use crate::{
    check,
    http::{error::ApiError, operations::set},
    node::Shared,
    start, voters,
};

/// Loads the files, puts them in force here, and asks the leader for its voters. A file that is wrong changes nothing.
pub(crate) async fn reload(shared: &Shared) -> Result<Reloaded, ApiError> {
    let Ok(_one_at_a_time) = shared.reloading.try_lock() else {
        return Err(ApiError::Refused("another reload is under way".into()));
    };
    let result = load(shared).await;
    shared.reload_refused.store(result.as_ref().err().map(|error| Arc::new(error.to_string())));
    result
}

async fn load(shared: &Shared) -> Result<Reloaded, ApiError> {
    let (flags, in_force) = (shared.flags.clone(), shared.settings());
    let read = tokio::task::spawn_blocking(move || Read::all(&flags, &in_force));
    let Read { settings, hosts, certificates, mut warnings } = read
        .await
        .map_err(|e| ApiError::Internal(e.to_string()))?
        .map_err(|e| ApiError::Refused(format!("{}; what was in force stays in force", crate::sentence(&e))))?;
    let Reread { settings, mut changes, need_restart } = settings;
    if let Some(certificates) = certificates {
        shared.links.set_identity(certificates);
    }
    shared.set_settings(settings);
    let mut revision = String::new();
    let mut voters = None;
    if let Some((hosts, plan)) = hosts {
        warnings.extend(hosts.warnings.iter().map(ToString::to_string));
        warnings.extend(plan.warnings.iter().cloned());
        changes.extend(shared.hosts().map(|old| differences(&old, &hosts)).unwrap_or_default());
        revision.clone_from(&hosts.revision);
        shared.set_hosts(Arc::new(hosts), &plan);
        start::begin_to_vote(shared).await;
        let named: Vec<NodeId> = plan.voters.into_iter().collect();
        voters = have_voters(shared, &named, &revision).await?;
    }
    info!(%revision, ?changes, ?need_restart, "reloaded");
    let message = message(&changes, &need_restart, voters.is_some());
    let node_id = shared.node().clone();
    Ok(Reloaded { success: true, node_id, hosts_revision: revision, changes, need_restart, warnings, voters, message })
}

/// What is read before anything changes: what cannot be used must not leave half of a reload behind.
struct Read {
    settings: Reread,
    /// Of a node that has a hosts file. One that this node would not start on is not loaded either.
    hosts: Option<(HostsFile, StartPlan)>,
    /// The operator's own.
    certificates: Option<Identity>,
    warnings: Vec<String>,
}

impl Read {
    fn all(flags: &Flags, in_force: &Settings) -> anyhow::Result<Self> {
        let resolved = check::settings(flags)?;
        let settings = in_force.reread(&resolved.settings);
        let path = settings.settings.hosts_file.value.as_deref();
        let hosts = path.map(HostsFile::load).transpose()?;
        let hosts =
            hosts.map(|hosts| start_plan(&settings.settings, Some(&hosts)).map(|plan| (hosts, plan))).transpose()?;
        let own = settings.settings.tls.value.is_some();
        let certificates = own.then(|| start::identity(&settings.settings)).transpose()?;
        Ok(Self { settings, hosts, certificates, warnings: resolved.warnings })
    }
}

/// Has the voters of the hosts file agreed on, if they are others.
async fn have_voters(shared: &Shared, named: &[NodeId], revision: &str) -> Result<Option<VoterChange>, ApiError> {
    let leadership = shared.agreement.leadership();
    // Nothing to change needs no leader, and there may be none: the rest of the file may be what brings it back.
    if leadership.leader.is_none() && set(&leadership.voters) == set(named) {
        return Ok(None);
    }
    // The rest of the files is in force; the caller must still learn that the voters are not.
    let change = voters::propose_list(shared, named, revision)
        .await
        .inspect_err(|error| warn!(%error, "the voters of the hosts file were not put in force"))?;
    Ok(Some(change).filter(|change| change.from != change.to))
}

/// The answer in a sentence.
fn message(changes: &[String], need_restart: &[String], voters: bool) -> String {
    let message = match (changes, voters) {
        ([], false) => "reloaded; nothing changed".to_owned(),
        ([], true) => "reloaded: the voters changed".to_owned(),
        (changes, _) => format!("reloaded: {}", changes.join("; ")),
    };
    if need_restart.is_empty() {
        return message;
    }
    format!("{message}. In force after a restart alone: {}", need_restart.join("; "))
}

/// What two revisions of the file have different, for people.
fn differences(old: &HostsFile, new: &HostsFile) -> Vec<String> {
    let mut changes = Vec::new();
    let ids = |f: &HostsFile| f.hosts.keys().cloned().collect::<BTreeSet<NodeId>>();
    let (before, after) = (ids(old), ids(new));
    changes.extend(after.difference(&before).map(|id| format!("{id} added")));
    changes.extend(before.difference(&after).map(|id| format!("{id} removed")));
    for id in before.intersection(&after) {
        let (a, b) = (&old.hosts[id], &new.hosts[id]);
        if a.status != b.status {
            changes.push(format!("{id}: status {} → {}", a.status, b.status));
        } else if a != b {
            changes.push(format!("{id} changed"));
        }
    }
    let voters = |f: &HostsFile| f.voters.clone().unwrap_or_default().into_iter().collect::<BTreeSet<NodeId>>();
    let (before, after) = (voters(old), voters(new));
    changes.extend(after.difference(&before).map(|id| format!("voter {id} added")));
    changes.extend(before.difference(&after).map(|id| format!("voter {id} removed")));
    changes
}
