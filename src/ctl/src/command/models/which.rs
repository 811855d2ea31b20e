//! Which model somebody means.

use std::path::Path;

use ringrift_blob::{Digest, InvalidModelName, ModelName};

/// Reads a model as people name it: `hex8_2p`, `canonical_hex8_2p.pth`, or a path that ends in that.
pub(super) fn model(text: &str) -> Result<ModelName, String> {
    let name = Path::new(text).file_name().and_then(|name| name.to_str()).unwrap_or(text);
    match name {
        "" => Err("a model is named by its configuration, for example hex8_2p, or by its file".to_owned()),
        file if file.contains('.') => file.parse().map_err(|e: InvalidModelName| e.to_string()),
        config => ModelName::canonical(config).map_err(|e| e.to_string()),
    }
}

/// Reads board and players, for example `hex8_2p`.
pub(super) fn config(text: &str) -> Result<ModelName, String> {
    let name = ModelName::canonical(text).map_err(|e| e.to_string())?;
    match name.board_and_players() {
        Some(_) => Ok(name),
        None => Err("a configuration is a board and a number of players, for example hex8_2p".to_owned()),
    }
}

/// Reads the name that a file shall have. A path is refused: it would be another name than what was typed.
pub(super) fn exact_name(text: &str) -> Result<ModelName, String> {
    let name: ModelName = text.parse().map_err(|e: InvalidModelName| e.to_string())?;
    if ringrift_store::is_reserved(&name) {
        return Err("names that end in .sha256, .tmp or .aside, and ringrift_best_*, belong to what is beside a model"
            .to_owned());
    }
    Ok(name)
}

/// As many digits of a digest as people compare.
pub(super) fn short(sha256: &Digest) -> String {
    sha256.to_string().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_what_people_type() {
        for text in ["hex8_2p", "canonical_hex8_2p.pth", "models/canonical_hex8_2p.pth", "/a/b/canonical_hex8_2p.pth"] {
            assert_eq!(model(text).unwrap().as_str(), "canonical_hex8_2p.pth", "{text}");
        }
        assert_eq!(model("experiment.pth").unwrap().as_str(), "experiment.pth");
        for bad in ["", "..", "a b"] {
            assert!(model(bad).is_err(), "{bad:?}");
        }
        assert_eq!(config("hex8_2p").unwrap().as_str(), "canonical_hex8_2p.pth");
        for bad in ["hex8", "hex8_p", "../x_2p"] {
            assert!(config(bad).is_err(), "{bad:?}");
        }
        assert_eq!(exact_name("experiment.pth").unwrap().as_str(), "experiment.pth");
        for bad in ["../x.pth", "a/x.pth", "ringrift_best_hex8_2p.pth", "canonical_hex8_2p.pth.sha256", ""] {
            assert!(exact_name(bad).is_err(), "{bad:?}");
        }
    }
}
