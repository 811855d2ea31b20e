//! Addresses as hosts files have them.

use std::net::IpAddr;

/// Whether a text stands where an address should be filled in: `100.x.x.x`, `<ip>`, `YOUR_HOST`.
pub(super) fn is_placeholder(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let blank = |label: &str| !label.is_empty() && label.bytes().all(|b| matches!(b, b'x' | b'?' | b'*' | b'#'));
    let words = ["your", "todo", "changeme", "change-me", "change_me", "replace", "placeholder", "fixme", "tbd"];
    lower.split('.').any(blank)
        || text.contains(['<', '>', '{', '}', '$'])
        || words.iter().any(|word| lower.split(['-', '_', '.']).any(|part| part == *word) || lower == *word)
}

/// Whether it leads back to whoever dials it.
pub(super) fn is_loopback(text: &str) -> bool {
    text.eq_ignore_ascii_case("localhost") || text.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_not_addresses() {
        for text in
            ["100.x.x.x", "x.x.x.x", "100.64.0.??", "<tailscale ip>", "YOUR_HOST", "your-server.net", "TODO", "${IP}"]
        {
            assert!(is_placeholder(text), "{text}");
        }
        for text in ["100.64.0.1", "relay.example.net", "x86-node", "node-x", "xavier.lan", "fd7a::1", "todos.net"] {
            assert!(!is_placeholder(text), "{text}");
        }
    }

    #[test]
    fn loopback_is_a_name_or_a_range() {
        for text in ["localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "::1"] {
            assert!(is_loopback(text), "{text}");
        }
        for text in ["localhost.lan", "128.0.0.1", ""] {
            assert!(!is_loopback(text), "{text}");
        }
    }
}
