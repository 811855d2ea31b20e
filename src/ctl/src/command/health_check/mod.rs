//! Is every node fit for its work? The runbook's lines, asked over SSH.

mod facts;
mod judge;
mod repair;
mod script;

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::Args;
use ringrift_config::Host;
use ringrift_fleet::{Line, Outcome, Unreached};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};

pub(crate) use self::script::in_environment;
use self::{
    facts::Facts,
    judge::{Repair, judge},
};
pub(crate) use self::{
    judge::{About, Finding, Mark},
    script::needs_torch,
};
use super::ssh::WayBack;
use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    fleet::{Fleet, FleetArgs},
    paint::Tone,
    report::Report,
};

/// Which nodes, and what to do about what is wrong.
#[derive(Debug, Args)]
pub(crate) struct HealthCheckArgs {
    #[command(flatten)]
    pub(crate) fleet: FleetArgs,

    /// Do the repairs that can be undone: set the clock, open ports in ufw, install requirements.txt; says what it did
    #[arg(long)]
    fix: bool,

    /// With --fix: only say what would be done
    #[arg(long, requires = "fix")]
    dry_run: bool,

    /// Fewer free GB than this are low
    #[arg(long, value_name = "GB", default_value_t = LOW_DISK_GB)]
    low_disk_gb: u64,
}

/// Runbook: 50 GB are "low!", 450 are not.
const LOW_DISK_GB: u64 = 100;
/// The ports that every node listens on (contract §1).
const PORTS: [u16; 3] = [8765, 8767, 8770];
/// For one connection.
const DIAL: Duration = Duration::from_secs(3);

/// What was found out about a node that was reached.
struct Looked {
    parts: Vec<String>,
    findings: Vec<Finding>,
    facts: Facts,
    /// What was repaired, or would be, or could not be.
    repaired: Vec<String>,
    failed: bool,
}

pub(crate) async fn run(context: &Context, args: &HealthCheckArgs) -> Result<Report, Failure> {
    let fleet = args.fleet.open(context)?;
    let back = WayBack::find(context, &fleet.file).await?;
    let hosts: Vec<&Host> = fleet.hosts.iter().filter(|host| host.is_ready()).collect();
    let work = async |host: &Host, line: &Line| {
        let visit = Visit { fleet: &fleet, low_disk_gb: args.low_disk_gb, more: "", host, back: back.as_ref(), line };
        visit.go(args).await
    };
    let told = |looked: &Result<Looked, Unreached>| match looked {
        Ok(looked) => looked.parts.join(", "),
        Err(unreached) => format!("unreachable ({})", unreached.fault()),
    };
    let outcomes = fleet.each("checking", &hosts, work, told).await;
    let mut text = String::new();
    let mut nodes: Vec<Value> = Vec::new();
    let mut counts = [0_usize; 3];
    let (mut reached, mut failed) = (0, false);
    for (host, outcome) in hosts.iter().zip(outcomes) {
        let (mark, line, remarks, json) = match outcome {
            Outcome::Done(Ok(looked)) => {
                reached += 1;
                failed |= looked.failed;
                told_of(host, looked)
            }
            Outcome::Done(Err(unreached)) => unreachable_line(host, &unreached),
            Outcome::Overdue(_) | Outcome::Interrupted | Outcome::NotBegun => {
                let json = json!({ "node_id": host.id, "state": "unknown" });
                (Mark::Bad, "not checked to the end".to_owned(), Vec::new(), json)
            }
        };
        counts[mark as usize] += 1;
        let _ = writeln!(text, "{} {}: {line}", mark.as_str(), host.id);
        for remark in remarks {
            let _ = writeln!(text, "    {}", context.paint.text(Tone::Faint, &remark));
        }
        nodes.push(json);
    }
    let [well, warned, bad] = counts;
    let _ = writeln!(text, "\n{well} well, {warned} with warnings, {bad} not well");
    // Warnings are told, and are no failure.
    let exit = match (bad, hosts.len() - reached) {
        (0, _) if !failed => Exit::Ok,
        (bad, unreached) if bad == unreached && !failed => Exit::Unreachable,
        _ => Exit::Failed,
    };
    let summary = json!({ "well": well, "warnings": warned, "bad": bad });
    Ok(Report::ok(text, json!({ "success": exit == Exit::Ok, "nodes": nodes, "summary": summary })).exit(exit))
}

fn told_of(host: &Host, looked: Looked) -> (Mark, String, Vec<String>, Value) {
    let mark = looked.findings.iter().map(|finding| finding.mark).max().unwrap_or(Mark::Well);
    let mut remarks: Vec<String> =
        looked.findings.iter().map(|finding| format!("{} → {}", finding.text, finding.remedy)).collect();
    remarks.extend(looked.repaired.iter().cloned());
    let facts = looked.facts;
    let findings = looked
        .findings
        .iter()
        .map(|finding| json!({ "text": finding.text, "remedy": finding.remedy, "error": finding.mark == Mark::Bad }));
    let json = json!({
        "node_id": host.id,
        "state": "reachable",
        "mark": mark.as_str(),
        "disk_free_gb": facts.free_gb,
        "clock_skew_seconds": facts.skew,
        "driver": facts.driver,
        "gpus": facts.gpus,
        "pytorch": facts.torch,
        "cuda": facts.torch_cuda,
        "cuda_gpus": facts.torch_gpus,
        "findings": findings.collect::<Vec<_>>(),
        "repairs": looked.repaired,
    });
    (mark, looked.parts.join(", "), remarks, json)
}

