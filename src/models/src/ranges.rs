//! Which bytes does a `Range` header ask for? RFC 9110 §14.

use std::ops::Range;

/// Ranges that one request may ask for. A request with more is answered with everything, which it must be ready for (§14.2).
const MAX_RANGES: usize = 64;

/// Ranges closer than this travel as one: a part's own header is longer (§15.3.7.2).
const GAP: u64 = 160;

/// What to answer to a `Range` header that applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Everything: the header is none that we honour.
    Whole,
    /// One or more ranges, none of them empty, none past the end.
    Parts(Vec<Range<u64>>),
    /// No byte of what is asked for exists.
    Nothing,
}

/// One range as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spec {
    /// `first-last`, both inclusive; no last one means to the end.
    From(u64, Option<u64>),
    /// `-length`: the last bytes.
    Suffix(u64),
}

/// What the value of a `Range` header asks of so many bytes.
pub(crate) fn wanted(header: &str, size: u64) -> Wanted {
    let Some(specs) = parse(header) else { return Wanted::Whole };
    let parts: Vec<Range<u64>> = specs.into_iter().filter_map(|spec| spec.within(size)).collect();
    if parts.is_empty() { Wanted::Nothing } else { Wanted::Parts(coalesced(parts)) }
}

/// The ranges, or `None` for another unit, a broken list, or too many of them: all of these are ignored as a whole (§14.2).
fn parse(header: &str) -> Option<Vec<Spec>> {
    let (unit, list) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut specs = Vec::new();
    // A list may have empty elements (§5.6.1.2).
    for element in
        list.split(',').map(|element| element.trim_matches([' ', '\t'])).filter(|element| !element.is_empty())
    {
        if specs.len() == MAX_RANGES {
            return None;
        }
        specs.push(Spec::parse(element)?);
    }
    (!specs.is_empty()).then_some(specs)
}

impl Spec {
    fn parse(element: &str) -> Option<Self> {
        let (first, last) = element.split_once('-')?;
        match (first, last) {
            ("", length) => Some(Self::Suffix(number(length)?)),
            (first, "") => Some(Self::From(number(first)?, None)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::From(first, Some(last)))
            }
        }
    }

    /// The part that exists.
    fn within(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From(first, last) => first..last.map_or(size, |last| last.saturating_add(1).min(size)),
            Self::Suffix(length) => size.saturating_sub(length)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

/// Digits alone; more than fit 64 bits mean the end of any file.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// The same bytes, each once, in as few ranges as make sense. The order stays as it was asked for where nothing is joined (§15.3.7.2).
fn coalesced(parts: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut sorted = parts.clone();
    sorted.sort_unstable_by_key(|part| part.start);
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
    for part in sorted {
        match joined.last_mut() {
            Some(last) if part.start <= last.end.saturating_add(GAP) => last.end = last.end.max(part.end),
            _ => joined.push(part),
        }
    }
    if joined.len() == parts.len() { parts } else { joined }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_asks_for_what_the_standard_says() {
        let one = |range| Wanted::Parts(vec![range]);
        for (header, expected) in [
            // §14.1.2, its examples.
            ("bytes=0-499", one(0..500)),
            ("bytes=500-999", one(500..1000)),
            ("bytes=-500", one(9500..10_000)),
            ("bytes=9500-", one(9500..10_000)),
            ("bytes=0-0,-1", Wanted::Parts(vec![0..1, 9999..10_000])),
            ("bytes= 0-999, 4500-5499, -1000", Wanted::Parts(vec![0..1000, 4500..5500, 9000..10_000])),
            ("bytes=500-600,601-999", one(500..1000)),
            ("bytes=500-700,601-999", one(500..1000)),
            // Ends that reach past the end.
            ("bytes=0-", one(0..10_000)),
            ("bytes=0-10000", one(0..10_000)),
            ("bytes=9999-99999999999999999999999999", one(9999..10_000)),
            ("bytes=-10001", one(0..10_000)),
            ("bytes=-99999999999999999999999999", one(0..10_000)),
            ("BYTES=1-1", one(1..2)),
            // Nothing of it exists.
            ("bytes=10000-", Wanted::Nothing),
            ("bytes=10000-10001,20000-", Wanted::Nothing),
            ("bytes=99999999999999999999999999-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            // What exists is sent, the rest is left out.
            ("bytes=10000-,5-5", one(5..6)),
            // Order and joining.
            ("bytes=5000-5000,1-1", Wanted::Parts(vec![5000..5001, 1..2])),
            ("bytes=5000-5000,1-1,0-0", Wanted::Parts(vec![0..2, 5000..5001])),
            ("bytes=0-0,100-100", one(0..101)),
            ("bytes=,5-5,,", one(5..6)),
            // Not honoured.
            ("bytes=", Wanted::Whole),
            ("bytes=,", Wanted::Whole),
            ("bytes", Wanted::Whole),
            ("", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
            ("bytes=2-1", Wanted::Whole),
            ("bytes=1-2,2-1", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=1", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=--1", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=1-2-3", Wanted::Whole),
            ("bytes=1 - 2", Wanted::Whole),
            ("bytes=0x1-2", Wanted::Whole),
        ] {
            assert_eq!(wanted(header, 10_000), expected, "{header}");
        }
    }

    #[test]
    fn too_many_ranges_are_one_whole() {
        let list = |count: u64| (0..count).map(|n| format!("{0}-{0}", n * 1000)).collect::<Vec<_>>().join(",");
        let Wanted::Parts(parts) = wanted(&format!("bytes={}", list(64)), 1 << 20) else { panic!() };
        assert_eq!(parts.len(), 64);
        assert_eq!(wanted(&format!("bytes={}", list(65)), 1 << 20), Wanted::Whole);
    }

    proptest! {
        #[test]
        fn exactly_the_bytes_that_were_asked_for_are_covered(
            size in 1_u64..5000,
            asked in prop::collection::vec((0_u64..6000, 0_u64..2000), 1..10),
        ) {
            let list: Vec<String> = asked.iter().map(|(first, length)| format!("{first}-{}", first + length)).collect();
            let covered = |at: u64| asked.iter().any(|(first, length)| (*first..=first + length).contains(&at));
            match wanted(&format!("bytes={}", list.join(",")), size) {
                Wanted::Whole => prop_assert!(false, "these ranges are all valid"),
                Wanted::Nothing => prop_assert!(!(0..size).any(covered)),
                Wanted::Parts(parts) => {
                    let sent = |at: u64| parts.iter().filter(|part| part.contains(&at)).count();
                    for at in 0..size {
                        prop_assert!(sent(at) <= 1, "byte {} is sent twice", at);
                        prop_assert!(!covered(at) || sent(at) == 1, "byte {} is missing", at);
                    }
                    prop_assert!(parts.iter().all(|part| part.start < part.end && part.end <= size));
                    let sent_bytes: u64 = parts.iter().map(|part| part.end - part.start).sum();
                    let asked_bytes = (0..size).filter(|at| covered(*at)).count() as u64;
                    prop_assert!(sent_bytes <= asked_bytes + GAP * asked.len() as u64);
                }
            }
        }

        #[test]
        fn no_text_breaks_it(header in ".{0,40}", size: u64) {
            if let Wanted::Parts(parts) = wanted(&header, size) {
                prop_assert!(parts.iter().all(|part| part.start < part.end && part.end <= size));
            }
        }
    }
}
