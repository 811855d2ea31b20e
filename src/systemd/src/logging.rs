//! Where the log goes: to the journal with fields when systemd started us, to stderr as text otherwise.
//!
//! In the journal a `tracing` field `peer` becomes `RINGRIFT_PEER`, `term` becomes `RINGRIFT_TERM`, and so on, so that
//! `journalctl RINGRIFT_PEER=gpu-3` finds every entry about a peer. Every entry carries `RINGRIFT_NODE`, the node that wrote
//! it, which matters once journals of several nodes lie in one place. An event about *another* node must call its
//! field `peer`.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use rustix::fs::fstat;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    filter::ParseError,
    fmt,
    layer::SubscriberExt as _,
    reload,
    util::{SubscriberInitExt as _, TryInitError},
};

use self::message::FieldsInMessage;

mod message;

/// The journal's `SYSLOG_IDENTIFIER`, so that `journalctl -t ringrift-p2p` works whatever the executable is called.
const SYSLOG_IDENTIFIER: &str = "ringrift-p2p";

/// Where the log is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogTarget {
    /// The journal when stderr is connected to it, stderr otherwise.
    #[default]
    Auto,
    /// The journal; an error when there is none.
    Journal,
    /// Text on stderr.
    Stderr,
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter is not in the syntax of `tracing_subscriber::EnvFilter`.
    #[error("log filter `{filter}`: {source}; expected for example `info` or `warn,ringrift_members=debug`")]
    Filter {
        /// The text as given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The journal was asked for and does not answer.
    #[error("the journal cannot be reached: {0}")]
    Journal(io::Error),
    /// A log was set up before.
    #[error("the log is set up already: {0}")]
    Twice(#[from] TryInitError),
    /// The filter cannot be replaced any more.
    #[error("the log filter cannot be replaced: {0}")]
    Replace(#[from] reload::Error),
}

/// The log once it is set up.
#[derive(Debug)]
pub struct Logging {
    target: LogTarget,
    filter: reload::Handle<EnvFilter, Registry>,
}

impl Logging {
    /// Where the log really goes: never [`LogTarget::Auto`].
    pub fn target(&self) -> LogTarget {
        self.target
    }

    /// Replaces the filter of the running daemon, for a reload.
    pub fn set_filter(&self, filter: &str) -> Result<(), LoggingError> {
        Ok(self.filter.reload(parse_filter(filter)?)?)
    }
}

/// Sets up the log of this process, once.
///
/// `filter` is a level or a list of directives (`info`, `warn,ringrift_members=debug`). `node` is written on every entry
/// in the journal.
pub fn init(filter: &str, target: LogTarget, node: &str) -> Result<Logging, LoggingError> {
    let (filter, handle) = reload::Layer::new(parse_filter(filter)?);
    let registry = tracing_subscriber::registry().with(filter);
    let journal = match target {
        LogTarget::Journal => Some(journal(node)?),
        // In a container stderr may lead to the host's journal without journald's socket being there too.
        LogTarget::Auto if stderr_is_journal() => journal(node).ok(),
        LogTarget::Auto | LogTarget::Stderr => None,
    };
    let target = if let Some(journal) = journal {
        registry.with(journal).try_init()?;
        LogTarget::Journal
    } else {
        // https://no-color.org: any non-empty value means no colour.
        let colour = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        registry.with(fmt::layer().with_writer(io::stderr).with_ansi(colour).boxed()).try_init()?;
        LogTarget::Stderr
    };
    Ok(Logging { target, filter: handle })
}

fn journal(node: &str) -> Result<FieldsInMessage<tracing_journald::Layer>, LoggingError> {
    let layer = tracing_journald::layer()
        .map_err(LoggingError::Journal)?
        .with_syslog_identifier(SYSLOG_IDENTIFIER.to_owned())
        .with_field_prefix(Some("RINGRIFT".to_owned()))
        .with_custom_fields([("RINGRIFT_NODE", node)])
        // The crate's own mapping calls information a notice, which journalctl prints bold: everything would be.
        .with_priority_mappings(PriorityMappings {
            info: Priority::Informational,
            debug: Priority::Debug,
            ..PriorityMappings::new()
        });
    Ok(FieldsInMessage::new(layer))
}

/// Whether stderr is the very stream that systemd connected to the journal. A child whose stderr was sent elsewhere inherits
/// `$JOURNAL_STREAM` too, hence the comparison (`systemd.exec(5)`).
fn stderr_is_journal() -> bool {
    let Some(stream) = env::var("JOURNAL_STREAM").ok().and_then(|text| parse_stream(&text)) else {
        return false;
    };
    fstat(io::stderr()).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == stream)
}

/// `DEVICE:INODE`, both decimal.
fn parse_stream(text: &str) -> Option<(u64, u64)> {
    let (device, inode) = text.split_once(':')?;
    Some((device.parse().ok()?, inode.parse().ok()?))
}

/// Whether [`init`] would take this filter.
pub fn check_filter(filter: &str) -> Result<(), LoggingError> {
    parse_filter(filter).map(drop)
}

fn parse_filter(filter: &str) -> Result<EnvFilter, LoggingError> {
    EnvFilter::builder().parse(filter).map_err(|source| LoggingError::Filter { filter: filter.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_journals_device_and_inode() {
        for (text, expected) in [("9:28461", Some((9, 28461))), ("9", None), ("", None), ("9:", None), ("a:b", None)] {
            assert_eq!(parse_stream(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_bad_filter_is_named() {
        let error = parse_filter("info,ringrift=loud").unwrap_err();
        assert!(error.to_string().starts_with("log filter `info,ringrift=loud`:"), "{error}");
    }
}
