use std::fmt;

use serde::Serialize;

/// The GPUs of a host: `8x RTX 4090` is eight of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// How many.
    pub count: u32,
    /// Of which model.
    pub name: String,
}

impl Gpu {
    /// Reads the file's text. Nothing, `''` and `none` all mean that there is none.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.eq_ignore_ascii_case("none") {
            return None;
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = text.split_at(digits);
        let name = rest.trim_start().strip_prefix(['x', 'X', '×']).map(str::trim_start);
        match (number.parse(), name) {
            (Ok(0), Some(_)) => None,
            (Ok(count), Some(name)) if !name.is_empty() => Some(Self { count, name: name.to_owned() }),
            _ => Some(Self { count: 1, name: text.to_owned() }),
        }
    }

    /// Whether it is part of an Apple machine, which the runner of jobs does not run on.
    pub(crate) fn is_apple(&self) -> bool {
        let chip = |word: &str| word.len() <= 3 && word.starts_with('M') && word[1..].parse::<u8>().is_ok();
        self.name.contains("MPS") || self.name.contains("Apple") || self.name.split(' ').next().is_some_and(chip)
    }
}

impl fmt::Display for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.count == 1 { self.name.clone() } else { format!("{}x {}", self.count, self.name) };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_counts_names_and_absence() {
        for (text, expected) in [
            ("", None),
            ("  ", None),
            ("none", None),
            ("None", None),
            ("0x RTX 3090", None),
            ("8x RTX 4090", Some((8, "RTX 4090"))),
            ("2X RTX 5090", Some((2, "RTX 5090"))),
            ("4 x A100", Some((4, "A100"))),
            ("2×L40S", Some((2, "L40S"))),
            ("RTX 5090", Some((1, "RTX 5090"))),
            ("GH200 (96 GB)", Some((1, "GH200 (96 GB)"))),
            ("8x", Some((1, "8x"))),
            ("99999999999x A100", Some((1, "99999999999x A100"))),
        ] {
            let gpu = Gpu::parse(text);
            assert_eq!(gpu.as_ref().map(|g| (g.count, g.name.as_str())), expected, "{text:?}");
        }
        assert_eq!(Gpu::parse("8x RTX 4090").unwrap().to_string(), "8x RTX 4090");
    }

    #[test]
    fn knows_apple_machines() {
        for (text, apple) in [("M3 Max/Ultra (MPS)", true), ("Apple M2", true), ("M1", true), ("MI300X", false)] {
            assert_eq!(Gpu::parse(text).unwrap().is_apple(), apple, "{text}");
        }
    }
}
