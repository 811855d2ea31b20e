use std::{error::Error, io::Write as _};

use ringrift_api::{ClientError, ErrorBody, ErrorCode};
use serde_json::json;

use crate::exit::Exit;

/// Why a command did not do what it was asked: a sentence, and what to do next.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) advice: Option<String>,
    /// A word by which a program tells this one from others, for `--json`.
    pub(crate) kind: Option<&'static str>,
    /// The daemon's own words, for `--json`.
    pub(crate) answer: Option<Box<ErrorBody>>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), advice: None, kind: None, answer: None }
    }

    /// For what went wrong on this machine: a file, a terminal.
    pub(crate) fn local(doing: impl Into<String>, error: &dyn Error) -> Self {
        Self::new(Exit::Failed, format!("{}: {error}", doing.into()))
    }

    #[must_use]
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Tells it on standard error.
    pub(crate) fn print(&self, as_json: bool) {
        let text = if as_json {
            let mut object = json!({
                "error": self.message,
                "exit": self.exit.as_str(),
                "exit_code": self.exit.code(),
                "advice": self.advice,
            });
            if let Some(kind) = self.kind {
                object["kind"] = kind.into();
            }
            if let Some(answer) = &self.answer {
                object["error_code"] = answer.error_code.as_str().into();
                object["details"] = answer.details.clone().into();
            }
            object.to_string()
        } else {
            match &self.advice {
                Some(advice) => format!("error: {}\n  {advice}", self.message),
                None => format!("error: {}", self.message),
            }
        };
        // There is nobody left to tell if this fails.
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let failure = Self::new(exit_of(&error), error.to_string());
        let failure = match advice(&error) {
            Some(advice) => failure.advise(advice),
            None => failure,
        };
        match error {
            ClientError::Unauthorized { body, .. } | ClientError::Answer { body, .. } => {
                Self { answer: Some(body), ..failure }
            }
            _ => failure,
        }
    }
}

fn exit_of(error: &ClientError) -> Exit {
    match error {
        ClientError::BadUrl { .. } => Exit::Usage,
        ClientError::BadToken | ClientError::Unauthorized { .. } => Exit::Unauthorised,
        ClientError::Unsendable { .. } | ClientError::NotTheApi { .. } => Exit::Failed,
        ClientError::Refused { .. } | ClientError::Unreachable { .. } | ClientError::Timeout { .. } => {
            Exit::Unreachable
        }
        ClientError::Answer { body, .. } => match body.error_code {
            ErrorCode::Unauthorized => Exit::Unauthorised,
            ErrorCode::NoLeader => Exit::NoLeader,
            ErrorCode::Timeout | ErrorCode::Unreachable => Exit::Unreachable,
            ErrorCode::NotFound
            | ErrorCode::BadRequest
            | ErrorCode::TooLarge
            | ErrorCode::Refused
            | ErrorCode::Conflict
            | ErrorCode::Overloaded
            | ErrorCode::QueueFull
            | ErrorCode::Internal => Exit::Failed,
        },
    }
}

fn advice(error: &ClientError) -> Option<&'static str> {
    Some(match error {
        ClientError::BadUrl { .. } => "Write it as http://host:8770, or only the host.",
        ClientError::BadToken => "Look into the token's file: it must hold one line of letters and digits.",
        ClientError::Refused { .. } => {
            "See `systemctl status ringrift-p2p` on that machine, or ask another node with --api."
        }
        ClientError::Unreachable { .. } => "Check the name and the network, or ask another node with --api.",
        ClientError::Timeout { .. } => "Ask another node with --api, or wait longer with --timeout.",
        ClientError::Unauthorized { token_sent: false, .. } => {
            "Give it with --token-file FILE or RINGRIFT_CLUSTER_AUTH_TOKEN_FILE, or be a user who may read \
             /etc/ringrift-p2p/token."
        }
        ClientError::Unauthorized { token_sent: true, .. } => {
            "Compare it with the token of that node: it may belong to another cluster, or have been replaced."
        }
        ClientError::NotTheApi { .. } => {
            "Check the port of --api, and that daemon and ringriftctl have the same version."
        }
        ClientError::Answer { body, .. } => match body.error_code {
            ErrorCode::NoLeader => {
                "An election takes seconds: try again; if it stays so, `ringriftctl voters` shows which voters are missing."
            }
            ErrorCode::Timeout => "It may still be done: look with `ringriftctl events` before you repeat it.",
            ErrorCode::Unreachable => {
                "`ringriftctl status` shows whether that node is alive and through whom it is reached."
            }
            ErrorCode::Overloaded => "Try again in a few seconds.",
            ErrorCode::QueueFull => "`ringriftctl queue` shows what is in it.",
            ErrorCode::Internal => "The daemon's log has more: `journalctl -u ringrift-p2p`.",
            ErrorCode::Unauthorized
            | ErrorCode::NotFound
            | ErrorCode::BadRequest
            | ErrorCode::TooLarge
            | ErrorCode::Refused
            | ErrorCode::Conflict => return None,
        },
        ClientError::Unsendable { .. } => return None,
    })
}
