//! Times as people read them.

/// A duration in its one or two largest units: `0 s`, `59 s`, `3 min`, `2 h 5 min`, `4 d 3 h`.
pub(crate) fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) if minutes % 60 == 0 => format!("{hours} h"),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        (_, _, _) if hours % 24 == 0 => format!("{days} d"),
        (_, _, _) => format!("{days} d {} h", hours % 24),
    }
}

/// A moment, given in seconds since the epoch, in UTC: nodes are in many time zones, and logs are compared.
pub(crate) fn moment(seconds: f64) -> String {
    match jiff::Timestamp::from_millisecond((seconds * 1_000.0) as i64) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_its_largest_units() {
        for (seconds, expected) in [
            (-1.0, "0 s"),
            (0.9, "0 s"),
            (59.9, "59 s"),
            (60.0, "1 min"),
            (3_599.0, "59 min"),
            (3_600.0, "1 h"),
            (7_500.0, "2 h 5 min"),
            (86_400.0, "1 d"),
            (90_000.0, "1 d 1 h"),
            (1e9, "11574 d 1 h"),
        ] {
            assert_eq!(span(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn a_moment_is_told_in_utc() {
        assert_eq!(moment(1_767_225_599.25), "2025-12-31 23:59:59Z");
        assert_eq!(moment(f64::INFINITY), "-");
    }
}
