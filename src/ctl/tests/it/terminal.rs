//! `monitor --watch` on a real (pseudo) terminal. Needs util-linux's `setsid`, which every Debian has.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::unix::ffi::OsStrExt as _,
    process::Stdio,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    cluster,
    ctl::{PATIENCE, command, in_time},
    fake::{Answer, Fake, Seen},
};

/// A terminal: the side that a person would sit at, and the side that a program has.
pub(crate) struct Pty {
    person: File,
    program: File,
}

impl Pty {
    pub(crate) fn new(columns: u16, rows: u16) -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap();
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let program = File::options().read(true).write(true).open(path).unwrap();
        let pty = Self { person: person.into(), program };
        pty.resize(columns, rows);
        pty
    }

    fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.person, size).unwrap();
    }

    pub(crate) fn stdio(&self) -> Stdio {
        self.program.try_clone().unwrap().into()
    }

    fn is_in_line_mode(&self) -> bool {
        tcgetattr(&self.program).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// What appears, piece by piece. Ends when nobody has the program's side open.
    pub(crate) fn screen(&self) -> Screen {
        let (sender, pieces) = mpsc::unbounded_channel();
        let mut person = self.person.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            // The kernel says EIO when the other side is closed.
            while let Ok(n) = person.read(&mut piece) {
                if n == 0 || sender.send(String::from_utf8_lossy(&piece[..n]).into_owned()).is_err() {
                    break;
                }
            }
        });
        Screen { pieces, unseen: String::new() }
    }
}

/// What has appeared on a terminal and was not looked at yet.
pub(crate) struct Screen {
    pieces: mpsc::UnboundedReceiver<String>,
    unseen: String,
}

impl Screen {
    /// Waits for `text` and returns what appeared up to its end; what follows is for the next look.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.unseen.find(text) {
                let rest = self.unseen.split_off(at + text.len());
                return std::mem::replace(&mut self.unseen, rest);
            }
            match timeout(PATIENCE, self.pieces.recv()).await {
                Ok(Some(piece)) => self.unseen.push_str(&piece),
                Ok(None) => panic!("the terminal was closed before {text:?} appeared: {:?}", self.unseen),
                Err(late) => panic!("{text:?} did not appear ({late}): {:?}", self.unseen),
            }
        }
    }
}

#[tokio::test]
async fn the_monitor_fills_the_terminal_follows_its_size_and_gives_it_back() {
    let fake = Fake::start(|_: &Seen| Answer::json(&cluster::healthy())).await;
    let mut pty = Pty::new(120, 20);
    assert!(pty.is_in_line_mode());
    let mut screen = pty.screen();
    // A new session whose controlling terminal this is, or the change of its size would not be told to the program.
    let monitor = command();
    let mut child = tokio::process::Command::new("setsid");
    child.args(["--ctty", "--wait"]).arg(monitor.as_std().get_program());
    child.args(["--api", &fake.url(), "monitor", "--watch"]).env_clear().env("TERM", "xterm").kill_on_drop(true);
    let mut child = child.stdin(pty.stdio()).stdout(pty.stdio()).stderr(pty.stdio()).spawn().unwrap();

    let shown = screen.until("ADDRESS").await;
    assert!(shown.contains("\x1b[?1049h"), "not on the alternate screen: {shown:?}");
    screen.until("by state").await;
    assert!(!pty.is_in_line_mode());
    pty.resize(60, 20);
    let shown = screen.until("by state").await;
    assert!(shown.contains("JOBS") && !shown.contains("ADDRESS"), "as if it were wide: {shown:?}");
    pty.person.write_all(b"n").unwrap();
    screen.until("name").await;
    pty.person.write_all(b"q").unwrap();
    let shown = screen.until("\x1b[?1049l").await;
    assert!(!shown.contains("error"), "{shown:?}");
    let ended = in_time(child.wait()).await;
    assert!(ended.unwrap().success());
    assert!(pty.is_in_line_mode());
}
