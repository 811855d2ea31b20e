//! The program; all that it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ringrift_p2p::main()
}
