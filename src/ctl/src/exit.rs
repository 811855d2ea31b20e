use std::process::ExitCode;

/// What a script learns from the exit status. Part of the tool's contract: the numbers never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Done; of `status`, `monitor`, `leader` and `voters`: and there is a leader and a quorum.
    Ok,
    /// The daemon refused, or something else failed.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// The daemon, or the node behind it, was not reached or did not answer in time.
    Unreachable,
    /// The token is missing or wrong.
    Unauthorised,
    /// There is no leader, or the quorum is lost.
    NoLeader,
}

impl Exit {
    /// What help and manual pages say about the numbers.
    pub(crate) const MEANINGS: [(u8, &str); 6] = [
        (0, "Done. status, monitor, leader and voters end with 0 only when a leader and a quorum exist."),
        (
            1,
            "Failed or refused; health: the node is not well; hosts check: the file has errors; hosts add, remove: a step was not \
             done; data: a file stayed that was to go; models: a file is wrong, or a node did not get it; db: a database or an \
             archive is not right, or was left as it was, or a node is missing; cluster, ssh: a node is not as it should be; \
             update: it stopped, or left a node alone.",
        ),
        (2, "The command line makes no sense."),
        (
            3,
            "The daemon, or the node asked through it, was not reached or did not answer in time; cluster, ssh, db, update: all \
             that is wrong is that nodes were not reached.",
        ),
        (4, "The cluster token is missing or not accepted."),
        (5, "There is no leader, or the quorum is lost."),
    ];

    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Unauthorised => 4,
            Self::NoLeader => 5,
        }
    }

    /// The word for it in JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::Unauthorised => "unauthorised",
            Self::NoLeader => "no_leader",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
