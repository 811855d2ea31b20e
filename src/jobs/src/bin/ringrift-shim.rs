//! The process between the daemon and a job's program. The daemon starts it; a person has no use for it.

fn main() -> std::process::ExitCode {
    ringrift_jobs::shim(std::env::args_os().skip(1))
}
