//! What reads bytes from outside, for coverage-guided tests (`tests/fuzz`). Each function takes any bytes and panics if the crate does
//! what it must not.

use std::fmt::Debug;

use ringrift_launch::{Record, file_name, run_of_file};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    StopReason,
    plain::manifest::{self, Spec, State},
    systemd::files::Stop,
};

/// What is kept of a run on disk, by either runner, and what its files are called.
pub fn kept(bytes: &[u8]) {
    same_again::<Spec>(bytes);
    same_again::<State>(bytes);
    same_again::<StopReason>(bytes);
    same_again::<Stop>(bytes);
    same_again::<ringrift_launch::Spec>(bytes);
    same_again::<Record>(bytes);
    let Ok(name) = std::str::from_utf8(bytes) else { return };
    if let Some(run) = manifest::run_of(name) {
        assert_eq!(manifest::file_name(&run), name);
    }
    if let Some((run, extension)) = run_of_file(name) {
        assert_eq!(file_name(&run, extension), name);
    }
}

fn same_again<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(bytes) {
        let again = serde_json::to_vec(&value).expect("what was decoded can be encoded");
        assert_eq!(serde_json::from_slice::<T>(&again).ok(), Some(value));
    }
}

#[cfg(test)]
#[path = "../../../tests/fuzz/corpus.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use ringrift_job::{Ending, How, Usage};
    use ringrift_launch::Code;

    use super::*;
    use crate::{
        plain::{
            manifest::{LogSpec, Phase},
            process::Process,
        },
        systemd::tests::launch,
    };

    #[test]
    fn nothing_kept_in_the_corpus_upsets_a_runner() {
        fn json(value: &impl Serialize) -> Vec<u8> {
            serde_json::to_vec(value).unwrap()
        }
        let shim = Process { pid: 77, start: 4711 };
        let log = LogSpec { path: "/run/log".into(), piece_bytes: 1 << 20, old_pieces: 2 };
        let shim_argv = vec!["ringrift-p2p".to_owned(), "shim".to_owned()];
        let spec = Spec { launch: launch("a"), shim: shim_argv, cgroup: Some("/sys/fs/cgroup/x".into()), log };
        let state = |phase| State { world: "boot 1".into(), shim, phase };
        let ending = Ending { how: How::Stopped, ran_ms: 1500, usage: Usage::default() };
        let running = Phase::Running { main: shim, since_ms: 1_700_000_000_000, monotonic_ms: 5 };
        let code = Some(Code::Signalled(9));
        let record = Record { result: "oom-kill".into(), code, ended_us: 5, cpu_us: Some(7), memory_peak: None };
        let seeds = [
            ("spec", json(&spec)),
            ("starting", json(&state(Phase::Starting))),
            ("running", json(&state(running))),
            ("ended", json(&state(Phase::Ended { ending }))),
            ("reason", json(&StopReason::Deadline)),
            ("stop", json(&Stop { why: StopReason::Unwanted, at_us: 9, signalled: true })),
            ("unit", json(&ringrift_launch::Spec { written_us: 5, launch: launch("b") })),
            ("record", json(&record)),
            ("name", b"selfplay@a.1".to_vec()),
            ("file", b"selfplay@a.1.ended".to_vec()),
        ];
        corpus::replay("jobs_kept", kept, &seeds);
    }
}
