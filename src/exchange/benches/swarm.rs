//! The swarm over shaped links in network namespaces: `cargo bench -p ringrift-exchange --bench swarm -- --help`.

use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/bench/swarm.py");
    // Cargo says that this is a benchmark.
    let arguments = std::env::args_os().skip(1).filter(|argument| argument != "--bench");
    match Command::new("python3").arg(script).args(arguments).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cannot run python3 {script}: {error}");
            ExitCode::FAILURE
        }
    }
}
