use std::{collections::HashMap, ops::Range};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::{
    node::{Data, Entry, Map, Node},
    scalar::Scalar,
};

/// What is wrong with a text as YAML, or as YAML that all readers read alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Counted from 1.
    pub(crate) line: Option<usize>,
    /// The path of the key, empty where there is none.
    pub(crate) key: String,
    pub(crate) message: String,
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Nothing that people write by hand is deeper; it bounds the recursion over a [`Node`].
const MAX_DEPTH: usize = 32;

/// Reads the one document of `text`. `None` if it says nothing. All duplicate keys are found; any other fault ends the
/// reading.
pub(crate) fn parse(text: &str) -> Result<Option<Node>, Vec<Fault>> {
    let mut builder = Builder { places: Places::of(text), ..Builder::default() };
    for event in Parser::new_from_str(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)) {
        let step = event.map_err(|error| syntax_fault(text, &error));
        if let Err(fault) = step.and_then(|(event, span)| builder.take(event, span)) {
            builder.faults.push(fault);
            break;
        }
    }
    if builder.faults.is_empty() { Ok(builder.root) } else { Err(builder.faults) }
}

/// People indent with tabs, which YAML forbids; parsers then complain of what follows, sometimes on the line before.
fn syntax_fault(text: &str, error: &ScanError) -> Fault {
    let line = error.marker().line();
    let tab = (1..).zip(text.lines()).skip(line.saturating_sub(1)).take(2).find(|(_, content)| {
        let indent = content.len() - content.trim_start_matches([' ', '\t']).len();
        content[..indent].contains('\t')
    });
    match tab {
        Some((line, _)) => {
            Fault { line: Some(line), key: String::new(), message: "is indented with a tab; YAML wants blanks".into() }
        }
        None => Fault { line: Some(line), key: String::new(), message: format!("is not YAML: {}", error.info()) },
    }
}

/// Where things stand in a text: the parser counts characters, and the text is cut at bytes.
#[derive(Default)]
struct Places<'a> {
    text: &'a str,
    /// Bytes before the parser's text.
    before: usize,
    /// The byte at which each character begins, and the end; `None` if each character is one byte.
    bytes: Option<Vec<usize>>,
}

impl<'a> Places<'a> {
    fn of(text: &'a str) -> Self {
        let parsed = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let bytes =
            (!parsed.is_ascii()).then(|| parsed.char_indices().map(|(at, _)| at).chain([parsed.len()]).collect());
        Self { text, before: text.len() - parsed.len(), bytes }
    }

    fn range(&self, span: Span) -> Range<usize> {
        let byte = |index: usize| match &self.bytes {
            None => self.before + index,
            Some(bytes) => self.before + bytes.get(index).or(bytes.last()).copied().unwrap_or_default(),
        };
        byte(span.start.index())..byte(span.end.index())
    }

    /// Of a scalar. To the parser the blanks and the comment behind a quote belong to it.
    fn scalar(&self, range: Range<usize>, style: ScalarStyle) -> Range<usize> {
        let inside = self.text.get(range.start + 1..range.end).unwrap_or_default();
        let closing = match style {
            ScalarStyle::SingleQuoted => {
                let mut rest = 0;
                loop {
                    match inside[rest..].find('\'') {
                        Some(at) if inside[rest + at + 1..].starts_with('\'') => rest += at + 2,
                        Some(at) => break Some(rest + at),
                        None => break None,
                    }
                }
            }
            ScalarStyle::DoubleQuoted => {
                let mut escaped = false;
                inside.find(|c| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                })
            }
            ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded => None,
        };
        closing.map_or(range.clone(), |at| range.start..range.start + 1 + at + 1)
    }

    /// Where a list or map ends that the parser sees end at `range`.
    fn end(&self, range: &Range<usize>) -> usize {
        let is_bracket = self.text.get(range.start..).is_some_and(|rest| rest.starts_with([']', '}']));
        if is_bracket { range.start + 1 } else { range.end }
    }
}

#[derive(Default)]
struct Builder<'a> {
    places: Places<'a>,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    faults: Vec<Fault>,
}

