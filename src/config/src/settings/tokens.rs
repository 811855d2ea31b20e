//! Where does the cluster token come from?

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::{
    Flags, SettingsError, key,
    key::Key,
    setting::{Setting, Source},
    sources::Sources,
};
use crate::{Token, Tokens};

/// The token in force and the one before, each from the first place that has one.
pub(super) fn find(flags: &Flags, sources: &mut Sources<'_>, warnings: &mut Vec<String>) -> Setting<Option<Tokens>> {
    let primary = one(sources, flags.token_file.clone(), key::TOKEN_FILE, key::TOKEN, "token", warnings);
    let old = one(sources, flags.old_token_file.clone(), key::OLD_TOKEN_FILE, key::OLD_TOKEN, "token-old", warnings);
    match (primary, old) {
        (Some(primary), old) => Setting {
            value: Some(Tokens { primary: primary.value, old: old.map(|old| old.value) }),
            source: primary.source,
        },
        (None, Some(old)) => {
            // If the token in force was named and could not be read, that is the thing to tell.
            if sources.problems.is_empty() {
                sources.problems.push(SettingsError::OldTokenAlone(old.source));
            }
            Setting::default_of(None)
        }
        (None, None) => Setting::default_of(None),
    }
}

/// Flag, variable with the token, variable with a file's name, settings file, credential: the first that is there counts,
/// and if it is no good, the next one is not tried in its place.
fn one(
    sources: &mut Sources<'_>,
    flag: Option<PathBuf>,
    file_key: Key,
    variable: &'static str,
    credential: &str,
    warnings: &mut Vec<String>,
) -> Option<Setting<Token>> {
    let file = sources.pick_path(file_key, flag);
    let is_flag = matches!(&file, Some(Setting { source: Source::Flag(_), .. }));
    let (text, source) = if let (false, Some(text)) = (is_flag, sources.variable(variable)) {
        (text.to_owned(), Source::Variable(variable))
    } else {
        let file = file.or_else(|| passed_credential(sources, credential))?;
        match fs::read_to_string(&file.value) {
            Ok(text) => {
                warn_of_readers(&file.value, warnings);
                (text, file.source)
            }
            Err(error) => {
                sources.problems.push(SettingsError::Unreadable { path: file.value, named_by: file.source, error });
                return None;
            }
        }
    };
    match Token::parse(&text) {
        Ok(value) => Some(Setting { value, source }),
        Err(error) => {
            sources.problems.push(SettingsError::Token { named_by: source, error });
            None
        }
    }
}

/// A file that systemd put there (`LoadCredential=`, systemd.exec(5)).
fn passed_credential(sources: &Sources<'_>, name: &str) -> Option<Setting<PathBuf>> {
    let path = Path::new(sources.variable("CREDENTIALS_DIRECTORY")?).join(name);
    // An optional credential that the unit names and nobody provides arrives as an empty file.
    fs::metadata(&path)
        .is_ok_and(|m| m.len() > 0)
        .then(|| Setting { value: path.clone(), source: Source::Credential(path) })
}

fn warn_of_readers(path: &Path, warnings: &mut Vec<String>) {
    if fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o004 != 0) {
        warnings
            .push(format!("{}: everybody on this machine can read the cluster token; chmod 600 it", path.display()));
    }
}
