use std::fmt::Write as _;

use clap::Args;
use ringrift_api::{Client, ClientError, Component, ComponentStatus, Health, Status, VotersReport};
use ringrift_config::{Host, NodeId};
use ringrift_fleet::{Line, Outcome};
use serde_json::json;

use super::cluster::{self, Looked};
use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    fleet::{Fleet, FleetArgs},
    paint::Tone,
    report::Report,
};

/// Which nodes.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    fleet: FleetArgs,
}

/// Something that is wrong, or may be.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// What comes first explains most of what follows.
    rank: Rank,
    what: String,
    evidence: String,
    remedy: String,
}

/// The runbook's troubleshooting chapter, what explains most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    NoDaemon,
    NoQuorum,
    NodeDown,
    VotersDiffer,
    Address,
    Error,
    Warning,
}

pub(crate) async fn run(context: &Context, args: &DoctorArgs) -> Result<Report, Failure> {
    let fleet = args.fleet.open(context)?;
    let looked = cluster::look(context, &fleet).await?;
    let mut findings = Vec::new();
    daemons(&looked, &mut findings);
    if let Ok(status) = &looked.status {
        addresses(status, &looked, &mut findings);
        let client = context.client(None)?;
        voters(&client, &mut findings).await;
        components(&fleet, &client, &looked, &mut findings).await;
    }
    findings.sort_by_key(|finding| finding.rank);
    Ok(report(context, &looked, &findings))
}

fn daemons(looked: &Looked, findings: &mut Vec<Finding>) {
    if let Err(failure) = &looked.status {
        findings.push(Finding {
            rank: Rank::NoDaemon,
            what: "the daemon that was to be asked does not answer".to_owned(),
            evidence: failure.message.clone(),
            remedy: "`systemctl status ringrift-p2p` there, or ask another node with --api".to_owned(),
        });
    }
    for (host, state, remedy) in &looked.down {
        findings.push(Finding {
            rank: Rank::NodeDown,
            what: format!("{} does not take part", host.id),
            evidence: state.clone(),
            remedy: remedy.clone(),
        });
    }
}

/// Nodes whose daemon tells the others another address than the hosts file does.
fn addresses(status: &Status, looked: &Looked, findings: &mut Vec<Finding>) {
    for host in looked.running.iter().filter(|host| !host.dials_out_only()) {
        let told = status.nodes.iter().find(|node| node.node_id == host.id).map(|node| node.host.as_str());
        let (Some(told), Some(expected)) = (told.filter(|told| !told.is_empty()), host.dial_host()) else { continue };
        if told != expected {
            findings.push(Finding {
                rank: Rank::Address,
                what: format!("{} may have the wrong address", host.id),
                evidence: format!("it advertises {told}, and the hosts file says {expected}"),
                remedy: format!(
                    "correct the hosts file or advertise_host, then `ringriftctl cluster restart --node {}`",
                    host.id
                ),
            });
        }
    }
}

async fn voters(client: &Client, findings: &mut Vec<Finding>) {
    let Ok(report) = client.get_json::<VotersReport>("/api/voters").await else { return };
    let dead: Vec<&NodeId> = report.voters.iter().filter(|voter| !voter.alive).map(|voter| &voter.node_id).collect();
    let names = dead.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(" ");
    if report.leader_id.is_none() || !report.quorum_ok {
        findings.push(Finding {
            rank: Rank::NoQuorum,
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
            what: "hosts file and cluster name different voters".to_owned(),
            evidence: report.pending.join(", "),
            remedy: "copy the right hosts file to every node, then `ringriftctl reload`".to_owned(),
        });
    }
}

/// What daemons say of their own components: disks, memory, GPUs, models, stuck subsystems, databases.
async fn components(fleet: &Fleet, client: &Client, looked: &Looked, findings: &mut Vec<Finding>) {
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
            let rank = match component.status {
                ComponentStatus::Error => Rank::Error,
                ComponentStatus::Warning => Rank::Warning,
                ComponentStatus::Ok | ComponentStatus::Unknown => continue,
            };
            findings.push(Finding {
                rank,
                what: format!(
                    "{} of {} {}",
                    component.name,
                    host.id,
                    if rank == Rank::Error { "fails" } else { "needs attention" }
                ),
                evidence: component.message.clone(),
                remedy: remedy(&component.name, &host.id),
            });
        }
    }
}

fn remedy(component: &str, node: &NodeId) -> String {
    match component {
        "resources" => format!(
            "`ringriftctl jobs here {node}` shows what runs there; of a full disk `ringriftctl data cleanup --help`"
        ),
        "models" => "`ringriftctl models verify`".to_owned(),
        "gpu" => "`nvidia-smi` there; docs/operations.md: GPUs".to_owned(),
        "data_sync" => "`ringriftctl db check` there".to_owned(),
        "coordinator_managers" => {
            format!("`ringriftctl logs --node {node}`, then `ringriftctl cluster restart --node {node}`")
        }
        _ => format!("`ringriftctl health {node}`, `ringriftctl logs --node {node}`"),
    }
}

fn report(context: &Context, looked: &Looked, findings: &[Finding]) -> Report {
    let mut text = String::new();
    for (number, finding) in findings.iter().enumerate() {
        let tone = if finding.rank == Rank::Warning { Tone::Warn } else { Tone::Bad };
        let _ = writeln!(text, "{}. {}", number + 1, context.paint.text(tone, &finding.what));
        let _ = writeln!(text, "   {}", finding.evidence);
        let _ = writeln!(text, "   → {}", finding.remedy);
    }
    let well = findings.iter().all(|finding| finding.rank == Rank::Warning);
    if findings.is_empty() {
        let _ = writeln!(text, "Nothing is wrong with the {} daemons that were asked.", looked.running.len());
    }
    // What needs a login on each node is looked at by others, which take longer.
    let _ = writeln!(text, "\nClocks, ports, drivers and PyTorch: `ringriftctl health`. SSH: `ringriftctl ssh check`.");
    let list: Vec<_> = findings
        .iter()
        .map(|f| json!({ "finding": f.what, "evidence": f.evidence, "remedy": f.remedy, "warning": f.rank == Rank::Warning }))
        .collect();
    Report::ok(text, json!({ "success": well, "findings": list })).exit(if well { Exit::Ok } else { Exit::Failed })
}
