//! A fault that tests inject on purpose: one subsystem stops making progress.
//!
//! It is compiled into every build, so that the binary that is tested is the binary that is installed; without the
//! environment variable it costs one comparison.

use std::{future, str::FromStr, time::Duration};

use tokio::time::Instant;

/// The environment variable that asks for the fault: `gossip:5` hangs `gossip` five seconds after the start.
pub const HANG_VARIABLE: &str = "RINGRIFT_FAULT_HANG";

/// Which subsystem is to hang, and when.
#[derive(Debug, Clone, Default)]
pub struct Hang {
    wanted: Option<(String, Instant)>,
}

/// The text of `$RINGRIFT_FAULT_HANG` is not `SUBSYSTEM:SECONDS`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{HANG_VARIABLE}=`{0}`: expected SUBSYSTEM:SECONDS, for example gossip:5")]
pub struct HangError(String);

impl Hang {
    /// Reads [`HANG_VARIABLE`]; unset or empty means that nothing hangs.
    pub fn from_environment() -> Result<Self, HangError> {
        match std::env::var(HANG_VARIABLE) {
            Ok(text) if !text.is_empty() => text.parse(),
            _ => Ok(Self::default()),
        }
    }

    /// The subsystem that will hang, to be said aloud at start.
    pub fn subsystem(&self) -> Option<&str> {
        self.wanted.as_ref().map(|(name, _)| name.as_str())
    }

    /// Returns at once, or never when `subsystem` is due to hang. A subsystem's loop awaits it once per round.
    pub async fn point(&self, subsystem: &str) {
        if self.is_due(subsystem) {
            tracing::error!(subsystem, "hangs from now on, because {HANG_VARIABLE} asks for it");
            future::pending::<()>().await;
        }
    }

    /// Returns when `subsystem` is due to hang, or never: for one whose loop lies in another crate and is told to.
    pub async fn due(&self, subsystem: &str) {
        match &self.wanted {
            Some((name, at)) if name == subsystem => {
                tokio::time::sleep_until(*at).await;
                tracing::error!(subsystem, "hangs from now on, because {HANG_VARIABLE} asks for it");
            }
            _ => future::pending().await,
        }
    }

    fn is_due(&self, subsystem: &str) -> bool {
        self.wanted.as_ref().is_some_and(|(name, at)| name == subsystem && Instant::now() >= *at)
    }
}

impl FromStr for Hang {
    type Err = HangError;

    fn from_str(text: &str) -> Result<Self, HangError> {
        let wanted = text
            .split_once(':')
            .filter(|(name, _)| !name.is_empty())
            .and_then(|(name, seconds)| {
                Some((name.to_owned(), Duration::from_secs(seconds.parse::<u32>().ok()?.into())))
            })
            .ok_or_else(|| HangError(text.to_owned()))?;
        Ok(Self { wanted: Some((wanted.0, Instant::now() + wanted.1)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn hangs_the_named_subsystem_alone_and_not_before_its_time() {
        let hang: Hang = "gossip:5".parse().unwrap();
        hang.point("gossip").await;
        tokio::time::advance(Duration::from_secs(5)).await;
        hang.point("consensus").await;
        assert!(tokio::time::timeout(Duration::from_hours(1), hang.point("gossip")).await.is_err());
        hang.due("gossip").await;
        assert!(tokio::time::timeout(Duration::from_hours(1), hang.due("consensus")).await.is_err());
    }

    #[test]
    fn refuses_what_is_not_subsystem_and_seconds() {
        for text in ["gossip", ":5", "gossip:", "gossip:-1", "gossip:soon"] {
            assert_eq!(text.parse::<Hang>().unwrap_err(), HangError(text.to_owned()));
        }
    }
}
