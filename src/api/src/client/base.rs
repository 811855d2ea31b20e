use std::fmt;

use http::Uri;

use super::ClientError;

/// Where a daemon listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
}

/// The API's port where none is named: people type a host's name.
const PORT: u16 = 8770;

impl Base {
    pub(super) fn parse(text: &str) -> Result<Self, ClientError> {
        let bad = |reason: &str| ClientError::BadUrl { url: text.to_owned(), reason: reason.to_owned() };
        let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = full.parse().map_err(|e: http::uri::InvalidUri| bad(&e.to_string()))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some(other) => return Err(bad(&format!("the API is served over http, not {other}"))),
            None => return Err(bad("it has no host")),
        }
        if uri.path_and_query().is_some_and(|p| p.as_str() != "/") {
            return Err(bad("it must end after the port"));
        }
        let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("a user name has no meaning here; the token is given by file"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(bad("it has no host"));
        }
        let named = authority.as_str().len() > authority.host().len();
        let port = match authority.port_u16() {
            Some(0) => return Err(bad("port 0 cannot be asked")),
            Some(port) => port,
            None if named => return Err(bad("its port is not a number from 1 to 65535")),
            None => PORT,
        };
        Ok(Self { host: host.to_owned(), port })
    }

    pub(super) fn at_port(&self, port: u16) -> Self {
        Self { host: self.host.clone(), port }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// `host:port` as it stands in a URL.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_what_people_type() {
        for (text, expected) in [
            ("http://127.0.0.1:8770", "http://127.0.0.1:8770"),
            ("http://127.0.0.1:8770/", "http://127.0.0.1:8770"),
            ("gpu-3", "http://gpu-3:8770"),
            ("gpu-3:9000", "http://gpu-3:9000"),
            ("http://gpu-3", "http://gpu-3:8770"),
            ("[::1]:8770", "http://[::1]:8770"),
            ("http://[fd7a::1]", "http://[fd7a::1]:8770"),
        ] {
            assert_eq!(Base::parse(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_base_is_refused_with_the_reason() {
        for (text, reason) in [
            ("https://gpu-3:8770", "http, not https"),
            ("http://gpu-3:8770/status", "end after the port"),
            ("http://gpu-3:8770?x=1", "end after the port"),
            ("http://gpu-3:0", "port 0"),
            ("http://gpu-3:70000", "port"),
            ("http://me@gpu-3", "user name"),
            ("", "empty"),
            ("http://", "empty"),
        ] {
            let error = Base::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
