//! Sizes as people read them.

/// A number of bytes in the largest decimal unit that fits: `8 B`, `15.2 MB`, `1.1 GB`.
pub(crate) fn bytes(count: u64) -> String {
    scaled(count as f64)
}

/// Bytes in a second.
pub(crate) fn rate(bytes_per_second: f64) -> String {
    format!("{}/s", scaled(bytes_per_second.max(0.0)))
}

fn scaled(count: f64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    // What is shown with one digit must not round up to 1000.0.
    let mut unit = 0;
    let mut value = count;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{value:.0} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_the_unit_that_fits() {
        for (count, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_951, "1.0 MB"),
            (174_000_000, "174.0 MB"),
            (1_172_000_000, "1.2 GB"),
            (u64::MAX, "18446744.1 TB"),
        ] {
            assert_eq!(bytes(count), expected, "{count}");
        }
        assert_eq!(rate(12_345_678.0), "12.3 MB/s");
    }
}
