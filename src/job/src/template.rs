use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, SeqAccess, Visitor},
};

/// A text with places for values: `--num-games={num_games}`. `{{` and `}}` stand for the braces themselves.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(String),
}

/// Why a text is no [`Template`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?}: {fault}; a value's place is its name in braces, such as {{num_games}}, and a brace itself is written twice"
)]
pub struct TemplateError {
    text: String,
    fault: &'static str,
}

impl Template {
    /// The names of the values that it has places for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The text, if it has no place for a value.
    pub fn literal(&self) -> Option<String> {
        self.fill(|_| None).ok()
    }

    /// The text with the values in their places; the name of a value that there is none for as error.
    pub fn fill(&self, value: impl Fn(&str) -> Option<String>) -> Result<String, &str> {
        let mut filled = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Value(name) => filled.push_str(&value(name).ok_or(name.as_str())?),
            }
        }
        Ok(filled)
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let wrong = |fault| TemplateError { text: text.to_owned(), fault };
        if text.contains('\0') {
            return Err(wrong("it holds a zero byte"));
        }
        let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            if after.starts_with(brace) {
                plain.push_str(brace);
                rest = &after[1..];
                continue;
            }
            let (name, after) =
                after.split_once('}').filter(|_| brace == "{").ok_or_else(|| wrong("a brace has no partner"))?;
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
                return Err(wrong("what stands in braces is no name"));
            }
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Value(name.to_owned()));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self { text: text.to_owned(), pieces })
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An element of a command line, or several that stand and fall together: `["--seed", "{seed}"]` is left out when there is no
/// seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Argument {
    /// Always there.
    One(Template),
    /// There when all its values are.
    Group(Vec<Template>),
}

impl Argument {
    /// Its templates.
    pub fn templates(&self) -> &[Template] {
        match self {
            Self::One(template) => std::slice::from_ref(template),
            Self::Group(templates) => templates,
        }
    }
}

/// By hand, so that a fault of the template is told: what serde derives says only that nothing matched.
impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ArgumentVisitor)
    }
}

struct ArgumentVisitor;

impl<'de> Visitor<'de> for ArgumentVisitor {
    type Value = Argument;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or a list of texts that stand and fall together")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Argument, E> {
        text.parse().map(Argument::One).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Argument, A::Error> {
        let mut group = Vec::new();
        while let Some(template) = texts.next_element()? {
            group.push(template);
        }
        Ok(Argument::Group(group))
    }
}

/// The names that appear in some templates.
pub(crate) fn names_in<'a>(templates: impl IntoIterator<Item = &'a Template>) -> BTreeSet<&'a str> {
    templates.into_iter().flat_map(Template::names).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_to_their_places_and_nowhere_else() {
        let value = |name: &str| (name == "n").then(|| "{x}; rm -rf /".to_owned());
        for (text, filled) in [
            ("", ""),
            ("plain", "plain"),
            ("--n={n}", "--n={x}; rm -rf /"),
            ("{n}{n}", "{x}; rm -rf /{x}; rm -rf /"),
            ("{{n}}", "{n}"),
            ("a}}{{b", "a}{b"),
            ("é{{", "é{"),
        ] {
            assert_eq!(text.parse::<Template>().unwrap().fill(value), Ok(filled.to_owned()), "{text}");
        }
        assert_eq!("{m}".parse::<Template>().unwrap().fill(value), Err("m"));
    }

    #[test]
    fn an_argument_that_is_none_says_why() {
        let read = |yaml: &str| serde_yaml::from_str::<Vec<Argument>>(yaml).map_err(|error| error.to_string());
        assert_eq!(read("[sleep, ['--tag', '{tag}']]").unwrap()[1].templates().len(), 2);
        for (yaml, said) in [
            (
                "['f() { g; }']",
                "\"f() { g; }\": what stands in braces is no name; a value's place is its name in braces",
            ),
            ("[['{']]", "a brace has no partner"),
            ("[5]", "expected a text, or a list of texts"),
            ("[{a: b}]", "expected a text, or a list of texts"),
        ] {
            let error = read(yaml).unwrap_err();
            assert!(error.contains(said), "{yaml}: {error}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in ["{", "}", "{n", "n}", "{}", "{N}", "{a b}", "{{{", "a\0", "{n}}"] {
            assert!(text.parse::<Template>().is_err(), "{text:?}");
        }
    }
}
