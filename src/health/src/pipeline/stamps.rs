//! The newest moment in a column that one program fills with text and another with numbers.

use std::path::Path;

use ringrift_gamedb::{Course, Stop, read};

use super::{Found, PATIENCE};

/// Seconds since the epoch, out of `column` of `table`.
pub(super) fn newest(path: &Path, table: &str, column: &str) -> Found<Option<f64>> {
    if let Err(error) = path.metadata() {
        return match error.kind() {
            std::io::ErrorKind::NotFound => Found::Missing,
            _ => Found::Unreadable(format!("{}: {error}", path.display())),
        };
    }
    let mut course = Course::new(Stop::after(PATIENCE), |_| {});
    // To SQLite any text is larger than any number: each kind has its own newest.
    let sql = format!(
        "SELECT MAX(CASE WHEN typeof({column}) = 'text' THEN {column} END), \
         MAX(CASE WHEN typeof({column}) IN ('real', 'integer') THEN {column} END) FROM {table}"
    );
    let found = read(path, &mut course, |connection| {
        connection.query_row(&sql, [], |row| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<f64>>(1)?)))
    });
    match found {
        Ok((text, number)) => {
            let of_text = match text.map(|text| moment(&text).ok_or(text)).transpose() {
                Ok(of_text) => of_text,
                Err(text) => {
                    return Found::Unreadable(format!("{}: {column} is {text:?}, which is no moment", path.display()));
                }
            };
            Found::Read(of_text.into_iter().chain(number).reduce(f64::max))
        }
        Err(error) => Found::Unreadable(error.to_string()),
    }
}

/// ISO 8601, with `T` or a blank; without an offset it is UTC. Or a number of seconds as text.
fn moment(text: &str) -> Option<f64> {
    let text = text.trim();
    let seconds = |at: jiff::Timestamp| at.as_microsecond() as f64 / 1e6;
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(seconds(at));
    }
    let local = text.parse::<jiff::civil::DateTime>().ok()?;
    jiff::tz::Offset::UTC.to_timestamp(local).ok().map(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_in_every_form_that_is_written() {
        for (text, seconds) in [
            ("2026-03-01T09:00:00Z", 1_772_355_600.0),
            ("2026-03-01T09:00:00+00:00", 1_772_355_600.0),
            ("2026-03-01T10:00:00.500000+01:00", 1_772_355_600.5),
            ("2026-03-01T09:00:00", 1_772_355_600.0),
            ("2026-03-01T09:00:00.250000", 1_772_355_600.25),
            ("2026-03-01 09:00:00", 1_772_355_600.0),
        ] {
            assert_eq!(moment(text), Some(seconds), "{text}");
        }
        assert_eq!(moment("yesterday"), None);
    }
}
