//! Sizes, shares and times as people write them in settings: `4G`, `200%`, `90s`.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that should have been a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found:?}")]
pub struct Quantity {
    expected: &'static str,
    found: String,
}

/// Bytes. Written with the binary units of systemd: `512M`, `4G`, `1.5G`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);

/// Hundredths of one processor: `150%` is one and a half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Percent(pub u32);

/// Whole seconds. Written with a unit: `90s`, `15m`, `6h`, `2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seconds(pub u64);

const UNITS: [(char, u64); 5] = [('K', 1 << 10), ('M', 1 << 20), ('G', 1 << 30), ('T', 1 << 40), ('B', 1)];
const TIMES: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Seconds {
    /// The same as a [`Duration`].
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl FromStr for Bytes {
    type Err = Quantity;

    fn from_str(text: &str) -> Result<Self, Quantity> {
        let wrong = || Quantity { expected: "a size such as 512M or 4G", found: text.to_owned() };
        let (number, unit) = match text.char_indices().next_back() {
            Some((at, unit)) if !unit.is_ascii_digit() => (&text[..at], unit),
            _ => (text, 'B'),
        };
        let (_, factor) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(factor).map(Self).ok_or_else(wrong);
        }
        let part: f64 = number.parse().map_err(|_| wrong())?;
        let bytes = part * factor as f64;
        if number.starts_with(|c: char| c.is_ascii_digit()) && bytes.is_finite() && bytes < u64::MAX as f64 {
            Ok(Self(bytes as u64))
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS[..4].iter().rev().find(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor));
        match exact {
            Some((unit, factor)) => f.pad(&format!("{}{unit}", self.0 / factor)),
            None => f.pad(&self.0.to_string()),
        }
    }
}

impl FromStr for Percent {
    type Err = Quantity;

    fn from_str(text: &str) -> Result<Self, Quantity> {
        let number = text.strip_suffix('%').and_then(|n| n.parse().ok()).filter(|n| (1..=100_000).contains(n));
        number.map(Self).ok_or_else(|| Quantity { expected: "a share such as 150%", found: text.to_owned() })
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}%", self.0))
    }
}

impl FromStr for Seconds {
    type Err = Quantity;

    fn from_str(text: &str) -> Result<Self, Quantity> {
        let wrong = || Quantity { expected: "a time such as 90s, 15m or 6h", found: text.to_owned() };
        let unit = text.chars().next_back().ok_or_else(wrong)?;
        let (number, unit) =
            if unit.is_ascii_digit() { (text, 's') } else { (&text[..text.len() - unit.len_utf8()], unit) };
        let (_, factor) = TIMES.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(factor).filter(|seconds| *seconds <= 366 * 86_400).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) =
            TIMES.into_iter().find(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor)).unwrap_or(('s', 1));
        f.pad(&format!("{}{unit}", self.0 / factor))
    }
}

/// Written as text; read from text, or from a bare number of the smallest unit.
macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                #[serde(untagged)]
                enum Written {
                    Number(u64),
                    Text(String),
                }
                let text = match Written::deserialize(deserializer)? {
                    Written::Number(number) => number.to_string(),
                    Written::Text(text) => text,
                };
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

as_text!(Bytes, Percent, Seconds);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_systemd_reads_them() {
        for (text, bytes) in
            [("512M", 512 << 20), ("4G", 4 << 30), ("1.5G", 3 << 29), ("1024", 1024), ("0", 0), ("1B", 1)]
        {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "G", "4g", "-1G", "4GB", "inf", "nanG", "1e3G ", "99999999999T"] {
            assert!(text.parse::<Bytes>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn shares_and_times_have_their_units() {
        assert_eq!("150%".parse(), Ok(Percent(150)));
        assert!("150".parse::<Percent>().is_err() && "0%".parse::<Percent>().is_err());
        for (text, seconds) in [("90s", 90), ("15m", 900), ("6h", 21_600), ("2d", 172_800), ("60", 60), ("0", 0)] {
            assert_eq!(text.parse(), Ok(Seconds(seconds)), "{text}");
        }
        for text in ["", "s", "-1s", "1w", "1.5h", "9999999h", "é"] {
            assert!(text.parse::<Seconds>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for bytes in [0, 1, 1023, 1 << 20, 3 << 30, u64::MAX] {
            assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
        }
        for seconds in [0, 1, 60, 3661, 86_400] {
            assert_eq!(Seconds(seconds).to_string().parse(), Ok(Seconds(seconds)));
        }
    }
}
