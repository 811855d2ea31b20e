use std::{collections::BTreeMap, fmt::Write as _};

use clap::Args;
use ringrift_api::{
    Client, ClientError, ClusterComponents, Component, ComponentStatus, Health, ManifestState, Status, VotersReport,
};
use ringrift_config::{Host, HostsFile, NodeId};
use ringrift_fleet::{Line, Outcome, Unreached};
use serde_json::json;

use super::{
    cluster::{self, Looked},
    health_check::{About, Examined, Mark, examine, needs_torch},
};
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

    /// Leave out what needs a login on each node: SSH itself, clocks, ports, disks, drivers, PyTorch, copies of the hosts file
    #[arg(long)]
    quick: bool,
}

/// Something that is wrong, or may be.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// What comes first explains most of what follows.
    rank: Rank,
    /// Whether it deserves attention, and is no failure.
    warning: bool,
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
    NotJoined,
    VotersDiffer,
    HostsFileDiffers,
    Address,
    Ssh,
    Firewall,
    Clock,
    Error,
    Models,
    Pipeline,
    Fitness,
    Warning,
    HostsFile,
}

pub(crate) async fn run(context: &Context, args: &DoctorArgs) -> Result<Report, Failure> {
    let fleet = args.fleet.open(context)?;
    let looked = cluster::look(context, &fleet).await?;
    let mut findings = Vec::new();
    daemons(&looked, &mut findings);
    hosts_file(&fleet.file, &mut findings);
    let hosts: Vec<&Host> = fleet.hosts.iter().filter(|host| host.is_ready()).collect();
    let logins = if args.quick { Vec::new() } else { examine(context, &fleet, &hosts).await? };
    let logins: BTreeMap<&NodeId, Result<Examined, Unreached>> =
        hosts.iter().zip(logins).filter_map(|(host, login)| Some((&host.id, login?))).collect();
    if let Ok(status) = &looked.status {
        addresses(status, &looked, &mut findings);
        not_joined(status, &looked, &logins, &mut findings);
        let client = context.client(None)?;
        voters(&client, &mut findings).await;
        components(&fleet, &client, &looked, &mut findings).await;
        models(&client, &looked, &mut findings).await;
        pipeline(&client, &looked, &mut findings).await;
    }
    for host in &hosts {
        if let Some(login) = logins.get(&host.id) {
            over_ssh(host, login, &looked, &fleet.file.revision, &mut findings);
        }
    }
    findings.sort_by_key(|finding| (finding.rank, finding.warning));
    Ok(report(context, &looked, &findings, args.quick))
}

/// What the file itself deserves to be warned of.
fn hosts_file(file: &HostsFile, findings: &mut Vec<Finding>) {
    let found = file.check();
    let Some(first) = found.first() else { return };
    let more = if found.len() > 1 { format!(", and {} more", found.len() - 1) } else { String::new() };
    findings.push(Finding {
        rank: Rank::HostsFile,
        warning: true,
        what: "the hosts file deserves a look".to_owned(),
        evidence: format!("{first}{more}"),
        remedy: "`ringriftctl hosts check`".to_owned(),
    });
}

/// Daemons that run, and that the one that was asked does not see.
fn not_joined(
    status: &Status,
    looked: &Looked,
    logins: &BTreeMap<&NodeId, Result<Examined, Unreached>>,
    findings: &mut Vec<Finding>,
) {
    let alive = |id: &NodeId| *id == status.node_id || status.peers.get(id).is_some_and(|peer| peer.is_alive);
    for host in looked.running.iter().filter(|host| !alive(&host.id)) {
        let said = match logins.get(&host.id) {
            Some(Ok(Examined { warning: Some(warning), .. })) => format!("; its last warning: {}", warning.trim()),
            _ => String::new(),
        };
        let id = &host.id;
        findings.push(Finding {
            rank: Rank::NotJoined,
            warning: false,
            what: format!("{id} runs, and has not joined"),
            evidence: format!("{} does not see it{said}", status.node_id),
            remedy: format!(
                "does it have the token and the hosts file of the others (`ringriftctl hosts distribute --node {id}`), and are \
                 its ports open (`ringriftctl health --node {id}`)? `ringriftctl logs --node {id}` says what it tries"
            ),
        });
    }
}

