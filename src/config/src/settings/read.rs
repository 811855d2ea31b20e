//! Texts of flags, variables and the settings file become values: the same way, wherever they stand.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr as _, time::Duration};

use super::{NvmlLibrary, RunnerKind};
use crate::NodeId;

/// What a text should have been: the end of a sentence that begins with "expected".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected(pub(crate) String);

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.0)
    }
}

impl std::error::Error for Expected {}

fn expected<T>(what: &str) -> Result<T, Expected> {
    Err(Expected(what.to_owned()))
}

pub(crate) fn node_id(text: &str) -> Result<NodeId, Expected> {
    const WHAT: &str =
        "a node id: 1 to 63 letters, digits, '.', '_' or '-', beginning and ending with a letter or digit";
    text.parse().or_else(|_| expected(WHAT))
}

pub(crate) fn node_ids(text: &str) -> Result<Vec<NodeId>, Expected> {
    let ids = list(text, node_id)?;
    match ids.iter().enumerate().find(|(i, id)| ids[..*i].contains(id)) {
        Some((_, twice)) => Err(Expected(format!("every node id once, and {twice} is there twice"))),
        None => Ok(ids),
    }
}

pub(crate) fn address(text: &str) -> Result<IpAddr, Expected> {
    text.parse().or_else(|_| expected("an IP address, such as 0.0.0.0 or 127.0.0.1"))
}

pub(crate) fn port(text: &str) -> Result<u16, Expected> {
    text.parse().ok().filter(|port| *port != 0).map_or_else(|| expected("a port 1..65535"), Ok)
}

/// 0 and `none` switch the service off.
pub(crate) fn port_or_none(text: &str) -> Result<Option<u16>, Expected> {
    if matches!(text, "none" | "0") {
        return Ok(None);
    }
    port(text).map(Some).or_else(|_| expected("a port 1..65535, or none"))
}

/// A DNS name or an IP address, without a port.
pub(crate) fn host(text: &str) -> Result<String, Expected> {
    let is_name = !text.is_empty()
        && text.len() <= 253
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        && !text.starts_with(['-', '.']);
    if is_name || IpAddr::from_str(text).is_ok() {
        Ok(text.to_owned())
    } else {
        expected("a host name or an IP address, without port or scheme")
    }
}

/// `host:port`, an IPv6 address in brackets; back in the same form.
pub(crate) fn seed(text: &str) -> Result<String, Expected> {
    const WHAT: &str = "host:port, for example backbone-1:8765 or [fd7a::1]:8765";
    let Some((name, number)) = text.rsplit_once(':') else { return expected(WHAT) };
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let named = match bare {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.contains(':') && host(name).is_ok(),
    };
    if named && port(number).is_ok() { Ok(text.to_owned()) } else { expected(WHAT) }
}

pub(crate) fn seeds(text: &str) -> Result<Vec<String>, Expected> {
    list(text, seed)
}

/// What stands between commas; an empty place, such as after a last comma, is nothing.
fn list<T>(text: &str, read: impl Fn(&str) -> Result<T, Expected>) -> Result<Vec<T>, Expected> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| read(item).map_err(|Expected(what)| Expected(format!("{what} (not {item:?})"))))
        .collect()
}

pub(crate) fn switch(text: &str) -> Result<bool, Expected> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => expected("true or false"),
    }
}

/// `None` for `auto`.
pub(crate) fn switch_or_auto(text: &str) -> Result<Option<bool>, Expected> {
    if text.eq_ignore_ascii_case("auto") {
        return Ok(None);
    }
    switch(text).map(Some).or_else(|_| expected("true, false or auto"))
}

/// `None` for `auto`.
pub(crate) fn runner(text: &str) -> Result<Option<RunnerKind>, Expected> {
    if text == "auto" {
        return Ok(None);
    }
    let kinds = [RunnerKind::Systemd, RunnerKind::Plain, RunnerKind::Nothing];
    let known = kinds.into_iter().find(|kind| kind.as_str() == text);
    known.map_or_else(|| expected("systemd, plain, none or auto"), |kind| Ok(Some(kind)))
}

/// How many versions of a file to keep.
pub(crate) fn versions(text: &str) -> Result<u32, Expected> {
    text.parse().ok().filter(|n| (1..=100).contains(n)).map_or_else(|| expected("a number 1..100"), Ok)
}

/// Megabytes a second.
pub(crate) fn megabytes(text: &str) -> Result<u32, Expected> {
    text.parse().ok().filter(|n| *n <= 10_000).map_or_else(|| expected("megabytes a second, 0..10000"), Ok)
}

pub(crate) fn path(text: &str) -> Result<PathBuf, Expected> {
    if text.is_empty() { expected("a path") } else { Ok(PathBuf::from(text)) }
}

/// Percent of a whole, with or without the sign.
pub(crate) fn percent(text: &str) -> Result<u8, Expected> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end().parse().ok();
    number.filter(|n| (1..=100).contains(n)).map_or_else(|| expected("percent, 1..100"), Ok)
}

/// How many of something.
pub(crate) fn count(text: &str) -> Result<u32, Expected> {
    text.parse().ok().filter(|n| (1..=1_000_000).contains(n)).map_or_else(|| expected("a number 1..1000000"), Ok)
}

pub(crate) fn nvml_library(text: &str) -> Result<NvmlLibrary, Expected> {
    match text {
        "" => expected("a file, auto or none"),
        "auto" => Ok(NvmlLibrary::Auto),
        "none" => Ok(NvmlLibrary::Nowhere),
        file => Ok(NvmlLibrary::At(file.into())),
    }
}

