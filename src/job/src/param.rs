use std::{
    collections::BTreeMap,
    fmt,
    ops::{Deref, RangeInclusive},
};

use serde::{Deserialize, Serialize};

use crate::{ParamValue, value::MAX_TEXT};

/// Values by the names of their parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Params(BTreeMap<String, ParamValue>);

/// A parameter of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Param {
    /// What it takes.
    pub takes: ParamType,
    /// What it is when nobody says.
    pub default: Option<ParamValue>,
    /// Whether it may be missing.
    pub optional: bool,
    /// Other names that requests may use for it.
    pub aliases: Vec<String>,
}

/// What a parameter takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamType {
    /// One of these texts.
    Choice(Vec<String>),
    /// A whole number in this range.
    Integer(RangeInclusive<i64>),
    /// Any finite number, for example a learning rate.
    Number,
    /// True or false.
    Flag,
    /// A path inside the data directory: relative, without `..`.
    Path,
    /// 1 to 64 letters, digits, `.`, `_`, `-` and `:`, beginning with a letter or digit.
    Word,
}

/// Why values are not what a class takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// A parameter that the class does not have.
    #[error("there is no parameter `{name}`; this class has {known}")]
    Unknown {
        /// As it was given.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// An attempt to say what runs.
    #[error("`{0}` is refused: what runs is configured on the nodes, and never taken from a request")]
    Command(String),
    /// Neither given nor known otherwise.
    #[error("`{0}` is missing: {1}")]
    Missing(String, String),
    /// Not what it takes.
    #[error("`{name}` is {found}: expected {expected}")]
    Wrong {
        /// The parameter.
        name: String,
        /// The value.
        found: String,
        /// What it takes.
        expected: String,
    },
    /// Given by two names.
    #[error("`{0}` is given twice, once as `{1}`")]
    Twice(String, String),
}

/// Names by which a request would say what runs.
const COMMANDS: [&str; 16] = [
    "args",
    "argv",
    "binary",
    "cmd",
    "cmdline",
    "command",
    "cwd",
    "entrypoint",
    "env",
    "environment",
    "exec",
    "executable",
    "program",
    "script",
    "shell",
    "working_dir",
];

/// More values than a class has parameters.
const MAX_PARAMS: usize = 64;

impl Params {
    /// Values that nobody has checked.
    pub fn new(values: BTreeMap<String, ParamValue>) -> Self {
        Self(values)
    }

    /// Checked against the parameters of a class: under their own names, with the defaults of those not given.
    pub fn check(&self, params: &BTreeMap<String, Param>) -> Result<Self, ParamError> {
        let mut checked = BTreeMap::new();
        for (given, value) in self.0.iter().take(MAX_PARAMS + 1) {
            let Some((name, param)) = params.get_key_value(given).or_else(|| by_alias(params, given)) else {
                if COMMANDS.contains(&given.to_ascii_lowercase().as_str()) {
                    return Err(ParamError::Command(given.clone()));
                }
                let known = params.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                return Err(ParamError::Unknown { name: given.chars().take(80).collect(), known });
            };
            if checked.insert(name.clone(), param.takes.check(name, value)?).is_some() {
                return Err(ParamError::Twice(name.clone(), given.clone()));
            }
        }
        for (name, param) in params {
            match &param.default {
                _ if checked.contains_key(name) => {}
                Some(default) => {
                    checked.insert(name.clone(), default.clone());
                }
                None if param.optional => {}
                None => return Err(ParamError::Missing(name.clone(), format!("expected {}", param.takes))),
            }
        }
        Ok(Self(checked))
    }
}

fn by_alias<'a>(params: &'a BTreeMap<String, Param>, given: &str) -> Option<(&'a String, &'a Param)> {
    params.iter().find(|(_, param)| param.aliases.iter().any(|alias| alias == given))
}

impl ParamType {
    fn check(&self, name: &str, value: &ParamValue) -> Result<ParamValue, ParamError> {
        let text = value.to_string();
        let right = match self {
            Self::Choice(of) => of.contains(&text).then(|| ParamValue::Text(text.clone())),
            Self::Integer(range) => text.parse().ok().filter(|n| range.contains(n)).map(ParamValue::Integer),
            Self::Number => {
                let number = text.parse::<f64>().ok().filter(|n| n.is_finite());
                number.filter(|_| text.len() <= 32).map(|_| ParamValue::Text(text.clone()))
            }
            Self::Flag => match text.as_str() {
                "true" => Some(ParamValue::Flag(true)),
                "false" => Some(ParamValue::Flag(false)),
                _ => None,
            },
            Self::Path => is_inner_path(&text).then(|| ParamValue::Text(text.clone())),
            Self::Word => is_word(&text).then(|| ParamValue::Text(text.clone())),
        };
        right.ok_or_else(|| ParamError::Wrong {
            name: name.to_owned(),
            found: format!("{:?}", text.chars().take(80).collect::<String>()),
            expected: self.to_string(),
        })
    }
}

/// A path that stays inside the folder it is joined to, and cannot be taken for an option.
fn is_inner_path(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_TEXT
        && !text.starts_with(['/', '-', '~'])
        && !text.chars().any(char::is_control)
        && text.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

fn is_word(text: &str) -> bool {
    text.len() <= 64
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':'))
}

impl fmt::Display for ParamType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Choice(of) => write!(f, "one of {}", of.join(", ")),
            Self::Integer(range) => write!(f, "a whole number from {} to {}", range.start(), range.end()),
            Self::Number => f.write_str("a number"),
            Self::Flag => f.write_str("true or false"),
            Self::Path => f.write_str("a path inside the data directory, relative and without `..`"),
            Self::Word => {
                f.write_str("1 to 64 letters, digits, '.', '_', '-' or ':', beginning with a letter or digit")
            }
        }
    }
}

