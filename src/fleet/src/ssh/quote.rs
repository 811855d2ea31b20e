/// A word for a POSIX shell.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=@:,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A path for the shell over there, which still finds the home directory of `~/…`.
pub fn remote_path(path: &str) -> String {
    match path.strip_prefix("~/") {
        Some("") => "~".to_owned(),
        Some(rest) => format!("~/{}", quoted(rest)),
        None if path == "~" => path.to_owned(),
        None => quoted(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_becomes_a_command() {
        assert_eq!(quoted("/srv/models"), "/srv/models");
        assert_eq!(quoted("a b'; rm -rf /"), r"'a b'\''; rm -rf /'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("~root"), "'~root'");
        assert_eq!(remote_path("~/ring rift/models"), "~/'ring rift/models'");
        assert_eq!(remote_path("~"), "~");
        assert_eq!(remote_path("~/"), "~");
    }
}