/// A time for people's things, from 1 s to a day. The Python program's variables have no unit: they are seconds.
pub(crate) fn seconds(text: &str) -> Result<Duration, Expected> {
    const WHAT: &str = "a time from 1s to 24h, such as 600, 600s, 10m or 1h";
    let seconds = match text.parse::<u32>() {
        Ok(seconds) => Some(f64::from(seconds)),
        Err(_) => time(text),
    };
    match seconds {
        Some(s) if (1.0..=86_400.0).contains(&s) => Ok(Duration::from_secs_f64(s)),
        _ => expected(WHAT),
    }
}

/// A number with its unit: `200ms`, `1.5s`, `2m`. From 1 ms to an hour: anything else is a slip.
pub(crate) fn duration(text: &str) -> Result<Duration, Expected> {
    const WHAT: &str = "a duration from 1ms to 1h with its unit, such as 200ms, 1.5s or 2m";
    match time(text) {
        Some(s) if (0.001..=3600.0).contains(&s) => Ok(Duration::from_secs_f64(s)),
        _ => expected(WHAT),
    }
}

/// Seconds of a number with its unit.
fn time(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds_per_unit = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Some(number.trim().parse::<f64>().ok()? * seconds_per_unit)
}

/// Bytes, with `KiB`, `MiB` or without a unit; from 1 KiB to 1 GiB.
pub(crate) fn body_bytes(text: &str) -> Result<usize, Expected> {
    const WHAT: &str = "a size from 1KiB to 1024MiB, such as 1048576, 512KiB or 1MiB";
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let bytes_per_unit = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return expected(WHAT),
    };
    let bytes = number.trim().parse::<usize>().ok().and_then(|n| n.checked_mul(bytes_per_unit));
    match bytes {
        Some(n) if (1 << 10..=1 << 30).contains(&n) => Ok(n),
        _ => expected(WHAT),
    }
}

pub(crate) fn connections(text: &str) -> Result<usize, Expected> {
    match text.parse() {
        Ok(n) if (1..=65_536).contains(&n) => Ok(n),
        _ => expected("a number of connections from 1 to 65536"),
    }
}

pub(crate) fn words(text: &str) -> Result<String, Expected> {
    if text.trim().is_empty() { expected("a text") } else { Ok(text.trim().to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_1_to_65535_and_the_health_port_may_be_none() {
        for (text, value) in [("1", Ok(1)), ("65535", Ok(65535)), ("8770", Ok(8770))] {
            assert_eq!(port(text), value, "{text}");
            assert_eq!(port_or_none(text), value.map(Some), "{text}");
        }
        for text in ["0", "65536", "-1", "abc", "", "8770.0", "0x50"] {
            assert_eq!(port(text).unwrap_err().to_string(), "expected a port 1..65535", "{text}");
        }
        assert_eq!((port_or_none("none"), port_or_none("0")), (Ok(None), Ok(None)));
        assert!(port_or_none("off").is_err());
    }

    #[test]
    fn durations_carry_their_unit() {
        for (text, millis) in [("200ms", 200), ("1.5s", 1500), ("2m", 120_000), ("1h", 3_600_000), ("60 s", 60_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "200", "s", "-1s", "0ms", "2h", "NaNs", "infs", "1e9s", "1s2"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn percents_and_the_python_programs_seconds_are_read() {
        for (text, value) in [("1", 1), ("70", 70), ("100%", 100), ("5 %", 5)] {
            assert_eq!(percent(text), Ok(value), "{text}");
        }
        for text in ["", "0", "101", "0.7", "-1", "%", "seventy"] {
            assert!(percent(text).is_err(), "{text}");
        }
        for (text, value) in [("600", 600), ("600s", 600), ("10m", 600), ("24h", 86_400), ("1", 1)] {
            assert_eq!(seconds(text), Ok(Duration::from_secs(value)), "{text}");
        }
        for text in ["", "0", "500ms", "25h", "86401", "-5", "1d", "NaNs"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_limits() {
        for (text, bytes) in [("1048576", 1 << 20), ("512KiB", 512 << 10), ("1MiB", 1 << 20), ("1 MiB", 1 << 20)] {
            assert_eq!(body_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "1", "1MB", "2048MiB", "-1", "99999999999999999999MiB"] {
            assert!(body_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn seeds_and_hosts_are_told_apart() {
        for text in ["backbone-1:8765", "100.64.0.7:8765", "[fd7a::1]:8765", "a_b.example.net:1"] {
            assert_eq!(seed(text).as_deref(), Ok(text), "{text}");
        }
        for text in ["backbone-1", "fd7a::1:8765", ":8765", "http://a:8770", "a:0", "a:b", "[a]:1", "a b:1"] {
            assert!(seed(text).is_err(), "{text}");
        }
        for text in ["backbone-1", "100.64.0.7", "fd7a::1"] {
            assert_eq!(host(text).as_deref(), Ok(text), "{text}");
        }
        for text in ["", "a:8770", "http://a", "-a", ".", "a b"] {
            assert!(host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lists_forgive_blanks_and_empty_places_and_name_the_bad_item() {
        let ids = node_ids(" a, b ,,c, ").unwrap();
        assert_eq!(ids.iter().map(NodeId::as_str).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(node_ids("").unwrap(), []);
        assert!(node_ids("a,-b").unwrap_err().0.ends_with("(not \"-b\")"));
        assert!(node_ids("a,b,a").unwrap_err().0.contains("a is there twice"));
    }

    #[test]
    fn switches_are_words_of_both_kinds() {
        for text in ["true", "1", "YES", "on"] {
            assert_eq!(switch(text), Ok(true), "{text}");
        }
        for text in ["false", "0", "no", "Off"] {
            assert_eq!(switch(text), Ok(false), "{text}");
        }
        assert!(switch("maybe").is_err());
    }
}
