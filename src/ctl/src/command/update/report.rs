use std::{collections::BTreeMap, fmt::Write as _};

use ringrift_config::NodeId;
use serde_json::{Map, Value, json};

use super::{Node, version::Version};
use crate::{
    command::cluster::{
        State,
        walk::{Course, Plan, Turn, Words},
    },
    context::Context,
    exit::Exit,
    paint::Tone,
    report::Report,
};

/// What became of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It has another version, and is well.
    Updated,
    /// It had it already.
    Unchanged,
    /// It was not done, or the node is not well since.
    Failed(String),
    /// Nobody knows: it was given up in the middle.
    GivenUp(String),
    /// Its turn did not come.
    NotBegun,
    /// Nothing here is for it.
    LeftAlone(String),
    /// It was not reached.
    Unreached(String),
    /// It is not meant.
    Skipped(String),
}

impl Fate {
    /// For programs, and for the summary.
    fn word(&self, back: bool) -> &'static str {
        match self {
            Self::Updated if back => "rolled back",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Failed(_) => "failed",
            Self::GivenUp(_) => "given up",
            Self::NotBegun => "not begun",
            Self::LeftAlone(_) => "left alone",
            Self::Unreached(_) => "unreachable",
            Self::Skipped(_) => "skipped",
        }
    }

    fn why(&self) -> Option<&str> {
        match self {
            Self::Failed(why)
            | Self::GivenUp(why)
            | Self::LeftAlone(why)
            | Self::Unreached(why)
            | Self::Skipped(why) => Some(why),
            Self::Updated | Self::Unchanged | Self::NotBegun => None,
        }
    }

    fn is_well(&self) -> bool {
        matches!(self, Self::Updated | Self::Unchanged | Self::Skipped(_))
    }

    fn mark(&self) -> (&'static str, Tone) {
        match self {
            Self::Updated | Self::Unchanged => ("✓", Tone::Good),
            Self::Skipped(_) => ("-", Tone::Faint),
            Self::NotBegun => ("…", Tone::Warn),
            Self::Failed(_) | Self::GivenUp(_) | Self::LeftAlone(_) | Self::Unreached(_) => ("✗", Tone::Bad),
        }
    }
}

/// What would be done.
pub(super) fn planned(plan: &Plan, nodes: &[Node], back: bool) -> Report {
    let words = if back {
        Words {
            missing: "roll back the voter, which does not run",
            workers: "roll back together",
            voter: "roll back the voter",
        }
    } else {
        Words { missing: "update the voter, which does not run", workers: "update together", voter: "update the voter" }
    };
    let mut text = String::new();
    let steps = plan.steps(words);
    for (number, (what, names)) in steps.iter().enumerate() {
        let names: Vec<&str> = names.iter().map(|id| id.as_str()).collect();
        let _ = writeln!(text, "{}. {what}: {}", number + 1, names.join(", "));
    }
    let mut json_nodes: Vec<Value> = Vec::new();
    let mut exit = Exits::default();
    for node in nodes {
        let before = node.before.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
        let mut json =
            Map::from_iter([("node_id".to_owned(), json!(node.host.id)), ("before".to_owned(), json!(node.before))]);
        match &node.goal {
            Ok(goal) => {
                let _ = writeln!(text, "{}: {before} → {goal} ({})", node.host.id, goal.way());
                json.insert("to".to_owned(), json!(goal.to_string()));
            }
            Err(fate) => {
                let has = format!("it has {before} already");
                let why = fate.why().unwrap_or(&has);
                let _ = writeln!(text, "left alone: {}: {why}", node.host.id);
                json.insert("result".to_owned(), json!(fate.word(back).replace(' ', "_")));
                json.insert("message".to_owned(), json!(why));
                exit.add(fate);
            }
        }
        json_nodes.push(json.into());
    }
    let steps: Vec<_> = steps.iter().map(|(what, nodes)| json!({ "step": what, "nodes": nodes })).collect();
    let would_be = if back { "rolled back" } else { "updated" };
    let exit = exit.exit();
    let json = json!({
        "success": exit == Exit::Ok, "dry_run": true, "would_be": would_be, "steps": steps, "nodes": json_nodes
    });
    Report::ok(text, json).exit(exit)
}