fn unreachable_line(host: &Host, unreached: &Unreached) -> (Mark, String, Vec<String>, Value) {
    let remedy = unreached.fault().remedy(host);
    let json =
        json!({ "node_id": host.id, "state": "unreachable", "reason": unreached.fault().as_str(), "remedy": remedy });
    (Mark::Bad, format!("unreachable ({})", unreached.fault()), vec![format!("→ {remedy}")], json)
}

/// What a login showed of a host.
#[derive(Debug)]
pub(crate) struct Examined {
    pub(crate) findings: Vec<Finding>,
    /// SHA-256 of its hosts file, where it may be read.
    pub(crate) hosts_file: Option<String>,
    /// The last warning in its daemon's journal.
    pub(crate) warning: Option<String>,
}

/// Looks at each of these hosts over SSH as `health` does, and changes nothing. `None` where it was not looked at to the end.
pub(crate) async fn examine(
    context: &Context,
    fleet: &Fleet,
    hosts: &[&Host],
) -> Result<Vec<Option<Result<Examined, Unreached>>>, Failure> {
    let back = WayBack::find(context, &fleet.file).await?;
    let work = async |host: &Host, line: &Line| {
        let visit = Visit { fleet, low_disk_gb: LOW_DISK_GB, more: script::MORE, host, back: back.as_ref(), line };
        let Looked { findings, facts, .. } = visit.look().await?;
        Ok::<_, Unreached>(Examined { findings, hosts_file: facts.hosts_file, warning: facts.warning })
    };
    let told = |examined: &Result<Examined, Unreached>| match examined {
        Ok(examined) => format!("{} findings", examined.findings.len()),
        Err(unreached) => format!("unreachable ({})", unreached.fault()),
    };
    let outcomes = fleet.each("examining", hosts, work, told).await;
    let done = |outcome| match outcome {
        Outcome::Done(examined) => Some(examined),
        Outcome::Overdue(_) | Outcome::Interrupted | Outcome::NotBegun => None,
    };
    Ok(outcomes.into_iter().map(done).collect())
}

/// One host that is looked at.
#[derive(Clone, Copy)]
struct Visit<'a> {
    fleet: &'a Fleet,
    low_disk_gb: u64,
    /// More to run there.
    more: &'a str,
    host: &'a Host,
    back: Option<&'a WayBack>,
    line: &'a Line<'a>,
}

impl Visit<'_> {
    /// Looks, does the repairs that are wanted, and looks again.
    async fn go(&self, args: &HealthCheckArgs) -> Result<Looked, Unreached> {
        let Self { fleet, host, line, .. } = *self;
        let mut looked = self.look().await?;
        let repairs: Vec<Repair> = looked.findings.iter().filter_map(|finding| finding.repair.clone()).collect();
        if !args.fix || repairs.is_empty() {
            return Ok(looked);
        }
        let mut told = Vec::new();
        let mut failed = false;
        for repair in repairs {
            line.says(&repair.doing());
            if args.dry_run {
                told.push(format!("would do: {} (undone by: {})", repair.doing(), repair.undone_by()));
                continue;
            }
            match repair.run(&fleet.ssh, host).await {
                Ok(()) => told.push(format!("did: {} (undone by: {})", repair.doing(), repair.undone_by())),
                Err(why) => {
                    failed = true;
                    told.push(format!("could not: {}: {why}", repair.doing()));
                }
            }
        }
        if !args.dry_run {
            looked = self.look().await?;
        }
        looked.repaired = told;
        looked.failed = failed;
        Ok(looked)
    }

    /// Looks once, and changes nothing.
    async fn look(&self) -> Result<Looked, Unreached> {
        let Self { fleet, low_disk_gb, more, host, back, line } = *self;
        let way_back = back.map(WayBack::script).unwrap_or_default();
        let mut session = fleet.ssh.stream(host, &script::look(host, &format!("{more}{way_back}"))).await?;
        line.says("looking");
        let mut lines = Vec::new();
        let mut skew = None;
        while let Ok(Some(said)) = session.next_line().await {
            if let Some(clock) = said.strip_prefix("clock=") {
                let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
                // Whole seconds where `date` has no finer ones: then half of one is between them.
                skew = clock.trim_end_matches(".%N").parse::<f64>().ok().map(|theirs| theirs - ours);
            }
            lines.push(said);
        }
        let facts = Facts::read(&lines, skew);
        let closed = if host.runs_daemon() && !host.dials_out_only() { closed(host).await } else { Vec::new() };
        let (mut parts, mut findings) = judge(host, &facts, low_disk_gb, &closed);
        if let Some(wrong) = back.and_then(|back| back.wrong(host, &facts.back)) {
            parts.push("way back closed".to_owned());
            let (text, remedy) = wrong.split_once(": ").map_or((wrong.as_str(), ""), |found| found);
            findings.push(Finding {
                about: About::Firewall,
                mark: Mark::Warning,
                text: text.to_owned(),
                remedy: remedy.to_owned(),
                repair: None,
            });
        }
        Ok(Looked { parts, findings, facts, repaired: Vec::new(), failed: false })
    }
}

/// The ports of a node that none of its addresses lets us into.
async fn closed(host: &Host) -> Vec<u16> {
    let mut closed = Vec::new();
    for port in PORTS {
        let addresses = host.dial_addresses(port);
        let mut open = addresses.is_empty();
        for address in addresses {
            open = open || timeout(DIAL, TcpStream::connect(address)).await.is_ok_and(|dialled| dialled.is_ok());
        }
        if !open {
            closed.push(port);
        }
    }
    closed
}
