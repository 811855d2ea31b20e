//! Requests at a steady rate over connections that stay open, as those of dashboards do.
//!
//! Whoever asks has a core as well and moves as many bytes: a thread for each connection that reads into one buffer and looks at
//! nothing but the length, so that what is measured is the other side.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// Per second, and for how long.
const RATE: u32 = 1000;
const SECONDS: u32 = 10;
const CONNECTIONS: u32 = 8;

/// The most that is read at once.
const BUFFER: usize = 256 * 1024;

/// Each request is measured from when it was due, so that a stall is not hidden by waiting for it. Sorted times, the bytes of
/// an answer.
pub(crate) fn steady(to: SocketAddr, path: &str) -> (Vec<Duration>, usize) {
    let start = Instant::now() + Duration::from_millis(100);
    let ask = |c: u32| {
        let mut connection = Connection::open(to, path);
        let mut times = Vec::new();
        let mut bytes = 0;
        for i in (c..RATE * SECONDS).step_by(CONNECTIONS as usize) {
            let due = start + Duration::from_secs(1) * i / RATE;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            bytes = connection.ask();
            times.push(due.elapsed());
        }
        (times, bytes)
    };
    let done: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|c| scope.spawn(move || ask(c))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let bytes = done[0].1;
    let mut times: Vec<Duration> = done.into_iter().flat_map(|(times, _)| times).collect();
    times.sort_unstable();
    (times, bytes)
}

struct Connection {
    socket: TcpStream,
    request: String,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(to: SocketAddr, path: &str) -> Self {
        let socket = TcpStream::connect(to).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, request: format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"), buffer: vec![0; BUFFER] }
    }

    /// The bytes of the answer's body, all of which were read.
    fn ask(&mut self) -> usize {
        self.socket.write_all(self.request.as_bytes()).unwrap();
        let mut read = 0;
        let body_at = loop {
            read += self.some(read);
            if let Some(end) = self.buffer[..read].windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = str::from_utf8(&self.buffer[..body_at]).unwrap().to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let mut left: usize = length - (read - body_at);
        while left > 0 {
            left -= self.some(0);
        }
        length
    }

    fn some(&mut self, at: usize) -> usize {
        let read = self.socket.read(&mut self.buffer[at..]).unwrap();
        assert_ne!(read, 0, "the connection ended in an answer");
        read
    }
}
