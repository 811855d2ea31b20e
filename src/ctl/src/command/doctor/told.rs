//! What daemons tell: of voters, components, models, and the training pipeline.

use ringrift_api::{
    Client, ClientError, ClusterComponents, Component, ComponentStatus, Health, ManifestState, VotersReport,
};
use ringrift_config::{Host, NodeId};
use ringrift_fleet::{Line, Outcome};

use super::{Finding, Rank};
use crate::{
    command::{cluster::Looked, health_check::needs_torch},
    fleet::Fleet,
};

pub(super) async fn voters(client: &Client, findings: &mut Vec<Finding>) {
    let Ok(report) = client.get_json::<VotersReport>("/api/voters").await else { return };
    let dead: Vec<&NodeId> = report.voters.iter().filter(|voter| !voter.alive).map(|voter| &voter.node_id).collect();
    let names = dead.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(" ");
    if report.leader_id.is_none() || !report.quorum_ok {
        findings.push(Finding {
            rank: Rank::NoQuorum,
            warning: false,
            what: "there is no leader".to_owned(),
            evidence: format!(
                "{} of {} voters are alive, {} are needed",
                report.voters_alive,
                report.voters.len(),
                report.quorum_size
            ),
            remedy: if dead.is_empty() {
                "an election takes seconds: look again with `ringriftctl voters`".to_owned()
            } else {
                format!("`ringriftctl cluster start --node {names}`")
            },
        });
    }
    if !report.pending.is_empty() {
        findings.push(Finding {
            rank: Rank::VotersDiffer,
            warning: false,
            what: "hosts file and cluster name different voters".to_owned(),
            evidence: report.pending.join(", "),
            remedy: "`ringriftctl hosts distribute` gives every node the file that is here".to_owned(),
        });
    }
}

/// What daemons say of their own components: disks, memory, GPUs, models, stuck subsystems, databases.
pub(super) async fn components(fleet: &Fleet, client: &Client, looked: &Looked, findings: &mut Vec<Finding>) {
    let hosts: Vec<&Host> = looked.running.iter().collect();
    let ask = async |host: &Host, _: &Line| {
        let (_, health) = client.through(&host.id).get_json_any::<Health>("/health").await?;
        Ok::<Vec<Component>, ClientError>(health.components)
    };
    let told = |asked: &Result<Vec<Component>, ClientError>| match asked {
        Ok(components) => format!("{} components", components.len()),
        Err(error) => error.to_string(),
    };
    for (host, outcome) in hosts.iter().zip(fleet.each("asking", &hosts, ask, told).await) {
        // One that runs and cannot be asked over the API was asked over SSH, and has nothing more to say.
        let Outcome::Done(Ok(components)) = outcome else { continue };
        for component in components {
            let Some(warning) = is_warning(component.status) else { continue };
            findings.push(Finding {
                rank: if warning { Rank::Warning } else { Rank::Error },
                warning,
                what: format!("{} of {} {}", component.name, host.id, deserves(warning)),
                evidence: component.message.clone(),
                remedy: remedy(&component.name, &host.id),
            });
        }
    }
}

/// Nodes that lack promoted models, and do not just fetch them.
pub(super) async fn models(client: &Client, looked: &Looked, findings: &mut Vec<Finding>) {
    let Ok(progress) = client.models_progress(None).await else { return };
    for host in &looked.running {
        let mut lacking = Vec::new();
        let mut no_space = false;
        for model in &progress.models {
            let Some(node) = model.nodes.iter().find(|node| node.node_id == host.id) else { continue };
            let wrong = match node.state {
                ManifestState::Verified | ManifestState::Kept => false,
                ManifestState::NoSpace | ManifestState::Damaged => true,
                ManifestState::Fetching | ManifestState::Missing | ManifestState::Outdated => !node.message.is_empty(),
            };
            if wrong {
                no_space |= node.state == ManifestState::NoSpace;
                let why = if node.message.is_empty() { node.state.as_str() } else { node.message.as_str() };
                lacking.push(format!("{}: {why}", model.name));
            }
        }
        let id = &host.id;
        if !lacking.is_empty() {
            findings.push(Finding {
                rank: Rank::Models,
                warning: false,
                what: format!("{id} does not get its models"),
                evidence: lacking.join("; "),
                remedy: if no_space {
                    format!("`ringriftctl data cleanup --dry-run` on {id} shows what may go")
                } else {
                    format!("`ringriftctl models verify --host {id}`, `ringriftctl logs --node {id}`")
                },
            });
        }
    }
}

/// What the files of the training pipeline say, of nodes whose role has to do with it.
pub(super) async fn pipeline(client: &Client, looked: &Looked, findings: &mut Vec<Finding>) {
    let Ok(all) = client.get_json::<ClusterComponents>("/api/health/components?cluster=true").await else { return };
    let reports = all.nodes.iter().filter_map(|node| Some((&node.node_id, node.report.as_ref()?)));
    for (id, report) in reports {
        if !looked.running.iter().any(|host| host.id == *id && needs_torch(host)) {
            continue;
        }
        // The others are told of by the daemon's own health.
        let own = ["coordinator_managers", "resources"];
        for component in report.components.iter().filter(|component| !own.contains(&component.name.as_str())) {
            let Some(warning) = is_warning(component.status) else { continue };
            findings.push(Finding {
                rank: Rank::Pipeline,
                warning,
                what: format!("{} of {id} {}", component.name, deserves(warning)),
                evidence: component.message.clone(),
                remedy: remedy(&component.name, id),
            });
        }
    }
}

/// Whether a component's status is a warning; `None` if nothing is wrong.
fn is_warning(status: ComponentStatus) -> Option<bool> {
    match status {
        ComponentStatus::Error => Some(false),
        ComponentStatus::Warning => Some(true),
        ComponentStatus::Ok | ComponentStatus::Unknown => None,
    }
}

fn deserves(warning: bool) -> &'static str {
    if warning { "needs attention" } else { "fails" }
}

fn remedy(component: &str, node: &NodeId) -> String {
    match component {
        "resources" => format!(
            "`ringriftctl jobs here {node}` shows what runs there; of a full disk `ringriftctl data cleanup --help`"
        ),
        "models" => "`ringriftctl models verify`".to_owned(),
        "gpu" => "`nvidia-smi` there; docs/operations.md: GPUs".to_owned(),
        "data_sync" => format!(
            "`ringriftctl db check --node {node}`; a damaged one: `ringriftctl db repair F` there, or `ringriftctl db restore --from OTHER`"
        ),
        "training" | "evaluation" | "coordinator" => {
            format!("`ringriftctl health components {node}`, `ringriftctl jobs list`")
        }
        "coordinator_managers" => {
            format!("`ringriftctl logs --node {node}`, then `ringriftctl cluster restart --node {node}`")
        }
        _ => format!("`ringriftctl health {node}`, `ringriftctl logs --node {node}`"),
    }
}
