use std::collections::HashMap;

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

/// Nothing that people write by hand is deeper; it bounds the recursion over a [`Node`].
const MAX_DEPTH: usize = 32;

/// Reads the one document of `text`. `None` if it says nothing. All duplicate keys are found; any other fault ends the
/// reading.
pub(crate) fn parse(text: &str) -> Result<Option<Node>, Vec<Fault>> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text)) {
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

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    faults: Vec<Fault>,
}

/// A list or map whose end has not come yet.
enum Open {
    List { line: usize, items: Vec<Node> },
    Map { line: usize, map: Map, lines: HashMap<String, usize>, key: Option<(String, usize)> },
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let line = span.start.line();
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
                self.scalar(line, Scalar { text: text.into_owned(), plain })
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_extras(line, anchor, tag.is_some())?;
                self.open(line, Open::List { line, items: Vec::new() })
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_extras(line, anchor, tag.is_some())?;
                self.open(line, Open::Map { line, map: Map::default(), lines: HashMap::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let node = match self.open.pop().expect("the parser closes only what it opened") {
                    Open::List { line, items } => Node { line, data: Data::List(items) },
                    Open::Map { line, map, .. } => Node { line, data: Data::Map(map) },
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

    fn scalar(&mut self, line: usize, scalar: Scalar) -> Result<(), Fault> {
        let Some(Open::Map { lines, key: key @ None, .. }) = self.open.last_mut() else {
            self.value(Node { line, data: Data::Scalar(scalar) });
            return Ok(());
        };
        let first = lines.get(&scalar.text).copied();
        lines.entry(scalar.text.clone()).or_insert(line);
        let name = scalar.text.clone();
        let (is_empty, is_merge) = (scalar.text.is_empty(), scalar.plain && scalar.text == "<<");
        *key = Some((scalar.text, line));
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
                let (key, line) = key.take().expect("the parser sends a key before its value");
                map.push(Entry { key, line, value: node });
            }
        }
    }

    /// A fault with the path of what is being read.
    fn fault(&self, line: usize, message: impl Into<String>) -> Fault {
        let names = self.open.iter().filter_map(|open| match open {
            Open::Map { key, .. } => key.as_ref().map(|(name, _)| name.clone()),
            Open::List { items, .. } => Some(items.len().to_string()),
        });
        Fault { line: Some(line), key: names.collect::<Vec<_>>().join("."), message: message.into() }
    }
}
