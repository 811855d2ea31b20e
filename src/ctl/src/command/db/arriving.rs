use std::{
    io::{self, Read},
    time::{Duration, Instant},
};

use ringrift_fleet::Session;
use ringrift_gamedb::Stop;
use tokio::runtime::Handle;

use super::nodes::SILENCE;

/// What a node sends, for who reads it on a thread of its own. Ends with an error when it shall stop, or when nothing comes
/// any more.
pub(super) struct Arriving {
    session: Session,
    stop: Stop,
    runtime: Handle,
}

/// Between two looks at whether it shall stop.
const LOOK: Duration = Duration::from_millis(500);

impl Arriving {
    /// To be made where the session was: its runtime must go on while this is read.
    pub(super) fn new(session: Session, stop: Stop) -> Self {
        Self { session, stop, runtime: Handle::current() }
    }
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let began = Instant::now();
        loop {
            if self.stop.is_set() {
                return Err(io::Error::other("it shall stop"));
            }
            let session = &mut self.session;
            match self.runtime.block_on(async { tokio::time::timeout(LOOK, session.read(buffer)).await }) {
                Ok(read) => return read,
                Err(_) if began.elapsed() < SILENCE => {}
                Err(_) => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!("nothing has come for {} s", SILENCE.as_secs()),
                    ));
                }
            }
        }
    }
}
