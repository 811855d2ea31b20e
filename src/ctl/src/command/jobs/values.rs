//! `name=value` on the command line.

use std::collections::BTreeMap;

use ringrift_job::{Limits, ParamValue};

use crate::{exit::Exit, failure::Failure};

/// A name and a value.
pub(super) type Pair = (String, String);

/// Reads `name=value`.
pub(super) fn pair(text: &str) -> Result<Pair, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected name=value".to_owned()),
    }
}

/// The values as a request carries them; the daemon reads each by what its parameter takes.
pub(super) fn params(pairs: Vec<Pair>) -> BTreeMap<String, ParamValue> {
    pairs.into_iter().map(|(name, value)| (name, ParamValue::Text(value))).collect()
}

/// The limits that some pairs name.
pub(super) fn limits(pairs: &[Pair]) -> Result<Limits, Failure> {
    let number = |text: &str| text.parse::<u64>().map_or_else(|_| text.into(), serde_json::Value::from);
    let map: serde_json::Map<_, _> = pairs.iter().map(|(name, value)| (name.clone(), number(value))).collect();
    let wrong = |error: &dyn std::fmt::Display| Failure::new(Exit::Usage, format!("these are no limits: {error}"));
    let limits: Limits = serde_json::from_value(map.into()).map_err(|error| {
        wrong(&error)
            .advise(format!("Limits are {}; for example memory_max=8G cpu_quota=200%.", Limits::NAMES.join(", ")))
    })?;
    limits.check().map_err(|error| wrong(&error))?;
    Ok(limits)
}

/// Limits as people read them; what is not limited is left out.
pub(super) fn limits_text(limits: &Limits) -> String {
    let json = serde_json::to_value(limits).unwrap_or_default();
    let shown = json.as_object().into_iter().flatten().map(|(name, value)| match value.as_str() {
        Some(text) => format!("{name}={text}"),
        None => format!("{name}={value}"),
    });
    let text = shown.collect::<Vec<_>>().join(" ");
    if text.is_empty() { "none".to_owned() } else { text }
}
