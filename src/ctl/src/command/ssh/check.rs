use std::{fmt::Write as _, path::PathBuf};

use clap::Args;
use ringrift_config::Host;
use ringrift_fleet::{Fault, Line, Outcome, Ssh};
use serde_json::{Value, json};

use super::{home::Home, way_back::WayBack};
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
pub(crate) struct CheckArgs {
    #[command(flatten)]
    fleet: FleetArgs,
}

/// Every way to a node, and the way back.
#[derive(Debug)]
pub(super) struct Ways {
    /// Address, port, and why it is not reached there.
    pub(super) there: Vec<(String, u16, Option<Fault>)>,
    /// What is wrong with the way back; nothing if it was not reached at all.
    pub(super) back: Option<String>,
}

pub(super) async fn run(context: &Context, args: &CheckArgs) -> Result<Report, Failure> {
    let fleet = args.fleet.open(context)?;
    let home = Home::of_user()?;
    let ssh = args.fleet.ssh(context);
    tried(context, &fleet, &ssh, &home, Vec::new(), None).await
}

/// Tries all of them by connections of their own: a shared one would hide that a key is gone.
pub(super) async fn tried(
    context: &Context,
    fleet: &Fleet,
    ssh: &Ssh,
    home: &Home,
    done: Vec<String>,
    key: Option<PathBuf>,
) -> Result<Report, Failure> {
    let back = WayBack::find(context, &fleet.file).await?;
    let hosts: Vec<&Host> = fleet.hosts.iter().filter(|host| host.is_ready()).collect();
    let script = back.as_ref().map_or_else(|| "true".to_owned(), WayBack::script);
    let work = async |host: &Host, line: &Line| {
        let mut ways = Ways { there: Vec::new(), back: None };
        for endpoint in host.ssh_endpoints() {
            line.says(&format!("{} port {}", endpoint.0, endpoint.1));
            let fault = match ssh.run_at(host, &endpoint, &script).await {
                Ok(ran) => {
                    ways.back = back.as_ref().and_then(|back| back.wrong(host, &ran.out));
                    None
                }
                Err(fault) => Some(fault),
            };
            ways.there.push((endpoint.0, endpoint.1, fault));
        }
        ways
    };
    let told = |ways: &Ways| if ways.is_reached() { "reached".to_owned() } else { "not reached".to_owned() };
    let outcomes = fleet.each("checking", &hosts, work, told).await;
    let keys: Vec<PathBuf> =
        hosts.iter().filter_map(|host| host.ssh_key.as_deref()).map(|key| home.resolve(key)).chain(key).collect();
    let mut loose = home.loose(&keys);
    loose.dedup();
    let mut report = Findings::default();
    for line in done {
        let _ = writeln!(report.text, "{line}");
    }
    for loose in &loose {
        report.wrong = true;
        let _ = writeln!(report.text, "✗ {} has mode {:o}: `{}`", loose.path.display(), loose.mode, loose.command());
    }
    for (host, outcome) in hosts.iter().zip(outcomes) {
        report.add(context, host, outcome);
    }
    for host in fleet.hosts.iter().filter(|host| !host.is_ready()) {
        let _ = writeln!(report.text, "- {}: skipped (status: {})", host.id, host.status);
        report
            .nodes
            .push(json!({ "node_id": host.id, "state": "skipped", "message": format!("status: {}", host.status) }));
    }
    Ok(report.end(back.as_ref(), hosts.len()))
}

impl Ways {
    pub(super) fn is_reached(&self) -> bool {
        self.there.iter().any(|(_, _, fault)| fault.is_none())
    }
}

#[derive(Debug, Default)]
struct Findings {
    text: String,
    nodes: Vec<Value>,
    reached: usize,
    wrong: bool,
    unreached: bool,
}

impl Findings {
    fn add(&mut self, context: &Context, host: &Host, outcome: Outcome<Ways>) {
        let ways = match outcome {
            Outcome::Done(ways) => ways,
            Outcome::Overdue(_) | Outcome::Interrupted | Outcome::NotBegun => {
                self.wrong = true;
                let _ = writeln!(self.text, "✗ {}: not checked to the end", host.id);
                self.nodes.push(json!({ "node_id": host.id, "state": "unknown" }));
                return;
            }
        };
        let reached = ways.is_reached();
        self.reached += usize::from(reached);
        self.unreached |= !reached;
        let whole = reached && ways.back.is_none() && ways.there.iter().all(|(_, _, fault)| fault.is_none());
        self.wrong |= ways.back.is_some();
        let (tone, mark) = match (whole, reached) {
            (true, _) => (Tone::Good, "✓"),
            (false, true) => (Tone::Warn, "⚠"),
            (false, false) => (Tone::Bad, "✗"),
        };
        let parts: Vec<String> = ways
            .there
            .iter()
            .map(|(address, port, fault)| match fault {
                None => format!("{address} port {port}: ok"),
                Some(fault) => format!("{address} port {port}: {fault}"),
            })
            .collect();
        let _ = writeln!(self.text, "{} {}: {}", context.paint.text(tone, mark), host.id, parts.join("; "));
        let worst = ways.there.iter().filter_map(|(_, _, fault)| fault.as_ref()).max();
        for advice in worst.map(|fault| fault.remedy(host)).into_iter().chain(ways.back.clone()) {
            let _ = writeln!(self.text, "    {}", context.paint.text(Tone::Faint, &format!("→ {advice}")));
        }
        let tried = ways.there.iter().map(|(address, port, fault)| {
            json!({ "host": address, "port": port, "reason": fault.as_ref().map(Fault::as_str) })
        });
        self.nodes.push(json!({
            "node_id": host.id,
            "state": if reached { "reached" } else { "unreachable" },
            "reason": worst.map(Fault::as_str),
            "tried": tried.collect::<Vec<_>>(),
            "way_back": ways.back,
            "remedy": worst.map(|fault| fault.remedy(host)),
        }));
    }

    fn end(self, back: Option<&WayBack>, of: usize) -> Report {
        let Self { mut text, nodes, reached, wrong, unreached } = self;
        let back = back.map(WayBack::node);
        let _ = match back {
            Some(node) => writeln!(text, "\n{reached} of {of} reached; the way back was tried to {node}"),
            None => writeln!(
                text,
                "\n{reached} of {of} reached; the way back was not tried: there is no voter to be dialled"
            ),
        };
        let exit = match (wrong, unreached) {
            (true, _) => Exit::Failed,
            (false, true) => Exit::Unreachable,
            (false, false) => Exit::Ok,
        };
        Report::ok(text, json!({ "success": exit == Exit::Ok, "nodes": nodes, "way_back_to": back })).exit(exit)
    }
}
