use std::io::{self, IsTerminal as _};

use crate::{exit::Exit, failure::Failure};

/// Asks somebody whether it is meant; where nobody sits, nothing is `done`.
pub(crate) fn confirm(question: &str, done: &str) -> Result<(), Failure> {
    let refused = |message| Failure::new(Exit::Failed, message).advise("With --yes it is done without asking.");
    if !io::stdin().is_terminal() {
        return Err(refused(format!("nothing was {done}: nobody can be asked whether it is meant")));
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|e| Failure::local("cannot read the answer", &e))?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(refused(format!("nothing was {done}"))),
    }
}
