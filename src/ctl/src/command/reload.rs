use std::fmt::Write as _;

use ringrift_api::{Reloaded, VoterChange};
use ringrift_config::NodeId;
use serde_json::json;

use crate::{
    context::{Context, Fetched},
    failure::Failure,
    paint::{Paint, Tone},
    report::Report,
};

pub(crate) async fn run(context: &Context, node: Option<&NodeId>) -> Result<Report, Failure> {
    let answer: Fetched<Reloaded> = context.client(node)?.post_json("/api/reload", &json!({})).await?;
    Ok(Report::ok(render(&answer.typed, context.paint), answer.raw))
}

fn render(reloaded: &Reloaded, paint: Paint) -> String {
    let mut text = format!("{}: {}\n", reloaded.node_id, reloaded.message);
    for change in &reloaded.changes {
        let _ = writeln!(text, "  {change}");
    }
    if let Some(VoterChange { from, to, done }) = &reloaded.voters {
        let names = |nodes: &[NodeId]| nodes.iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "  voters until now: {}", names(from));
        let _ = writeln!(text, "  voters {}: {}", if *done { "now" } else { "soon" }, names(to));
    }
    for setting in &reloaded.need_restart {
        let _ = writeln!(text, "  {} {setting}", paint.text(Tone::Warn, "after a restart:"));
    }
    for warning in &reloaded.warnings {
        let _ = writeln!(text, "  {} {warning}", paint.text(Tone::Warn, "warning:"));
    }
    text
}
