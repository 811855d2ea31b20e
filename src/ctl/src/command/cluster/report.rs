use std::{collections::BTreeMap, fmt::Write as _};

use ringrift_config::Host;
use serde_json::{Value, json};

use super::state::State;
use crate::{context::Context, exit::Exit, paint::Tone, report::Report};

/// What was done with a node, and how it is now.
#[derive(Debug)]
pub(super) struct Result<'a> {
    pub(super) host: &'a Host,
    pub(super) state: State,
    /// `Started`, `Already running` …; `None` if nothing was to be done.
    pub(super) done: Option<&'static str>,
    /// The state that was wanted.
    pub(super) well: bool,
}

impl<'a> Result<'a> {
    /// Of one that only was looked at.
    pub(super) fn of(host: &'a Host, state: State) -> Self {
        let well = matches!(state, State::Running(_) | State::Skipped(_));
        Self { host, state, done: None, well }
    }

    fn text(&self) -> String {
        match (self.done, &self.state) {
            (Some(done), State::Running(running)) => format!("{done}{running}"),
            (Some(done), State::Stopped) if self.well => done.to_owned(),
            (_, state) => state.to_string(),
        }
    }
}

/// The runbook's lines, and the summary.
pub(super) fn report(context: &Context, doing: &str, remark: Option<String>, results: &[Result]) -> Report {
    let paint = context.paint;
    let mut text = remark.unwrap_or_default();
    let _ = writeln!(text, "Processing {} hosts ({doing})", results.len());
    let _ = writeln!(text, "{}\nResults:", "-".repeat(60));
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut done: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut nodes: Vec<Value> = Vec::new();
    for result in results {
        let (mark, tone) = match &result.state {
            State::Skipped(_) => result.state.mark(),
            _ if result.well => ("✓", Tone::Good),
            State::Running(_) => ("✗", Tone::Bad),
            state => state.mark(),
        };
        let _ = writeln!(text, "  {} {}: {}", paint.text(tone, mark), result.host.id, result.text());
        if let Some(remedy) = result.state.remedy(result.host).filter(|_| !result.well) {
            let _ = writeln!(text, "      {}", paint.text(Tone::Faint, &format!("→ {remedy}")));
        }
        *counts.entry(result.state.word()).or_default() += 1;
        let mut json = result.state.json(result.host);
        if let Some(what) = result.done {
            *done.entry(what).or_default() += 1;
            json.insert("done".to_owned(), json!(what.to_lowercase().replace(' ', "_")));
        }
        json.insert("ok".to_owned(), json!(result.well));
        nodes.push(json.into());
    }
    let order = ["running", "starting", "stopped", "failed", "not installed", "unreachable", "unknown", "skipped"];
    let mut parts: Vec<String> =
        order.iter().filter_map(|word| counts.get(word).map(|count| format!("{count} {word}"))).collect();
    parts.extend(done.iter().map(|(what, count)| format!("{count} {}", what.to_lowercase())));
    let _ = writeln!(text, "\nSummary: {}", parts.join(", "));
    let unwell: Vec<&Result> = results.iter().filter(|result| !result.well).collect();
    let exit = match unwell.as_slice() {
        [] => Exit::Ok,
        all if all.iter().all(|result| matches!(result.state, State::Unreachable(_))) => Exit::Unreachable,
        _ => Exit::Failed,
    };
    let json = json!({ "success": exit == Exit::Ok, "nodes": nodes, "summary": counts });
    Report::ok(text, json).exit(exit)
}
