//! A text as YAML that every reader reads alike.

use std::fmt::Write as _;

use crate::yaml::Scalar;

/// How a text is quoted in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    /// Not, if it need not be.
    None,
    Single,
    Double,
}

impl Quotes {
    /// How `written` is quoted.
    pub(super) fn of(written: &str) -> Self {
        match written.as_bytes().first() {
            Some(b'\'') => Self::Single,
            Some(b'"') => Self::Double,
            _ => Self::None,
        }
    }
}

/// What to write so that `text` is read, on one line, inside of `{…}` and `[…]` too.
pub(super) fn text(text: &str, quotes: Quotes) -> String {
    if text.chars().any(needs_escape) || quotes == Quotes::Double {
        return double(text);
    }
    if quotes == Quotes::None && is_plain(text) { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

fn needs_escape(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether it needs no quotes (YAML 1.2 §7.3.3, and what older readers take for something else).
fn is_plain(text: &str) -> bool {
    let scalar = Scalar { text: text.to_owned(), plain: true };
    let is_text = matches!(scalar.resolve(), crate::yaml::Resolved::Text(_)) && scalar.ambiguity().is_none();
    is_text
        && !text.starts_with(['-', '?', ':', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`', '=', '<', '.'])
        && !text.starts_with(char::is_whitespace)
        && !text.ends_with(char::is_whitespace)
        && !text.contains([',', '[', ']', '{', '}'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with(':')
}

fn double(text: &str) -> String {
    let mut written = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            '\n' => written.push_str("\\n"),
            '\t' => written.push_str("\\t"),
            '\r' => written.push_str("\\r"),
            c if needs_escape(c) => {
                // A string takes everything.
                let _ = write!(written, "\\u{:04x}", u32::from(c));
            }
            c => written.push(c),
        }
    }
    written.push('"');
    written
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::yaml::{Data, parse};

    #[test]
    fn a_text_is_quoted_only_where_it_must_be() {
        for (value, written) in [
            ("gpu-1", "gpu-1"),
            ("~/.ssh/id_cluster", "~/.ssh/id_cluster"),
            ("source ~/v/bin/activate", "source ~/v/bin/activate"),
            ("RTX 4090 (24GB)", "RTX 4090 (24GB)"),
            ("a#b", "a#b"),
            (":", "':'"),
            ("", "''"),
            ("yes", "'yes'"),
            ("0755", "'0755'"),
            ("22", "'22'"),
            ("null", "'null'"),
            ("it's: here", "'it''s: here'"),
            ("two\nlines", "\"two\\nlines\""),
        ] {
            assert_eq!(text(value, Quotes::None), written, "{value:?}");
        }
        assert_eq!(text("ready", Quotes::Single), "'ready'");
        assert_eq!(text("ready", Quotes::Double), "\"ready\"");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in any::<String>(), which in 0..3_usize) {
            let quotes = [Quotes::None, Quotes::Single, Quotes::Double][which];
            let written = text(&value, quotes);
            prop_assert!(!written.contains('\n'));
            for file in [format!("k: {written}\n"), format!("k: {{k: {written}}} # c\n"), format!("k: [{written}, x]\n")] {
                let root = parse(&file).unwrap().unwrap();
                let mut node = &root.as_map().unwrap().get("k").unwrap().value;
                while let Data::Map(map) = &node.data {
                    node = &map.get("k").unwrap().value;
                }
                if let Data::List(items) = &node.data {
                    node = &items[0];
                }
                prop_assert_eq!(node.to_value(), serde_yaml::Value::from(value.as_str()), "{}", file);
            }
        }
    }
}
