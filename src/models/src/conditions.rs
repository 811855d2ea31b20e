//! Does the client want the answer at all, and all of it? RFC 9110 §13.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

/// What identifies a version of what is served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Validators<'a> {
    /// The entity tag, in quotes. It is a strong one: other bytes, another tag.
    pub(crate) etag: &'a str,
    /// Whole seconds, as HTTP has them.
    pub(crate) modified: SystemTime,
}

/// What the conditions of a GET or HEAD come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Answer.
    Proceed,
    /// The client has it: 304.
    NotModified,
    /// The client wants another version: 412.
    Failed,
}

impl Validators<'_> {
    /// Evaluates the conditions in the order of §13.2.2.
    pub(crate) fn judge(&self, headers: &HeaderMap) -> Verdict {
        if headers.contains_key(header::IF_MATCH) {
            // Tags that are weak never match here (§13.1.1).
            if !tags(headers, header::IF_MATCH).any(|tag| tag == "*" || tag == self.etag) {
                return Verdict::Failed;
            }
        } else if let Some(date) = date(headers, header::IF_UNMODIFIED_SINCE)
            && self.modified > date
        {
            return Verdict::Failed;
        }
        if headers.contains_key(header::IF_NONE_MATCH) {
            let same = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag;
            if tags(headers, header::IF_NONE_MATCH).any(same) {
                return Verdict::NotModified;
            }
        } else if let Some(date) = date(headers, header::IF_MODIFIED_SINCE)
            && self.modified <= date
        {
            return Verdict::NotModified;
        }
        Verdict::Proceed
    }

    /// Whether `Range` applies: `If-Range` is missing or names this version (§13.1.5).
    pub(crate) fn range_applies(&self, headers: &HeaderMap, now: SystemTime) -> bool {
        let Some(value) = headers.get(header::IF_RANGE) else { return true };
        let Ok(value) = value.to_str() else { return false };
        if value.starts_with('"') || value.starts_with("W/") {
            return value == self.etag;
        }
        // A date says which version only if it could not change again within the same second (§8.8.2.2).
        let strong = self.modified + Duration::from_secs(1) <= now;
        strong && httpdate::parse_http_date(value).is_ok_and(|date| date == self.modified)
    }
}

/// The elements of a list of entity tags. A tag holds no comma of ours, and one that does is not ours.
fn tags(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// A date that cannot be read is not there (§13.1.3).
fn date(headers: &HeaderMap, name: header::HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "\"abc\"";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn modified() -> SystemTime {
        httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap()
    }

    fn validators() -> Validators<'static> {
        Validators { etag: TAG, modified: modified() }
    }

    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    /// The same second in the two old forms that must be read (§5.6.7).
    const RFC850: &str = "Sunday, 06-Nov-94 08:49:37 GMT";
    const ASCTIME: &str = "Sun Nov  6 08:49:37 1994";

    #[test]
    fn conditions_are_judged_in_the_order_of_the_standard() {
        use Verdict::{Failed, NotModified, Proceed};
        for (sent, expected) in [
            (&[][..], Proceed),
            (&[("if-match", TAG)], Proceed),
            (&[("if-match", "*")], Proceed),
            (&[("if-match", "\"x\", \"abc\"")], Proceed),
            (&[("if-match", "\"x\"")], Failed),
            (&[("if-match", "W/\"abc\"")], Failed),
            (&[("if-match", "abc")], Failed),
            (&[("if-unmodified-since", SAME)], Proceed),
            (&[("if-unmodified-since", EARLIER)], Failed),
            (&[("if-unmodified-since", "yesterday")], Proceed),
            (&[("if-match", TAG), ("if-unmodified-since", EARLIER)], Proceed),
            (&[("if-none-match", TAG)], NotModified),
            (&[("if-none-match", "W/\"abc\"")], NotModified),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", "\"x\",W/\"y\" , \"abc\"")], NotModified),
            (&[("if-none-match", "\"x\"")], Proceed),
            (&[("if-modified-since", SAME)], NotModified),
            (&[("if-modified-since", LATER)], NotModified),
            (&[("if-modified-since", RFC850)], NotModified),
            (&[("if-modified-since", ASCTIME)], NotModified),
            (&[("if-modified-since", EARLIER)], Proceed),
            (&[("if-modified-since", "soon")], Proceed),
            (&[("if-none-match", "\"x\""), ("if-modified-since", SAME)], Proceed),
            (&[("if-match", "\"x\""), ("if-none-match", TAG)], Failed),
            (&[("if-match", TAG), ("if-none-match", TAG)], NotModified),
        ] {
            assert_eq!(validators().judge(&headers(sent)), expected, "{sent:?}");
        }
    }

    #[test]
    fn a_range_applies_to_the_version_that_it_names() {
        let now = modified() + Duration::from_hours(1);
        for (sent, applies) in [
            (TAG, true),
            ("W/\"abc\"", false),
            ("\"x\"", false),
            ("abc", false),
            (SAME, true),
            (EARLIER, false),
            (LATER, false),
            ("", false),
        ] {
            assert_eq!(validators().range_applies(&headers(&[("if-range", sent)]), now), applies, "{sent}");
        }
        assert!(validators().range_applies(&headers(&[]), now));
        let young = modified() + Duration::from_millis(900);
        assert!(!validators().range_applies(&headers(&[("if-range", SAME)]), young), "it may change within the second");
    }
}