/// A list or map whose end has not come yet.
enum Open {
    List { line: usize, start: usize, items: Vec<Node> },
    Map { line: usize, start: usize, map: Map, lines: HashMap<String, usize>, key: Option<Key> },
}

/// A key whose value has not come yet.
struct Key {
    name: String,
    line: usize,
    span: Range<usize>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let line = span.start.line();
        let range = self.places.range(span);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(self.fault(line, "a second document begins here; only one is read"));
                }
                Ok(())
            }
            Event::Alias(_) => {
                Err(self
                    .fault(line, "anchors and aliases are read differently by different readers; write the value out"))
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_extras(line, anchor, tag.is_some())?;
                let plain = matches!(style, ScalarStyle::Plain);
                let range = self.places.scalar(range, style);
                self.scalar(line, range, Scalar { text: text.into_owned(), plain })
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_extras(line, anchor, tag.is_some())?;
                self.open(line, Open::List { line, start: range.start, items: Vec::new() })
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_extras(line, anchor, tag.is_some())?;
                let map = Open::Map { line, start: range.start, map: Map::default(), lines: HashMap::new(), key: None };
                self.open(line, map)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let end = self.places.end(&range);
                let node = match self.open.pop().expect("the parser closes only what it opened") {
                    Open::List { line, start, items } => Node { line, span: start..end, data: Data::List(items) },
                    Open::Map { line, start, map, .. } => Node { line, span: start..end, data: Data::Map(map) },
                };
                self.value(node);
                Ok(())
            }
        }
    }

    fn refuse_extras(&self, line: usize, anchor: usize, tagged: bool) -> Result<(), Fault> {
        if anchor != 0 {
            return Err(
                self.fault(line, "anchors and aliases are read differently by different readers; write the value out")
            );
        }
        if tagged {
            return Err(
                self.fault(line, "tags such as !!str are read differently by different readers; use quotes for text")
            );
        }
        Ok(())
    }

    fn open(&mut self, line: usize, open: Open) -> Result<(), Fault> {
        if matches!(self.open.last(), Some(Open::Map { key: None, .. })) {
            return Err(self.fault(line, "a key must be text, not a list or a map"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(self.fault(line, format!("is nested deeper than {MAX_DEPTH} levels")));
        }
        self.open.push(open);
        Ok(())
    }

    fn scalar(&mut self, line: usize, span: Range<usize>, scalar: Scalar) -> Result<(), Fault> {
        let Some(Open::Map { lines, key: key @ None, .. }) = self.open.last_mut() else {
            self.value(Node { line, span, data: Data::Scalar(scalar) });
            return Ok(());
        };
        let first = lines.get(&scalar.text).copied();
        lines.entry(scalar.text.clone()).or_insert(line);
        let name = scalar.text.clone();
        let (is_empty, is_merge) = (scalar.text.is_empty(), scalar.plain && scalar.text == "<<");
        *key = Some(Key { name: scalar.text, line, span });
        if is_empty {
            return Err(self.fault(line, "a key is missing before the colon"));
        }
        if is_merge {
            return Err(self.fault(line, "merge keys are read differently by different readers; write the values out"));
        }
        if let Some(first) = first {
            let message = format!("duplicate key: {name} is on line {first} already");
            let fault = self.fault(line, message);
            self.faults.push(fault);
        }
        Ok(())
    }

    fn value(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { map, key, .. }) => {
                let Key { name: key, line, span: key_span } =
                    key.take().expect("the parser sends a key before its value");
                map.push(Entry { key, line, key_span, value: node });
            }
        }
    }

    /// A fault with the path of what is being read.
    fn fault(&self, line: usize, message: impl Into<String>) -> Fault {
        let names = self.open.iter().filter_map(|open| match open {
            Open::Map { key, .. } => key.as_ref().map(|key| key.name.clone()),
            Open::List { items, .. } => Some(items.len().to_string()),
        });
        Fault { line: Some(line), key: names.collect::<Vec<_>>().join("."), message: message.into() }
    }
}
