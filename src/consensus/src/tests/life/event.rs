//! What may happen in a life.

/// What may happen next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    /// The power of one node goes, with what its disk had not synced; or it comes back.
    Power,
    /// Every node has power and room again.
    Repaired,
    /// A process is killed, and systemd starts it again.
    Killed,
    /// The power goes in the middle of a commit.
    PowerInACommit,
    /// A disk takes no more bytes, or has room again.
    Full,
    /// A process stands still for a while: its clock jumps.
    Frozen,
    /// A voter stops in good order, and starts again.
    Restarted,
    Transferred,
    CutPair,
    CutOff,
    CutOneWay,
    Halves,
    /// Halves, and one voter reaches both.
    Bridge,
    /// The leader reaches one voter only.
    LeaderHeld,
    Healed,
    Lossy,
    Slow,
    Doubled,
    Written,
    Wiped,
    VotersChanged,
    /// A worker's power goes, and what becomes of its copy is left to chance; or it comes back.
    WorkerPower,
    /// A worker is killed and starts again.
    WorkerKilled,
    WorkerRestarted,
    WorkerFrozen,
    /// One worker, or a third of them, reaches some voters no longer; both ways or one.
    WorkersCut,
    /// A node ends, one way or the other, and comes back under another address.
    Moved,
    /// The hosts file is corrected everywhere.
    HostsFile,
    ClockJumps,
    /// A few jobs are asked for.
    JobsAsked,
    /// A worker is cordoned or drained, or gets work again.
    Drained,
}

/// Each as often as it should happen.
pub(super) const ALWAYS: [(Event, u32); 19] = [
    (Event::Power, 4),
    (Event::Repaired, 4),
    (Event::Killed, 2),
    (Event::PowerInACommit, 2),
    (Event::Full, 2),
    (Event::Frozen, 3),
    (Event::Restarted, 1),
    (Event::Transferred, 1),
    (Event::CutPair, 2),
    (Event::CutOff, 2),
    (Event::CutOneWay, 2),
    (Event::Halves, 1),
    (Event::Bridge, 1),
    (Event::LeaderHeld, 1),
    (Event::Healed, 8),
    (Event::Lossy, 2),
    (Event::Slow, 2),
    (Event::Doubled, 2),
    (Event::Written, 24),
];

/// The same where there are workers.
pub(super) const WITH_WORKERS: [(Event, u32); 5] = [
    (Event::WorkerPower, 4),
    (Event::WorkerKilled, 4),
    (Event::WorkerRestarted, 2),
    (Event::WorkerFrozen, 4),
    (Event::WorkersCut, 4),
];

/// The same where nodes are members and have addresses.
pub(super) const WITH_MEMBERS: [(Event, u32); 3] = [(Event::Moved, 5), (Event::HostsFile, 1), (Event::ClockJumps, 1)];

/// The same where workers are given jobs.
pub(super) const WITH_JOBS: [(Event, u32); 2] = [(Event::JobsAsked, 10), (Event::Drained, 3)];
