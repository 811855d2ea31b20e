//! The model server beside nginx: `cargo bench -p ringrift-models --bench models -- --help`.

use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/bench/models.py");
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