impl Deref for Params {
    type Target = BTreeMap<String, ParamValue>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl FromIterator<(String, ParamValue)> for Params {
    fn from_iter<T: IntoIterator<Item = (String, ParamValue)>>(values: T) -> Self {
        Self(values.into_iter().collect())
    }
}

/// A parameter as settings spell it: `{type: integer, min: 2, max: 4, default: 2}`.
#[derive(Serialize, Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    of: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<ParamValue>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    optional: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
}

impl TryFrom<Written> for Param {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { kind, of, min, max, default, optional, aliases } = written;
        let bounded = min.is_some() || max.is_some();
        let takes = match kind.as_str() {
            "choice" if of.is_empty() => return Err("a choice needs `of`, a list of texts".to_owned()),
            "choice" if !bounded => ParamType::Choice(of),
            "integer" if of.is_empty() => {
                let (min, max) = (min.unwrap_or(0), max.unwrap_or(i64::MAX));
                if min > max {
                    return Err(format!("min ({min}) is above max ({max})"));
                }
                ParamType::Integer(min..=max)
            }
            "choice" | "number" | "flag" | "path" | "word" if bounded => {
                return Err(format!("only an integer has `min` and `max`, and this is a {kind}"));
            }
            "integer" | "number" | "flag" | "path" | "word" if !of.is_empty() => {
                return Err(format!("only a choice has `of`, and this is a {kind}"));
            }
            "number" => ParamType::Number,
            "flag" => ParamType::Flag,
            "path" => ParamType::Path,
            "word" => ParamType::Word,
            _ => return Err(format!("type {kind:?}: expected choice, integer, number, flag, path or word")),
        };
        let default = default.map(|value| takes.check("default", &value)).transpose().map_err(|e| e.to_string())?;
        Ok(Self { takes, default, optional, aliases })
    }
}

impl From<Param> for Written {
    fn from(param: Param) -> Self {
        let Param { takes, default, optional, aliases } = param;
        let (kind, of, min, max) = match takes {
            ParamType::Choice(of) => ("choice", of, None, None),
            ParamType::Integer(range) => ("integer", Vec::new(), Some(*range.start()), Some(*range.end())),
            ParamType::Number => ("number", Vec::new(), None, None),
            ParamType::Flag => ("flag", Vec::new(), None, None),
            ParamType::Path => ("path", Vec::new(), None, None),
            ParamType::Word => ("word", Vec::new(), None, None),
        };
        Self { kind: kind.to_owned(), of, min, max, default, optional, aliases }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> BTreeMap<String, Param> {
        serde_yaml::from_str(
            "board: {type: choice, of: [hex8, square8]}\n\
             games: {type: integer, min: 1, max: 1000, default: 100, aliases: [total_games]}\n\
             rate: {type: number, optional: true}\n\
             fast: {type: flag, default: false}\n\
             out: {type: path, optional: true}\n\
             tag: {type: word, optional: true}\n",
        )
        .unwrap()
    }

    fn check(json: &str) -> Result<String, String> {
        let given: Params = serde_json::from_str(json).unwrap();
        let checked = given.check(&params()).map_err(|e| e.to_string())?;
        Ok(serde_json::to_string(&checked).unwrap())
    }

    #[test]
    fn values_are_checked_named_and_completed() {
        for (given, checked) in [
            (r#"{"board":"hex8"}"#, r#"{"board":"hex8","fast":false,"games":100}"#),
            (r#"{"board":"hex8","total_games":"7"}"#, r#"{"board":"hex8","fast":false,"games":7}"#),
            (
                r#"{"board":"square8","rate":0.001,"fast":"true","out":"selfplay/a.db","tag":"v1:x"}"#,
                r#"{"board":"square8","fast":true,"games":100,"out":"selfplay/a.db","rate":"0.001","tag":"v1:x"}"#,
            ),
        ] {
            assert_eq!(check(given), Ok(checked.to_owned()), "{given}");
        }
    }

    #[test]
    fn each_wrong_value_is_named_with_what_was_expected() {
        let refusals: Vec<String> = [
            "{}",
            r#"{"board":"chess"}"#,
            r#"{"board":"hex8","games":0}"#,
            r#"{"board":"hex8","games":1.5}"#,
            r#"{"board":"hex8","games":1,"total_games":2}"#,
            r#"{"board":"hex8","rate":"NaN"}"#,
            r#"{"board":"hex8","fast":1}"#,
            r#"{"board":"hex8","out":"/etc/passwd"}"#,
            r#"{"board":"hex8","out":"a/../../b"}"#,
            r#"{"board":"hex8","out":"-rf"}"#,
            r#"{"board":"hex8","tag":"--evil"}"#,
            r#"{"board":"hex8","color":"red"}"#,
            r#"{"board":"hex8","Command":"sh"}"#,
        ]
        .into_iter()
        .map(|given| format!("{given}\n    {}", check(given).unwrap_err()))
        .collect();
        insta::assert_snapshot!(refusals.join("\n"));
    }

    #[test]
    fn a_parameter_that_contradicts_itself_is_refused() {
        for text in [
            "{type: choice}",
            "{type: integer, min: 3, max: 2}",
            "{type: flag, min: 3}",
            "{type: word, of: [a]}",
            "{type: integer, min: 1, max: 2, default: 3}",
            "{type: text}",
            "{type: flag, colour: red}",
        ] {
            assert!(serde_yaml::from_str::<Param>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = serde_yaml::to_string(&params()).unwrap();
        assert_eq!(serde_yaml::from_str::<BTreeMap<String, Param>>(&text).unwrap(), params());
    }
}
