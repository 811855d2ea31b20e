use std::fmt::Write as _;

use ringrift_api::VotersReport;

use crate::{
    context::{Context, Fetched},
    exit::Exit,
    failure::Failure,
    paint::{Paint, Tone},
    report::Report,
    table::{Cell, Table, left, right},
};

pub(crate) async fn run(context: &Context) -> Result<Report, Failure> {
    let voters: Fetched<VotersReport> = context.client(None)?.get_json("/api/voters").await?;
    let well = voters.typed.leader_id.is_some() && voters.typed.quorum_ok;
    let exit = if well { Exit::Ok } else { Exit::NoLeader };
    Ok(Report::ok(render(&voters.typed, context.paint), voters.raw).exit(exit))
}

fn render(report: &VotersReport, paint: Paint) -> String {
    let mut text = String::new();
    let leader = report.leader_id.as_ref().map_or_else(|| paint.text(Tone::Bad, "none"), ToString::to_string);
    let (tone, quorum) = match (report.quorum_ok, report.quorum_threatened) {
        (false, _) => (Tone::Bad, "LOST"),
        (true, true) => (Tone::Warn, "ok, but the next loss ends it"),
        (true, false) => (Tone::Good, "ok"),
    };
    let _ = writeln!(text, "Leader: {leader}");
    let _ = writeln!(
        text,
        "Quorum: {}: {} of {} voters alive, {} needed",
        paint.text(tone, quorum),
        report.voters_alive,
        report.voters.len(),
        report.quorum_size
    );
    let voters = match report.config_index {
        0 => "voters as founded".to_owned(),
        index => format!("these voters since {index}"),
    };
    let _ = writeln!(text, "Term: {}, committed up to {}, {voters}", report.term, report.committed);
    if !report.pending.is_empty() {
        let _ = writeln!(
            text,
            "{}",
            paint.text(Tone::Warn, &format!("Hosts file and cluster differ in: {}", report.pending.join(", ")))
        );
    }
    let _ = writeln!(text);
    let mut table =
        Table::new(&[left("VOTER"), left("ALIVE"), left("ROLE"), right("MATCHED"), right("BEHIND"), left("KNOWN BY")]);
    for voter in &report.voters {
        let figure = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |v| v.to_string());
        let (tone, alive) = if voter.alive { (Tone::Good, "yes") } else { (Tone::Bad, "no") };
        table.row(vec![
            voter.node_id.as_str().into(),
            Cell::toned(alive, tone),
            if voter.is_leader { "leader" } else { "voter" }.into(),
            figure(voter.matched).into(),
            figure(voter.lag).into(),
            voter.detail.as_str().into(),
        ]);
    }
    text.push_str(&table.render(paint));
    if !report.quorum_ok {
        let _ = writeln!(
            text,
            "\nNothing can be decided until {} voters are alive. If they cannot come back: `ringrift-p2p recover --help`.",
            report.quorum_size
        );
    }
    text
}
