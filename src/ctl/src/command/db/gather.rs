//! `db backup` of other nodes. Each copies and checks its databases where they are, several nodes at once; then they send
//! them, one after the other, into the one archive: whoever waits for its turn holds its copy on its own disk, and nothing is
//! kept here meanwhile.

use std::{
    cell::RefCell,
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ringrift_config::Host;
use ringrift_fleet::{Line, Outcome};
use ringrift_gamedb::{Absent, Course, DbError, Gathering, Part, PartState, Stop};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{
    arriving::Arriving,
    backup,
    nodes::{Asked, Fault, Nodes, announced, exit, list, lost, share, skipped},
    send::{Deed, Listed},
    task,
};
use crate::{
    bytes::bytes,
    context::Context,
    exit::Exit,
    failure::Failure,
    fleet::Fleet,
    report::Report,
    table::{Cell, Table, left, right},
};

/// Says what would be in the archive.
pub(super) async fn plan(context: &Context, nodes: &Nodes, output: &Path) -> Result<Report, Failure> {
    if output.exists() {
        return Err(task::failure(&DbError::Exists(output.to_owned())));
    }
    let fleet = nodes.open(context)?;
    let work = async |host: &Host, line: &Line| {
        if let Some(why) = skipped(host) {
            return Asked::Skipped(why);
        }
        line.says("listing its databases");
        list(&fleet.ssh, host).await.map_or_else(Asked::Failed, Asked::Done)
    };
    let told = |asked: &Asked<Vec<Listed>>| asked.told(|listed| super::archive::databases(listed.len()));
    let hosts: Vec<&Host> = fleet.hosts.iter().collect();
    let outcomes = fleet.each("listing databases", &hosts, work, told).await;

    let mut table = Table::new(&[left("NODE"), left("FILE"), left("PLAN"), right("SIZE"), left("NOTE")]);
    let (mut remarks, mut rows, mut size, mut complete) = (String::new(), Vec::<Value>::new(), 0, true);
    let mut faults: Vec<Fault> = Vec::new();
    for (host, outcome) in hosts.iter().zip(outcomes) {
        match Asked::from(outcome) {
            Asked::Done(listed) => {
                size += backup::to_copy(&listed);
                complete &= listed.iter().all(|one| one.plan != Deed::Missing);
                for one in &listed {
                    let (name, note) = (one.name.clone(), one.message.clone());
                    let cells = [host.id.to_string(), name, one.plan.as_str().to_owned(), bytes(one.size_bytes), note];
                    table.row(cells.map(Cell::from).to_vec());
                }
                rows.push(json!({ "node_id": host.id, "state": "asked", "files": listed }));
            }
            Asked::Skipped(why) => {
                let _ = writeln!(remarks, "{}: skipped ({why})", host.id);
                rows.push(json!({ "node_id": host.id, "state": "skipped", "message": why }));
            }
            Asked::Failed(fault) => {
                let _ = writeln!(remarks, "{}: MISSING: {}\n    → {}", host.id, fault.why, fault.remedy);
                rows.push(json!({
                    "node_id": host.id, "state": fault.state, "message": fault.why, "remedy": fault.remedy,
                }));
                faults.push(fault);
            }
        }
    }
    let mut text = table.render(context.paint);
    text.push_str(&remarks);
    let _ = writeln!(text, "At most {} would be written. Nothing was changed.", bytes(size));
    let exit = exit(complete, &faults.iter().collect::<Vec<_>>());
    let json = json!({ "success": exit == Exit::Ok, "dry_run": true, "nodes": rows, "size_bytes": size });
    Ok(Report::ok(text, json).exit(exit))
}

/// What came of a node that was asked for all of its databases.
#[derive(Debug, Default)]
struct Took {
    databases: usize,
    missing: Vec<Absent>,
    others: Vec<Absent>,
}

/// A backup under way.
struct Backup<'a> {
    fleet: &'a Fleet,
    /// Taken out when no node adds to it any more.
    archive: Arc<Mutex<Option<Gathering>>>,
    /// Why nothing more can be taken, whatever the nodes do.
    over: RefCell<Option<DbError>>,
}

