use ringrift_api::{JobWhy, Verdict};

use super::show::ShowArgs;
use crate::{
    context::{Context, Fetched},
    failure::Failure,
    paint::Tone,
    report::Report,
    table::{Cell, Table, left},
};

pub(super) async fn run(context: &Context, args: &ShowArgs) -> Result<Report, Failure> {
    let why: Fetched<JobWhy> = context.client(None)?.get_json(&format!("/api/jobs/{}/why", args.job)).await?;
    let JobWhy { job_id, status, summary, nodes, .. } = &why.typed;
    let mut text = format!("{job_id} is {status}: {summary}\n");
    if !nodes.is_empty() {
        let mut table = Table::new(&[left("NODE"), left("VERDICT"), left("WHY")]);
        for node in nodes {
            let (word, tone) = match node.verdict {
                Verdict::Chosen => ("chosen", Tone::Good),
                Verdict::Suitable => ("suitable", Tone::Plain),
                Verdict::PassedOver => ("passed over", Tone::Warn),
            };
            table.row(vec![node.node_id.as_str().into(), Cell::toned(word, tone), node.reason.as_str().into()]);
        }
        text.push('\n');
        text.push_str(&table.render(context.paint));
    }
    Ok(Report::ok(text, why.raw))
}
