//! A program that writes to a database, as a process of its own: SQLite's locks say nothing within one.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use rusqlite::Connection;

use crate::database::add;

const PATH: &str = "GAMEDB_TEST_WRITER";
const MODE: &str = "GAMEDB_TEST_MODE";

/// Writes a game of five moves in each transaction, and says so, until its input ends. With mode `idle` it only has the file open.
#[test]
#[ignore = "the other process of tests that need one"]
fn process() {
    let (path, mode) = (std::env::var(PATH).unwrap(), std::env::var(MODE).unwrap());
    let (stop, stopped) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        let _ = stop.send(());
    });
    let mut connection = Connection::open(path).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    if mode == "idle" {
        connection.query_row("SELECT count(*) FROM games", [], |row| row.get::<_, i64>(0)).unwrap();
        println!("\nwrote 0");
        stopped.recv().unwrap();
        return;
    }
    connection.pragma_update(None, "journal_mode", &mode).unwrap();
    connection.pragma_update(None, "synchronous", "OFF").unwrap();
    for game in 10_000.. {
        let transaction = connection.transaction().unwrap();
        add(&transaction, game, 5);
        transaction.commit().unwrap();
        println!("\nwrote {}", game - 9_999);
        if stopped.try_recv().is_ok() {
            break;
        }
    }
}

/// A writer that runs.
pub(crate) struct Writer {
    child: Child,
    _stdin: ChildStdin,
    out: BufReader<ChildStdout>,
}

impl Writer {
    /// Starts one and waits for its first transaction.
    pub(crate) fn start(path: &Path, mode: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "writer::process", "--nocapture"])
            .env(PATH, path)
            .env(MODE, mode)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, out) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut writer = Self { child, _stdin: stdin, out };
        writer.wrote();
        writer
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next transaction; how many there were.
    pub(crate) fn wrote(&mut self) -> u64 {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.out.read_line(&mut line).unwrap(), 0, "the writer is gone");
            if let Some(count) = line.trim().strip_prefix("wrote ") {
                return count.parse().unwrap();
            }
        }
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