pub(super) async fn run(context: &Context, nodes: &Nodes, output: PathBuf) -> Result<Report, Failure> {
    let fleet = nodes.open(context)?;
    let hosts: Vec<&Host> = fleet.hosts.iter().collect();
    let names: Vec<&str> = hosts.iter().map(|host| host.id.as_str()).collect();
    let gathering = Gathering::open(&names, &output).map_err(|error| task::failure(&error))?;
    let backup = Backup { fleet: &fleet, archive: Arc::new(Mutex::new(Some(gathering))), over: RefCell::default() };
    let work = async |host: &Host, line: &Line| backup.node(host, line).await;
    let told = |asked: &Asked<Took>| {
        asked.told(|took| {
            let count = super::archive::databases(took.databases);
            if took.missing.is_empty() { count } else { format!("{count}, {} missing", took.missing.len()) }
        })
    };
    let outcomes = fleet.each("backing up", &hosts, work, told).await;
    let interrupted = outcomes.iter().any(|one| matches!(one, Outcome::Interrupted | Outcome::NotBegun));
    let Backup { archive, over, .. } = backup;
    // Whoever was adding to it when all was given up ends first.
    let Some(gathering) = archive.lock().await.take() else { unreachable!("it is taken out here alone") };
    let over = if interrupted { Some(DbError::Stopped(output)) } else { over.into_inner() };
    if let Some(over) = over {
        gathering.stop();
        let done = outcomes.iter().filter(|one| matches!(one, Outcome::Done(Asked::Done(_)))).count();
        let failure = backup::failure(&over);
        let message = format!("{}; {done} of {} nodes were done", failure.message, hosts.len());
        return Err(Failure { message, ..failure });
    }

    let (mut parts, mut missing, mut others) = (Vec::new(), Vec::new(), Vec::new());
    let mut faults: Vec<Fault> = Vec::new();
    for (host, outcome) in hosts.iter().zip(outcomes) {
        let node = host.id.to_string();
        let (state, reason) = match Asked::from(outcome) {
            Asked::Done(took) => {
                missing.extend(took.missing.into_iter().map(|one| (node.clone(), one)));
                others.extend(took.others.into_iter().map(|one| (node.clone(), one)));
                (PartState::Asked, String::new())
            }
            Asked::Skipped(why) => (PartState::Skipped, why),
            Asked::Failed(fault) => {
                let reason = fault.why.clone();
                faults.push(fault);
                (PartState::Missing, reason)
            }
        };
        parts.push(Part { node, state, reason });
    }
    let made = task::run(context, move |course| gathering.finish(parts, missing, others, course)).await?;
    let made = made.map_err(|error| backup::failure(&error))?;
    let well = made.manifest.missing.is_empty() && made.manifest.databases.iter().all(|member| member.whole);
    Ok(backup::report(context, &made).exit(exit(well, &faults.iter().collect::<Vec<_>>())))
}

impl Backup<'_> {
    /// Takes all databases of a node.
    async fn node(&self, host: &Host, line: &Line<'_>) -> Asked<Took> {
        if let Some(why) = skipped(host) {
            return Asked::Skipped(why);
        }
        line.says("listing its databases");
        let listed = match list(&self.fleet.ssh, host).await {
            Ok(listed) => listed,
            Err(fault) => return Asked::Failed(fault),
        };
        let mut took = Took::default();
        for one in listed {
            let absent = |reason: String| Absent { name: one.name.clone(), reason };
            match one.plan {
                Deed::Leave => took.others.push(absent(one.message.clone())),
                Deed::Missing => took.missing.push(absent(one.message.clone())),
                Deed::Copy if self.has(host, &one.name).await => took.databases += 1,
                Deed::Copy => match self.take(host, &one.name, line).await {
                    Ok(()) => took.databases += 1,
                    // What its `ringriftctl` refuses is about this one; else the node is not there, or not what it should be.
                    Err(Trouble::Fault(fault)) if fault.state == "failed" => took.missing.push(absent(fault.why)),
                    Err(Trouble::Fault(fault)) => return Asked::Failed(fault),
                    Err(Trouble::Over) => return Asked::Failed(lost("not asked to the end".to_owned())),
                },
            }
        }
        Asked::Done(took)
    }

    /// Whether an earlier attempt took it.
    async fn has(&self, host: &Host, name: &str) -> bool {
        self.archive.lock().await.as_ref().is_some_and(|archive| archive.has(host.id.as_str(), name))
    }

    /// Takes one database. What was lost on the way is asked for once more.
    async fn take(&self, host: &Host, name: &str, line: &Line<'_>) -> Result<(), Trouble> {
        let mut again = true;
        loop {
            let (member, session) = announced(&self.fleet.ssh, host, name, line).await.map_err(Trouble::Fault)?;
            line.says(&format!("{name} waits for its turn"));
            let mut archive = Arc::clone(&self.archive).lock_owned().await;
            if self.over.borrow().is_some() {
                return Err(Trouble::Over);
            }
            let stop = Stop::default();
            let arriving = Arriving::new(session, stop.clone());
            // Whoever gives this up in the middle must not have the archive taken from under the next one.
            let _until = Until(stop.clone());
            let done = Arc::new(AtomicU64::new(0));
            let (told, node, size) = (Arc::clone(&done), host.id.clone(), member.size_bytes);
            let mut adding = tokio::task::spawn_blocking(move || {
                let mut course = Course::new(stop, |progress| told.store(progress.done, Ordering::Relaxed));
                match archive.as_mut() {
                    Some(archive) => archive.add(node.as_str(), member, arriving, &mut course),
                    None => Err(DbError::Stopped(member.name.into())),
                }
            });
            let added = loop {
                tokio::select! {
                    added = &mut adding => break added,
                    () = tokio::time::sleep(SHOWN) => {
                        line.says(&format!("receiving {name}{}", share(done.load(Ordering::Relaxed), size)));
                    }
                }
            };
            match added {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(DbError::NotArrived { .. })) if again => again = false,
                Ok(Err(DbError::NotArrived { why, .. })) => {
                    return Err(Trouble::Fault(lost(format!("{name} did not arrive: {why}"))));
                }
                Ok(Err(error)) => {
                    self.over.borrow_mut().get_or_insert(error);
                    return Err(Trouble::Over);
                }
                Err(broken) => return Err(Trouble::Fault(lost(broken.to_string()))),
            }
        }
    }
}

/// How often a node's line tells how much has come.
const SHOWN: Duration = Duration::from_millis(250);

/// Why a database is not in the archive.
enum Trouble {
    Fault(Fault),
    /// It is not the node's doing.
    Over,
}

/// Stops what is under way when nobody waits for it any more.
struct Until(Stop);

impl Drop for Until {
    fn drop(&mut self) {
        self.0.set();
    }
}
