//! Where in the text an entry begins and ends, and what has to be written to change it.

use std::{fmt::Write as _, ops::Range};

use super::write::{self, Quotes};
use crate::yaml::{Data, Entry, Map, Node};

/// One change of a text: these bytes become these.
pub(super) type Splice = (Range<usize>, String);

/// An entry that is written in a way that is not understood here.
#[derive(Debug)]
pub(super) struct NotInPlace;

/// A text that is cut along its lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout<'a> {
    text: &'a str,
}

/// What is to be written where nothing is yet: keys from the outer to the inner, and the value's YAML.
pub(super) struct New<'a> {
    pub(super) keys: &'a [&'a str],
    pub(super) value: &'a str,
}

impl<'a> Layout<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { text }
    }

    /// How lines end here.
    pub(super) fn newline(self) -> &'static str {
        if self.text.contains("\r\n") { "\r\n" } else { "\n" }
    }

    pub(super) fn line_start(self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// The byte after the end of the line.
    fn line_end(self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline + 1)
    }

    /// What is before a key on its line, if that is nothing but blanks.
    pub(super) fn indent(self, at: usize) -> Result<&'a str, NotInPlace> {
        let before = &self.text[self.line_start(at)..at];
        let before = before.strip_prefix('\u{feff}').unwrap_or(before);
        if before.bytes().all(|byte| byte == b' ') { Ok(before) } else { Err(NotInPlace) }
    }

    pub(super) fn is_flow(self, node: &Node) -> bool {
        self.text[node.span.start..].starts_with(['{', '['])
    }

    /// The byte after the colon of an entry.
    fn after_colon(self, entry: &Entry) -> Result<usize, NotInPlace> {
        let rest = &self.text[entry.key_span.end..];
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        if rest[blanks..].starts_with(':') { Ok(entry.key_span.end + blanks + 1) } else { Err(NotInPlace) }
    }

    /// Where the last that belongs to an entry is written, comments not counted.
    fn content_end(self, entry: &Entry) -> Result<usize, NotInPlace> {
        let colon = self.after_colon(entry)?;
        Ok(self.node_end(&entry.value)?.max(colon))
    }

    fn node_end(self, node: &Node) -> Result<usize, NotInPlace> {
        let of_children = match &node.data {
            _ if self.is_flow(node) => return Ok(node.span.end),
            // Nothing: the parser tells a place that may be anywhere.
            Data::Scalar(_) if node.span.is_empty() => return Ok(0),
            // The parser's end of a text in lines of its own is the beginning of what comes next.
            Data::Scalar(_) => return Ok(node.span.start + self.text[node.span.clone()].trim_end().len()),
            Data::List(items) => items.last().map(|last| self.node_end(last)),
            Data::Map(map) => map.entries().last().map(|last| self.content_end(last)),
        };
        Ok(of_children.transpose()?.unwrap_or_default().max(node.span.start))
    }

    /// The byte after the last line of what begins at `column` of its line and is written up to `content_end`. Comments that are
    /// indented further belong to it.
    fn block_end(self, column: usize, content_end: usize) -> usize {
        let mut end = self.line_end(content_end);
        let mut at = end;
        while at < self.text.len() {
            let next = self.line_end(at);
            let line = self.text[at..next].trim_end();
            if line.is_empty() {
                at = next;
                continue;
            }
            if line.len() - line.trim_start_matches(' ').len() <= column {
                break;
            }
            (at, end) = (next, next);
        }
        end
    }

    /// The same and, where blank lines are on both sides, one of these: what was apart from its neighbours leaves them as they were.
    fn lines_apart(self, entry: &Entry) -> Result<Range<usize>, NotInPlace> {
        let lines = self.lines(entry)?;
        let before = self.line_start(lines.start.saturating_sub(1));
        let is_blank = |range: Range<usize>| self.text[range].trim().is_empty();
        let apart =
            before < lines.start && is_blank(before..lines.start) && is_blank(lines.end..self.line_end(lines.end));
        Ok(if apart { before..lines.end } else { lines })
    }

    /// All lines of an entry.
    fn lines(self, entry: &Entry) -> Result<Range<usize>, NotInPlace> {
        let column = self.indent(entry.key_span.start)?.len();
        Ok(self.line_start(entry.key_span.start)..self.block_end(column, self.content_end(entry)?))
    }

    /// Makes an entry's value, or a value below it, another one. `indent` is by how much a first value below it is indented.
    pub(super) fn put(
        self,
        entry: &Entry,
        keys: &[&str],
        indent: usize,
        value: impl Fn(Quotes) -> String,
    ) -> Result<Splice, NotInPlace> {
        let Some((key, rest)) = keys.split_first() else {
            return self.replace(entry, value);
        };
        match &entry.value.data {
            Data::Map(map) => match map.get(key) {
                Some(inner) => self.put(inner, rest, indent, value),
                None => self.insert(&entry.value, map, &New { keys, value: &value(Quotes::None) }),
            },
            Data::Scalar(scalar) if scalar.is_null() => {
                let column = self.indent(entry.key_span.start)?.len();
                let colon = self.after_colon(entry)?;
                let end = self.content_end(entry)?;
                let inner = self.nested(column + indent, &New { keys, value: &value(Quotes::None) });
                let rest = &self.text[end..self.line_end(end)];
                let (comment, newline) = if rest.ends_with('\n') { (rest, "") } else { (rest, self.newline()) };
                Ok((colon..end + comment.len(), format!("{comment}{newline}{inner}")))
            }
            Data::Scalar(_) | Data::List(_) => Err(NotInPlace),
        }
    }

    fn replace(self, entry: &Entry, value: impl Fn(Quotes) -> String) -> Result<Splice, NotInPlace> {
        let colon = self.after_colon(entry)?;
        let node = &entry.value;
        match &node.data {
            Data::Scalar(_) if node.span.is_empty() => Ok((colon..colon, format!(" {}", value(Quotes::None)))),
            Data::Scalar(_) => {
                let blanks = self.text[colon..].len() - self.text[colon..].trim_start_matches([' ', '\t']).len();
                // A text in lines of its own begins with the sign that says so.
                let is_block = self.text[colon + blanks..].starts_with(['|', '>']);
                let start = if is_block { colon + blanks } else { node.span.start };
                let old = start..self.node_end(node)?;
                let quotes = Quotes::of(&self.text[old.clone()]);
                Ok((old, value(quotes)))
            }
            Data::List(_) | Data::Map(_) if self.is_flow(node) => Ok((node.span.clone(), value(Quotes::None))),
            Data::List(_) | Data::Map(_) => {
                let written = value(Quotes::None);
                // A text in the place of many lines was hardly meant.
                let key_line = self.line_end(colon);
                if !written.starts_with(['{', '[']) || node.span.start < key_line {
                    return Err(NotInPlace);
                }
                let rest = &self.text[colon..key_line];
                Ok((colon..self.lines(entry)?.end, format!(" {written}{rest}")))
            }
        }
    }

    /// One more entry at the end of a map.
    pub(super) fn insert(self, node: &Node, map: &Map, new: &New<'_>) -> Result<Splice, NotInPlace> {
        let last = map.entries().last();
        if self.is_flow(node) {
            return into_flow(node, last.map(|last| self.content_end(last)).transpose()?, &flow(new));
        }
        let last = last.ok_or(NotInPlace)?;
        let column = self.indent(last.key_span.start)?.len();
        let at = self.lines(last)?.end;
        Ok(self.line_at(at, &self.nested(column, new)))
    }

    /// Lines at the beginning of a line, or behind a last line that has no end.
    pub(super) fn line_at(self, at: usize, lines: &str) -> Splice {
        let open = at > 0 && !self.text[..at].ends_with('\n');
        (at..at, format!("{}{lines}", if open { self.newline() } else { "" }))
    }

    fn nested(self, column: usize, new: &New<'_>) -> String {
        let (last, outer) = new.keys.split_last().unwrap_or((&"", &[]));
        let mut lines = String::new();
        let mut indent = column;
        for key in outer {
            let _ = write!(lines, "{:indent$}{}:{}", "", key_text(key), self.newline());
            indent += INDENT;
        }
        let _ = write!(lines, "{:indent$}{}: {}{}", "", key_text(last), new.value, self.newline());
        lines
    }

    /// Takes an entry out of the map that it is in.
    pub(super) fn remove(self, node: &Node, map: &Map, key: &str) -> Result<Splice, NotInPlace> {
        let at = map.entries().iter().position(|entry| entry.key == key).ok_or(NotInPlace)?;
        let entry = &map.entries()[at];
        if !self.is_flow(node) {
            return Ok((self.lines_apart(entry)?, String::new()));
        }
        let begins = map.entries().get(at + 1).map(|next| next.key_span.start);
        let ended = at.checked_sub(1).map(|before| self.content_end(&map.entries()[before])).transpose()?;
        Ok(self.out_of_flow(entry.key_span.start..self.content_end(entry)?, ended, begins))
    }

    /// `begins` is where the next one begins, `ended` where the one before ended.
    fn out_of_flow(self, own: Range<usize>, ended: Option<usize>, begins: Option<usize>) -> Splice {
        match (ended, begins) {
            (_, Some(begins)) => (own.start..begins, String::new()),
            (Some(ended), None) => (ended..own.end, String::new()),
            (None, None) => {
                // A comma after the only one would be an entry without a key.
                let rest = &self.text[own.end..];
                let blanks = rest.len() - rest.trim_start().len();
                let comma = if rest[blanks..].starts_with(',') { blanks + 1 } else { 0 };
                (own.start..own.end + comma, String::new())
            }
        }
    }

    /// One more text at the end of a list.
    pub(super) fn append(self, entry: &Entry, items: &[Node], written: &str) -> Result<Splice, NotInPlace> {
        let last = items.last();
        if self.is_flow(&entry.value) {
            return into_flow(&entry.value, last.map(|last| self.node_end(last)).transpose()?, written);
        }
        let last = last.ok_or(NotInPlace)?;
        let dash = self.dash(last)?;
        let column = dash - self.line_start(dash);
        let at = self.block_end(column, self.node_end(last)?);
        let prefix = &self.text[self.line_start(dash)..last.span.start];
        Ok(self.line_at(at, &format!("{prefix}{written}{}", self.newline())))
    }

    /// Takes an item out of a list.
    pub(super) fn take(self, entry: &Entry, items: &[Node], at: usize) -> Result<Splice, NotInPlace> {
        let item = &items[at];
        if self.is_flow(&entry.value) {
            let ended = at.checked_sub(1).map(|before| self.node_end(&items[before])).transpose()?;
            let begins = items.get(at + 1).map(|next| next.span.start);
            return Ok(self.out_of_flow(item.span.start..self.node_end(item)?, ended, begins));
        }
        let dash = self.dash(item)?;
        let column = dash - self.line_start(dash);
        Ok((self.line_start(dash)..self.block_end(column, self.node_end(item)?), String::new()))
    }

    /// The dash before an item that has its line for itself.
    fn dash(self, item: &Node) -> Result<usize, NotInPlace> {
        let start = self.line_start(item.span.start);
        let before = &self.text[start..item.span.start];
        let dash = before.find('-').ok_or(NotInPlace)?;
        let alone = before[..dash].bytes().chain(before[dash + 1..].bytes()).all(|byte| byte == b' ');
        if alone { Ok(start + dash) } else { Err(NotInPlace) }
    }
}

/// Blanks by which a map is indented in the map around it, where nothing shows the file's own habit.
pub(super) const INDENT: usize = 2;

pub(super) fn key_text(key: &str) -> String {
    // A number is no worse as a key than a text: `8770: 41234`.
    if key.bytes().all(|byte| byte.is_ascii_digit()) { key.to_owned() } else { write::text(key, Quotes::None) }
}

fn flow(new: &New<'_>) -> String {
    let (last, outer) = new.keys.split_last().unwrap_or((&"", &[]));
    let inner = format!("{}: {}", key_text(last), new.value);
    outer.iter().rev().fold(inner, |inner, key| format!("{}: {{{inner}}}", key_text(key)))
}

fn into_flow(node: &Node, after: Option<usize>, written: &str) -> Result<Splice, NotInPlace> {
    match after {
        Some(after) => Ok((after..after, format!(", {written}"))),
        // Between the brackets.
        None if node.span.len() >= 2 => Ok((node.span.start + 1..node.span.end - 1, written.to_owned())),
        None => Err(NotInPlace),
    }
}
