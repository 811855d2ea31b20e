//! What an archive has, as people read it.

use std::fmt::Write as _;

use ringrift_gamedb::{Manifest, Member, PartState};

use crate::{
    bytes::bytes,
    context::Context,
    paint::Tone,
    table::{Cell, Table, left, right},
};

/// Digits of a digest that tell two of them apart.
const DIGITS: usize = 12;

/// Its databases, and what is not in it.
pub(super) fn contents(context: &Context, manifest: &Manifest) -> String {
    let mut table =
        Table::new(&[left("DATABASE"), right("GAMES"), right("SIZE"), left("SHA-256"), left("COPIED"), left("NOTE")]);
    for member in &manifest.databases {
        table.row(vec![
            member.name.as_str().into(),
            member.games.map_or_else(|| "-".to_owned(), |games| games.to_string()).into(),
            bytes(member.size_bytes).into(),
            member.sha256.to_string()[..DIGITS].into(),
            member.copied_at.as_str().into(),
            note(member),
        ]);
    }
    let mut text = table.render(context.paint);
    for part in &manifest.nodes {
        match part.state {
            PartState::Asked => {}
            PartState::Skipped => {
                let _ = writeln!(text, "Skipped: {}: {}", part.node, part.reason);
            }
            PartState::Missing => {
                let _ = writeln!(text, "Missing: {}: {}", part.node, part.reason);
            }
        }
    }
    for missing in &manifest.missing {
        let _ = writeln!(text, "Missing: {}: {}", missing.name, missing.reason);
    }
    for other in &manifest.others {
        let _ = writeln!(text, "Not in it: {}: {}", other.name, other.reason);
    }
    text
}

fn note(member: &Member) -> Cell {
    Cell::toned(member.faults.join("; "), if member.whole { Tone::Plain } else { Tone::Bad })
}

/// How many there are: `1 database`, `3 databases`.
pub(super) fn databases(count: usize) -> String {
    format!("{count} {}", if count == 1 { "database" } else { "databases" })
}
