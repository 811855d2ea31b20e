//! What is wrong with the cluster, and what mends it.

mod seen;
mod told;

use std::{collections::BTreeMap, fmt::Write as _};

use clap::Args;
use ringrift_config::{Host, NodeId};
use ringrift_fleet::Unreached;
use serde_json::json;

use super::{
    cluster::{self, Looked},
    health_check::{Examined, examine},
};
use crate::{context::Context, exit::Exit, failure::Failure, fleet::FleetArgs, paint::Tone, report::Report};

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
    seen::daemons(&looked, &mut findings);
    seen::hosts_file(&fleet.file, &mut findings);
    let hosts: Vec<&Host> = fleet.hosts.iter().filter(|host| host.is_ready()).collect();
    let logins = if args.quick { Vec::new() } else { examine(context, &fleet, &hosts).await? };
    let logins: BTreeMap<&NodeId, Result<Examined, Unreached>> =
        hosts.iter().zip(logins).filter_map(|(host, login)| Some((&host.id, login?))).collect();
    if let Ok(status) = &looked.status {
        seen::addresses(status, &looked, &mut findings);
        seen::not_joined(status, &looked, &logins, &mut findings);
        let client = context.client(None)?;
        told::voters(&client, &mut findings).await;
        told::components(&fleet, &client, &looked, &mut findings).await;
        told::models(&client, &looked, &mut findings).await;
        told::pipeline(&client, &looked, &mut findings).await;
    }
    for host in &hosts {
        if let Some(login) = logins.get(&host.id) {
            seen::over_ssh(host, login, &looked, &fleet.file.revision, &mut findings);
        }
    }
    findings.sort_by_key(|finding| (finding.rank, finding.warning));
    Ok(report(context, &looked, &findings, args.quick))
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
