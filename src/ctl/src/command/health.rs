use std::fmt::Write as _;

use ringrift_api::{Component, ComponentStatus, Health, HealthStatus};
use ringrift_config::NodeId;

use crate::{
    context::{Context, Fetched},
    exit::Exit,
    failure::Failure,
    paint::{Paint, Tone},
    report::Report,
};

pub(crate) async fn run(context: &Context, node: &NodeId) -> Result<Report, Failure> {
    let (_, health): (_, Fetched<Health>) = context.client(Some(node))?.get_json_any("/health").await?;
    let exit = if health.typed.status == HealthStatus::Unhealthy { Exit::Failed } else { Exit::Ok };
    Ok(Report::ok(render(&health.typed, context.paint), health.raw).exit(exit))
}

/// The report that operators know, with the node's own time: its clock may differ from ours.
fn render(health: &Health, paint: Paint) -> String {
    let (double, single) = ("=".repeat(60), "-".repeat(60));
    let (tone, overall) = if health.healthy { (Tone::Good, "HEALTHY") } else { (Tone::Bad, "UNHEALTHY") };
    let mut text = format!("{double}\nHEALTH CHECK REPORT\n{double}\n");
    let _ = writeln!(text, "Node: {} ({})", health.node_id, health.role);
    let _ = writeln!(text, "Timestamp: {}", health.timestamp);
    let _ = writeln!(text, "Overall: {}", paint.text(tone, overall));
    let now = moment(&health.timestamp);
    for component in &health.components {
        text.push_str(&section(component, now, paint));
    }
    let _ = writeln!(text, "\n{single}");
    list(&mut text, "ISSUES", &of_status(&health.components, ComponentStatus::Error));
    list(&mut text, "WARNINGS", &of_status(&health.components, ComponentStatus::Warning));
    let _ = writeln!(text, "{double}");
    text
}

/// How a status is shown.
pub(super) fn mark(status: ComponentStatus) -> (Tone, &'static str) {
    match status {
        ComponentStatus::Ok => (Tone::Good, "✓"),
        ComponentStatus::Warning => (Tone::Warn, "⚠"),
        ComponentStatus::Error => (Tone::Bad, "✗"),
        ComponentStatus::Unknown => (Tone::Faint, "?"),
    }
}

/// The node's own time in a report, seconds since the epoch.
pub(super) fn moment(timestamp: &str) -> Option<f64> {
    timestamp.parse::<jiff::Timestamp>().map(|t| t.as_millisecond() as f64 / 1_000.0).ok()
}

/// What is said of one component.
pub(super) fn section(component: &Component, now: Option<f64>, paint: Paint) -> String {
    let (tone, mark) = mark(component.status);
    let mut text = format!("\n[{}] {}\n", paint.text(tone, mark), component.name.to_uppercase());
    let _ = writeln!(text, "    Status: {}", component.status.as_str());
    let _ = writeln!(text, "    Message: {}", component.message);
    if let (Some(at), Some(now)) = (component.last_activity, now) {
        let _ = writeln!(text, "    Last activity: {:.0} minutes ago", ((now - at) / 60.0).max(0.0).floor());
    }
    text
}

/// A heading and its lines, if there are any.
pub(super) fn list(text: &mut String, title: &str, lines: &[String]) {
    if !lines.is_empty() {
        let _ = writeln!(text, "{title}:");
    }
    for line in lines {
        let _ = writeln!(text, "  - {line}");
    }
}

fn of_status(components: &[Component], status: ComponentStatus) -> Vec<String> {
    let found = components.iter().filter(|c| c.status == status);
    found.map(|component| format!("{}: {}", component.name, component.message)).collect()
}