/// What was done.
pub(super) fn finished(
    context: &Context,
    plan: &Plan,
    nodes: Vec<Node>,
    mut course: Course,
    mut after: BTreeMap<NodeId, Version>,
    back: bool,
) -> Report {
    let mut text = String::new();
    if let Some(why) = &course.stopped {
        let left: Vec<&str> = plan.all().filter(|id| !course.turns.contains_key(*id)).map(NodeId::as_str).collect();
        let left = if left.is_empty() { "none".to_owned() } else { left.join(", ") };
        let (what, next) = if back {
            ("The rollback", "Once that is mended, the same command goes on.".to_owned())
        } else {
            (
                "The update",
                "Once that is mended, the same command goes on; `ringriftctl update --rollback` takes back what was done."
                    .to_owned(),
            )
        };
        let _ = writeln!(text, "{what} stopped: {why}\nNot begun: {left}\n{next}\n");
    }
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut json_nodes: Vec<Value> = Vec::new();
    let mut exit = Exits::default();
    for node in nodes {
        let after = match &node.goal {
            Err(Fate::Unchanged) => node.before.clone(),
            _ => after.remove(&node.host.id),
        };
        let fate = match node.goal {
            Err(fate) => fate,
            Ok(_) => fate(course.turns.remove(&node.host.id), node.before.as_ref() != after.as_ref()),
        };
        let (mark, tone) = fate.mark();
        let shown = |version: Option<&Version>| version.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        let _ = write!(text, "{} {}: ", context.paint.text(tone, mark), node.host.id);
        let _ = match (&fate, &after) {
            (Fate::Skipped(why) | Fate::LeftAlone(why) | Fate::Unreached(why), _) => {
                write!(text, "{}, {why}", fate.word(back))
            }
            (Fate::Unchanged, _) => write!(text, "{}, nothing to do", shown(after.as_ref())),
            (_, Some(after)) if node.before.as_ref() != Some(after) => {
                write!(text, "{} → {after}", shown(node.before.as_ref()))
            }
            (Fate::NotBegun, _) => write!(text, "{}, not begun", shown(node.before.as_ref())),
            _ => write!(text, "{}", shown(node.before.as_ref())),
        };
        if let Fate::Failed(why) | Fate::GivenUp(why) = &fate {
            let _ = write!(text, ", {why}");
        }
        text.push('\n');
        *counts.entry(fate.word(back)).or_default() += 1;
        json_nodes.push(json!({
            "node_id": node.host.id, "before": node.before, "after": after,
            "result": fate.word(back).replace(' ', "_"), "message": fate.why(), "ok": fate.is_well(),
        }));
        exit.add(&fate);
    }
    let order = [
        "updated",
        "rolled back",
        "unchanged",
        "failed",
        "given up",
        "not begun",
        "left alone",
        "unreachable",
        "skipped",
    ];
    let parts: Vec<String> =
        order.iter().filter_map(|word| counts.get(word).map(|count| format!("{count} {word}"))).collect();
    let _ = writeln!(text, "\nSummary: {}", parts.join(", "));
    let exit = if course.stopped.is_some() { Exit::Failed } else { exit.exit() };
    let counts: Map<String, Value> =
        counts.into_iter().map(|(word, count)| (word.replace(' ', "_"), json!(count))).collect();
    let json =
        json!({ "success": exit == Exit::Ok, "stopped": course.stopped, "nodes": json_nodes, "summary": counts });
    Report::ok(text, json).exit(exit)
}

fn fate(turn: Option<Turn>, changed: bool) -> Fate {
    match turn {
        None => Fate::NotBegun,
        Some(Turn { done: true, .. }) if changed => Fate::Updated,
        Some(Turn { done: true, .. }) => Fate::Unchanged,
        Some(Turn { state: State::Unknown(why), .. }) => Fate::GivenUp(why),
        Some(Turn { state, .. }) => Fate::Failed(match state {
            State::Failed(why) => why,
            state => state.to_string(),
        }),
    }
}

/// What the exit status becomes of.
#[derive(Debug, Default)]
struct Exits {
    unreached: bool,
    failed: bool,
}

impl Exits {
    fn add(&mut self, fate: &Fate) {
        match fate {
            Fate::Unreached(_) => self.unreached = true,
            fate => self.failed |= !fate.is_well(),
        }
    }

    /// As of the other commands for many nodes: 3 where all that is wrong is that nodes were not reached.
    fn exit(&self) -> Exit {
        match (self.failed, self.unreached) {
            (true, _) => Exit::Failed,
            (false, true) => Exit::Unreachable,
            (false, false) => Exit::Ok,
        }
    }
}
