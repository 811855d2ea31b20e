//! What lies between a unit and the program that it runs? The files of a run, in a folder of the daemon's:
//!
//! | File | Written by | Says |
//! |---|---|---|
//! | `selfplay@JOB.1.json` | the daemon, before it starts the unit | a [`Spec`]: what to run |
//! | `selfplay@JOB.1.stop` | the daemon, before it stops the unit | why |
//! | `selfplay@JOB.1.ended` | systemd, as root, after the program has ended | a [`Record`]: how it ended |
//!
//! `ringrift-launch run` is the `ExecStart=` of a job's unit and becomes the program; `ringrift-launch ended` is its
//! `ExecStopPost=`. What the latter writes outlives the unit, which systemd forgets as soon as it has succeeded.

mod folder;
mod program;
mod record;
mod signal;
mod spec;

pub use folder::{Extension, FOLDER, file_name, run_of_file};
pub use program::become_program;
pub use record::{Code, Record, RecordError};
pub use spec::{Spec, SpecError};

/// The exit status of a launcher that did not come to run the program; `env(1)` and `timeout(1)` use the same.
pub const NOT_STARTED: i32 = 125;

/// What the status line of a unit begins with when its launcher did not come to run the program.
pub const NOT_STARTED_STATUS: &str = "not started: ";

/// Microseconds of `CLOCK_MONOTONIC`, the clock of systemd's own time stamps.
pub fn monotonic_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1_000
}
