/// The candidate that `text` is probably a slip of, if there is one: for "did you mean".
///
/// Separators and case do not count, since they are what people get wrong; beyond that one edit in three letters is a slip,
/// more is another word.
pub(crate) fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = bare(text);
    let limit = (wanted.chars().count() / 3).min(3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &bare(candidate)), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `nearest` as the end of a sentence: "; did you mean X?", or nothing.
pub(crate) fn did_you_mean<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(text, candidates).map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

fn bare(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '-' | '_' | '.' | ' ')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_leaves_other_words_alone() {
        let names = ["ssh_host", "ssh_port", "p2p_enabled", "gpu-1", "gpu-2"];
        for (text, expected) in [
            ("ssh-host", Some("ssh_host")),
            ("sshport", Some("ssh_port")),
            ("p2p_enable", Some("p2p_enabled")),
            ("GPU1", Some("gpu-1")),
            ("storage", None),
            ("x", None),
            ("gpu-9", Some("gpu-1")),
            ("", None),
            ("g", None),
        ] {
            assert_eq!(nearest(text, names), expected, "{text}");
        }
    }
}
