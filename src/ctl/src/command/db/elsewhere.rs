//! `db check` of other nodes.

use std::{fmt::Write as _, path::Path};

use ringrift_config::Host;
use ringrift_fleet::Line;
use serde_json::{Value, json};

use super::{
    check::NOT_CHECKED,
    nodes::{Asked, Fault, Nodes, ask, exit, skipped},
    task::NO_DATABASE,
};
use crate::{
    bytes::bytes,
    context::Context,
    exit::Exit,
    failure::Failure,
    paint::Tone,
    report::Report,
    table::{Cell, Table, left, right},
};

pub(super) async fn run(context: &Context, nodes: &Nodes, db: Option<&Path>) -> Result<Report, Failure> {
    let fleet = nodes.open(context)?;
    let db = db.map(|path| path.display().to_string());
    let words: Vec<&str> = db.as_deref().map_or_else(|| vec!["check", "."], |db| vec!["check", "--db", db]);
    let work = async |host: &Host, line: &Line| {
        if let Some(why) = skipped(host) {
            return Asked::Skipped(why);
        }
        line.says("checking its databases");
        match ask(&fleet.ssh, host, &words).await {
            Ok(answer) => Asked::Done(answer),
            // Not every node has some.
            Err(fault) if fault.kind.as_deref() == Some(NO_DATABASE) => {
                Asked::Done(json!({ "success": true, "databases": [] }))
            }
            Err(fault) => Asked::Failed(fault),
        }
    };
    let told = |asked: &Asked<Value>| asked.told(summary);
    let hosts: Vec<&Host> = fleet.hosts.iter().collect();
    let asked: Vec<Asked<Value>> =
        fleet.each("checking databases", &hosts, work, told).await.into_iter().map(Asked::from).collect();
    Ok(report(context, &hosts, &asked))
}

/// How many databases, and how many of them are not right.
fn summary(answer: &Value) -> String {
    let databases = databases(answer);
    let wrong = databases.iter().filter(|one| one["ok"] != true).count();
    let count = super::archive::databases(databases.len());
    if wrong == 0 { format!("{count}, all right") } else { format!("{count}, {wrong} not right") }
}

fn databases(answer: &Value) -> &[Value] {
    answer["databases"].as_array().map_or(&[], Vec::as_slice)
}

fn report(context: &Context, hosts: &[&Host], asked: &[Asked<Value>]) -> Report {
    let mut table =
        Table::new(&[left("NODE"), left("FILE"), left("RESULT"), right("GAMES"), right("SIZE"), left("NOTE")]);
    let mut remarks = String::new();
    let mut nodes: Vec<Value> = Vec::new();
    let mut faults: Vec<&Fault> = Vec::new();
    let (mut well, mut count) = (true, 0);
    for (host, asked) in hosts.iter().zip(asked) {
        match asked {
            Asked::Done(answer) => {
                // Also where it was stopped before its last file.
                well &= answer["success"] == true;
                let found = databases(answer);
                count += found.len();
                for one in found {
                    table.row(row(host, one));
                }
                if found.is_empty() {
                    let _ = writeln!(remarks, "{}: no game database", host.id);
                }
                nodes.push(json!({
                    "node_id": host.id, "state": "checked", "ok": answer["success"], "databases": answer["databases"],
                }));
            }
            Asked::Skipped(why) => {
                let _ = writeln!(remarks, "{}: skipped ({why})", host.id);
                nodes.push(json!({ "node_id": host.id, "state": "skipped", "message": why }));
            }
            Asked::Failed(fault) => {
                let _ = writeln!(remarks, "{}: {}\n    → {}", host.id, fault.why, fault.remedy);
                nodes.push(json!({
                    "node_id": host.id, "state": fault.state, "message": fault.why, "remedy": fault.remedy, "ok": false,
                }));
                faults.push(fault);
            }
        }
    }
    let exit = exit(well, &faults);
    let mut text = if count == 0 { String::new() } else { table.render(context.paint) };
    text.push_str(&remarks);
    Report::ok(text, json!({ "success": exit == Exit::Ok, "nodes": nodes })).exit(exit)
}

/// One database, as its node told it.
fn row(host: &Host, one: &Value) -> Vec<Cell> {
    let result = match (one["kind"].as_str(), one["ok"] == true) {
        (Some("other_sqlite"), _) => Cell::from("other"),
        (_, true) => Cell::toned("ok", Tone::Good),
        (Some(_), false) => Cell::toned("WRONG", Tone::Bad),
        (None, false) => Cell::toned(NOT_CHECKED, Tone::Bad),
    };
    let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
    vec![
        host.id.as_str().into(),
        text("path").into(),
        result,
        one["games"].as_u64().map_or_else(|| "-".to_owned(), |games| games.to_string()).into(),
        one["size_bytes"].as_u64().map(bytes).unwrap_or_default().into(),
        text("message").into(),
    ]
}
