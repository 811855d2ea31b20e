use std::borrow::Cow;

/// A text in a YAML file, and whether it stood there without quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Without quotes: it may mean a number or a truth value.
    pub(crate) plain: bool,
}

/// What a scalar means by YAML 1.2's core schema, as `serde_yaml` has it too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Resolved<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    /// An integer above `i64::MAX`.
    Unsigned(u64),
    Float(f64),
    Text(&'a str),
}

impl Scalar {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.resolve(), Resolved::Null)
    }

    pub(crate) fn resolve(&self) -> Resolved<'_> {
        let text = self.text.as_str();
        if !self.plain {
            return Resolved::Text(text);
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
            "true" | "True" | "TRUE" => return Resolved::Bool(true),
            "false" | "False" | "FALSE" => return Resolved::Bool(false),
            ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
            _ => {}
        }
        number(text).unwrap_or(Resolved::Text(text))
    }

    /// Why a YAML 1.1 reader, such as the Python program's, reads this as something other than text, where we read text.
    pub(crate) fn ambiguity(&self) -> Option<&'static str> {
        if !self.plain || !matches!(self.resolve(), Resolved::Text(_)) {
            return None;
        }
        let lower = self.text.to_ascii_lowercase();
        let digits = self.text.bytes().any(|b| b.is_ascii_digit());
        let only =
            |allowed: &str| digits && self.text.bytes().all(|b| b.is_ascii_digit() || allowed.contains(b as char));
        if matches!(lower.as_str(), "yes" | "no" | "on" | "off") {
            Some("a truth value")
        } else if only("_")
            || only("+-") && self.text.trim_start_matches(['+', '-']).bytes().all(|b| b.is_ascii_digit())
        {
            Some("a number")
        } else if only(":") && !self.text.starts_with(':') && !self.text.ends_with(':') {
            Some("a number of base 60")
        } else if is_date(&self.text) {
            Some("a date")
        } else {
            None
        }
    }

    /// For "expected …, found …".
    pub(crate) fn describe(&self) -> Cow<'static, str> {
        match self.resolve() {
            Resolved::Null => "nothing".into(),
            Resolved::Bool(_) => format!("the truth value {}", self.text).into(),
            Resolved::Integer(_) | Resolved::Unsigned(_) | Resolved::Float(_) => {
                format!("the number {}", self.text).into()
            }
            Resolved::Text(text) => format!("{:?}", shortened(text)).into(),
        }
    }
}

/// Enough of a text to recognise it by.
fn shortened(text: &str) -> Cow<'_, str> {
    const MOST: usize = 60;
    if text.chars().count() <= MOST { text.into() } else { text.chars().take(MOST).chain(['…']).collect() }
}

fn number(text: &str) -> Option<Resolved<'static>> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let negative = text.starts_with('-');
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            if digits.starts_with(['+', '-']) {
                return None;
            }
            return integer(u64::from_str_radix(digits, radix).ok()?, negative);
        }
    }
    // `0755` is eight times something else in YAML 1.1; a text is what it is in none of them by accident.
    let leading_zero = unsigned.len() > 1 && unsigned.starts_with('0') && unsigned.bytes().all(|b| b.is_ascii_digit());
    if leading_zero {
        return None;
    }
    let is_whole = unsigned.bytes().all(|b| b.is_ascii_digit());
    if let (true, Ok(magnitude)) = (is_whole, unsigned.parse::<u64>())
        && let Some(resolved) = integer(magnitude, negative)
    {
        return Some(resolved);
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(Resolved::Float(if negative { f64::NEG_INFINITY } else { f64::INFINITY }));
    }
    let begins_like_a_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    text.parse::<f64>().ok().filter(|n| begins_like_a_number && n.is_finite()).map(Resolved::Float)
}

fn integer(magnitude: u64, negative: bool) -> Option<Resolved<'static>> {
    if negative {
        return 0_i64.checked_sub_unsigned(magnitude).map(Resolved::Integer);
    }
    Some(i64::try_from(magnitude).map_or(Resolved::Unsigned(magnitude), Resolved::Integer))
}

/// `2026-01-31`, also with a time behind it.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let mut digits = |most: usize, whole: bool| {
        parts.next().is_some_and(|part| {
            let count = part.bytes().take_while(u8::is_ascii_digit).count();
            (1..=most).contains(&count) && (!whole || count == part.len())
        })
    };
    digits(4, true) && digits(2, true) && digits(2, false)
}
