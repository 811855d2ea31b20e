use std::{env, io::IsTerminal as _};

use ringrift_api::{EligibilityState, Liveness};

/// What a piece of text means, where a colour can say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tone {
    #[default]
    Plain,
    Strong,
    Good,
    Warn,
    Bad,
    Faint,
}

/// Colours text, or leaves it alone: when it does not go to a terminal, or `NO_COLOR` is set (no-color.org).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    pub(crate) fn for_stdout() -> Self {
        let forbidden = env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|v| v == "dumb");
        Self { on: !forbidden && !dumb && std::io::stdout().is_terminal() }
    }

    pub(crate) fn is_on(self) -> bool {
        self.on
    }

    pub(crate) fn text(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Strong => "1",
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
            Tone::Faint => "2",
            Tone::Plain => "",
        };
        if self.on && !code.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl From<Liveness> for Tone {
    fn from(state: Liveness) -> Self {
        match state {
            Liveness::Alive => Self::Good,
            Liveness::Suspect => Self::Warn,
            Liveness::Dead => Self::Bad,
            Liveness::Left | Liveness::Unseen => Self::Faint,
        }
    }
}

impl From<EligibilityState> for Tone {
    fn from(state: EligibilityState) -> Self {
        match state {
            EligibilityState::Eligible => Self::Plain,
            EligibilityState::Cordoned | EligibilityState::Draining => Self::Warn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_there_or_not() {
        assert_eq!(Paint { on: true }.text(Tone::Bad, "dead"), "\x1b[31mdead\x1b[0m");
        assert_eq!(Paint { on: true }.text(Tone::Plain, "x"), "x");
        assert_eq!(Paint { on: false }.text(Tone::Bad, "dead"), "dead");
    }
}
