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

    /// Whether a GPU that its driver calls `measured` (`NVIDIA GeForce RTX 4060 Ti`) is of this model (`RTX 4060 Ti`).
    ///
    /// People leave out the maker, the size of the memory and the form of the board, so those do not count. `Ti` or `Super`
    /// after the number makes another model.
    pub fn is_model(&self, measured: &str) -> bool {
        let (told, measured) = (model_words(&self.name), model_words(measured));
        let told_model = told.concat();
        (0..measured.len()).any(|from| {
            (from + 1..=measured.len()).any(|to| {
                let rest = measured.get(to).is_some_and(|word| VARIANTS.contains(&word.as_str()));
                !rest && measured[from..to].concat() == told_model
            })
        })
    }

    /// Whether it is part of an Apple machine, which the runner of jobs does not run on.
    pub(crate) fn is_apple(&self) -> bool {
        let chip = |word: &str| word.len() <= 3 && word.starts_with('M') && word[1..].parse::<u8>().is_ok();
        self.name.contains("MPS") || self.name.contains("Apple") || self.name.split(' ').next().is_some_and(chip)
    }
}

/// What makes another model of the same number.
const VARIANTS: [&str; 3] = ["ti", "super", "d"];

/// The words of a model's name that tell it from others.
fn model_words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    // `(96 GB)`, `(vGPU)`: remarks.
    let mut bare = String::new();
    let mut depth = 0_u32;
    for c in name.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => bare.push(c),
            _ => {}
        }
    }
    for word in bare.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let word = word.to_ascii_lowercase();
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if word == "gb" && words.last().is_some_and(|last| is_number(last)) {
            words.pop();
            continue;
        }
        let is_size = word.strip_suffix("gb").is_some_and(is_number);
        let is_form = ["pcie", "nvl"].contains(&word.as_str()) || word.starts_with("sxm") || word.starts_with("hbm");
        if !is_size && !is_form {
            words.push(word);
        }
    }
    words
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
    fn knows_a_model_by_the_name_that_its_driver_gives_it() {
        for (told, measured, same) in [
            ("RTX 4090", "NVIDIA GeForce RTX 4090", true),
            ("rtx4090", "NVIDIA GeForce RTX 4090", true),
            ("GeForce RTX 4090", "NVIDIA GeForce RTX 4090", true),
            ("RTX 4090", "NVIDIA GeForce RTX 4090 D", false),
            ("RTX 4090", "NVIDIA GeForce RTX 3090", false),
            ("RTX 4060", "NVIDIA GeForce RTX 4060 Ti", false),
            ("RTX 4060 Ti", "NVIDIA GeForce RTX 4060 Ti", true),
            ("RTX 4060 Ti", "NVIDIA GeForce RTX 4060", false),
            ("A100 PCIe", "NVIDIA A100 80GB PCIe", true),
            ("A100 PCIe", "NVIDIA A100-PCIE-40GB", true),
            ("A100", "NVIDIA A100-SXM4-80GB", true),
            ("A100 80 GB", "NVIDIA A100-SXM4-80GB", true),
            ("H100 SXM", "NVIDIA H100 80GB HBM3", true),
            ("GH200 (96 GB)", "NVIDIA GH200 480GB", true),
            ("A100D-20C (vGPU)", "GRID A100D-20C", true),
            ("A10", "NVIDIA A100-SXM4-80GB", false),
            ("A10", "NVIDIA A10G", false),
            ("L40", "NVIDIA L40S", false),
            ("MI300X", "NVIDIA H100 80GB HBM3", false),
            ("H100", "", false),
        ] {
            let told = Gpu { count: 1, name: told.to_owned() };
            assert_eq!(told.is_model(measured), same, "{told} and {measured}");
        }
    }

    #[test]
    fn knows_apple_machines() {
        for (text, apple) in [("M3 Max/Ultra (MPS)", true), ("Apple M2", true), ("M1", true), ("MI300X", false)] {
            assert_eq!(Gpu::parse(text).unwrap().is_apple(), apple, "{text}");
        }
    }
}
