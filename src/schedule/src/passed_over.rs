use std::fmt;
use std::time::Duration;

use ringrift_config::NodeId;
use ringrift_job::{Bytes, ClassName, GameConfig, Kind};

/// Why a node does not get a job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PassedOver {
    /// The job names another one.
    PinnedTo(NodeId),
    /// It is dead, or it left.
    Dead,
    /// It has not answered for a moment.
    Suspect,
    /// The hosts file does not say that it is ready.
    NotReady,
    /// It gets no new work.
    Cordoned,
    /// It gets no new work, and its work is moved away.
    Draining,
    /// It is not for such work, by its role or its switches.
    Kind(Kind),
    /// It does not have the class.
    NotOffered(ClassName),
    /// It takes no work at present.
    Refuses(String),
    /// It gave back so many jobs of the class that it gets none of it for a while.
    Blocked {
        /// What it said last.
        why: String,
        /// How long yet.
        left: Duration,
    },
    /// It gave this job back.
    GaveBack,
    /// All its slots are taken.
    NoSlot {
        /// How many it has.
        slots: u32,
    },
    /// Too few of its GPUs are free, or large enough.
    Gpus {
        /// How many the job needs.
        needs: u32,
        /// How many there are for it.
        free: u32,
    },
    /// Too little memory is not set aside for others.
    Memory {
        /// How much the job needs.
        needs: Bytes,
        /// How much there is.
        free: Bytes,
    },
    /// It has not verified the newest model of the configuration.
    Model(GameConfig),
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PinnedTo(node) => write!(f, "the job is for {node} alone"),
            Self::Dead => f.write_str("it is dead, or has left"),
            Self::Suspect => f.write_str("it does not answer at the moment"),
            Self::NotReady => f.write_str("the hosts file does not call it ready"),
            Self::Cordoned => f.write_str("it is cordoned"),
            Self::Draining => f.write_str("it is draining"),
            Self::Kind(kind) => write!(f, "it is not for {kind}, by its role and switches in the hosts file"),
            Self::NotOffered(class) => write!(f, "it has no class {class} in its settings"),
            Self::Refuses(why) => write!(f, "it takes no work: {why}"),
            Self::Blocked { why, left } => {
                write!(
                    f,
                    "it gave back too many jobs of this class ({why}), and gets none of it for {} s",
                    left.as_secs()
                )
            }
            Self::GaveBack => f.write_str("it gave this job back; others are tried first"),
            Self::NoSlot { slots } => write!(f, "all its {slots} slots are taken"),
            Self::Gpus { needs, free } => write!(f, "it has {free} fitting GPUs free, and the job needs {needs}"),
            Self::Memory { needs, free } => {
                write!(f, "{free} of its memory are not set aside for others, and the job needs {needs}")
            }
            Self::Model(game) => write!(f, "it has not verified the newest model of {game}"),
        }
    }
}
