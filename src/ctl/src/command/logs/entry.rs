use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::paint::{Paint, Tone};

/// An entry of one node's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Microseconds since the epoch by the node's own clock; 0 if it does not say.
    pub(super) micros: i64,
    pub(super) node: String,
    unit: String,
    /// syslog(3): up to 3 is an error, 4 a warning.
    priority: u8,
    message: String,
    /// By which the journal finds what follows.
    pub(super) cursor: Option<String>,
}

impl Entry {
    /// From a line of `journalctl --output=json`, or of a log file that begins with a time.
    pub(super) fn read(node: &str, line: &str) -> Self {
        let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(line) else {
            let first = line.split_whitespace().next().unwrap_or_default();
            let micros = first.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_microsecond).unwrap_or_default();
            let message =
                if micros == 0 { line } else { line[line.find(first).unwrap_or(0) + first.len()..].trim_start() };
            return Self {
                micros,
                node: node.to_owned(),
                unit: String::new(),
                priority: 6,
                message: message.to_owned(),
                cursor: None,
            };
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        Self {
            micros: text("__REALTIME_TIMESTAMP").and_then(|text| text.parse().ok()).unwrap_or_default(),
            node: node.to_owned(),
            // What systemd itself says of a unit, it says under UNIT.
            unit: text("UNIT").or(text("_SYSTEMD_UNIT")).unwrap_or_default().to_owned(),
            priority: text("PRIORITY").and_then(|text| text.parse().ok()).unwrap_or(6),
            message: fields.get("MESSAGE").map(message).unwrap_or_default(),
            cursor: text("__CURSOR").map(str::to_owned),
        }
    }

    /// For people; in UTC, since nodes are in many time zones.
    pub(super) fn text(&self, paint: Paint) -> String {
        let at = match jiff::Timestamp::from_microsecond(self.micros) {
            Ok(at) if self.micros != 0 => at.strftime("%Y-%m-%d %H:%M:%S.%3fZ").to_string(),
            _ => "-".repeat(24),
        };
        let tone = match self.priority {
            0..=3 => Tone::Bad,
            4 => Tone::Warn,
            _ => Tone::Plain,
        };
        let mut text = String::new();
        // Each line of a long message is found by its node.
        for line in self.message.lines() {
            let head = format!("{at} {:<16}", self.node);
            let _ = writeln!(text, "{} {}", paint.text(Tone::Faint, &head), paint.text(tone, line));
        }
        text
    }

    /// For `--json`.
    pub(super) fn json(&self) -> Value {
        json!({
            "timestamp": self.micros as f64 / 1e6,
            "node_id": self.node,
            "unit": self.unit,
            "priority": self.priority,
            "message": self.message,
        })
    }
}

/// A text, or the bytes of what is none (systemd.journal-fields(7), "JSON").
fn message(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(bytes) => {
            let bytes: Vec<u8> = bytes.iter().filter_map(|byte| byte.as_u64().map(|byte| byte as u8)).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        // Longer than the journal hands out at once.
        _ => "(not shown)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_journals_and_of_files_are_read() {
        for (line, micros, priority, said) in [
            (
                r#"{"__REALTIME_TIMESTAMP":"1772355600250000","PRIORITY":"4","MESSAGE":"disk","__CURSOR":"s=1"}"#,
                1_772_355_600_250_000,
                4,
                "disk",
            ),
            (r#"{"__REALTIME_TIMESTAMP":"7","MESSAGE":[104,105,255]}"#, 7, 6, "hi\u{fffd}"),
            (r#"{"__REALTIME_TIMESTAMP":"7","MESSAGE":null}"#, 7, 6, "(not shown)"),
            ("2026-03-01T09:00:00.250Z  INFO alpha leads", 1_772_355_600_250_000, 6, "INFO alpha leads"),
            ("tail: cannot open", 0, 6, "tail: cannot open"),
            ("", 0, 6, ""),
        ] {
            let entry = Entry::read("gpu-3", line);
            assert_eq!((entry.micros, entry.priority, entry.message.as_str()), (micros, priority, said), "{line}");
        }
        let entry = Entry::read("gpu-3", r#"{"__REALTIME_TIMESTAMP":"1772355600250000","MESSAGE":"a\nb"}"#);
        assert_eq!(
            entry.text(Paint::for_stdout()),
            "2026-03-01 09:00:00.250Z gpu-3            a\n2026-03-01 09:00:00.250Z gpu-3            b\n"
        );
    }
}