/// What a login showed.
fn over_ssh(
    host: &Host,
    login: &Result<Examined, Unreached>,
    looked: &Looked,
    revision: &str,
    findings: &mut Vec<Finding>,
) {
    let runs = looked.running.iter().any(|running| running.id == host.id);
    let id = &host.id;
    let examined = match login {
        Ok(examined) => examined,
        // Of one that is down this is told already.
        Err(_) if looked.down.iter().any(|(down, ..)| down.id == *id) => return,
        Err(unreached) => {
            findings.push(Finding {
                rank: Rank::Ssh,
                warning: true,
                what: format!("{id} is not reached over SSH"),
                evidence: unreached.to_string(),
                remedy: unreached.fault().remedy(host),
            });
            return;
        }
    };
    if examined.hosts_file.as_deref().is_some_and(|found| found != revision) {
        findings.push(Finding {
            rank: Rank::HostsFileDiffers,
            warning: true,
            what: format!("{id} has another hosts file"),
            evidence: "the file there has other bytes than the one here".to_owned(),
            remedy: format!("`ringriftctl hosts distribute --node {id}`, if the one here is right"),
        });
    }
    for found in &examined.findings {
        let rank = match found.about {
            // Nothing listens where nothing runs.
            About::Firewall if !runs => continue,
            About::Firewall => Rank::Firewall,
            About::Clock => Rank::Clock,
            About::Disk => Rank::Warning,
            About::Jobs => Rank::Fitness,
        };
        findings.push(Finding {
            rank,
            warning: found.mark != Mark::Bad,
            what: match found.about {
                About::Firewall => format!("ports of {id}, or on the way back from it, are closed"),
                About::Clock => format!("the clock of {id} is wrong"),
                About::Disk => format!("the disk of {id} is nearly full"),
                About::Jobs => format!("{id} may not be fit for its jobs"),
            },
            evidence: found.text.clone(),
            remedy: found.remedy.clone(),
        });
    }
}

/// Nodes that lack promoted models, and do not just fetch them.
async fn models(client: &Client, looked: &Looked, findings: &mut Vec<Finding>) {
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
async fn pipeline(client: &Client, looked: &Looked, findings: &mut Vec<Finding>) {
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

fn daemons(looked: &Looked, findings: &mut Vec<Finding>) {
    if let Err(failure) = &looked.status {
        findings.push(Finding {
            rank: Rank::NoDaemon,
            warning: false,
            what: "the daemon that was to be asked does not answer".to_owned(),
            evidence: failure.message.clone(),
            remedy: "`systemctl status ringrift-p2p` there, or ask another node with --api".to_owned(),
        });
    }
    for (host, state, remedy) in &looked.down {
        findings.push(Finding {
            rank: Rank::NodeDown,
            warning: false,
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
                warning: false,
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

fn report(context: &Context, looked: &Looked, findings: &[Finding], quick: bool) -> Report {
    let mut text = String::new();
    for (number, finding) in findings.iter().enumerate() {
        let tone = if finding.warning { Tone::Warn } else { Tone::Bad };
        let _ = writeln!(text, "{}. {}", number + 1, context.paint.text(tone, &finding.what));
        let _ = writeln!(text, "   {}", finding.evidence);
        let _ = writeln!(text, "   → {}", finding.remedy);
    }
    let well = findings.iter().all(|finding| finding.warning);
    if findings.is_empty() {
        let _ = writeln!(text, "Nothing is wrong with the {} daemons that were asked.", looked.running.len());
    }
    if quick {
        text.push_str("\nLeft out: SSH, clocks, ports, disks, drivers and PyTorch (--quick).\n");
    }
    let list: Vec<_> = findings
        .iter()
        .map(|f| json!({ "finding": f.what, "evidence": f.evidence, "remedy": f.remedy, "warning": f.warning }))
        .collect();
    Report::ok(text, json!({ "success": well, "findings": list })).exit(if well { Exit::Ok } else { Exit::Failed })
}
