//! Clients that are slow, in any number: they cost little, hold nobody up, and are let go.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use ringrift_models::MinimumRate;
use tokio::{io::AsyncWriteExt as _, net::TcpSocket};

use crate::rig::{NAME, PATIENCE, Setup, eventually, sample};

/// How many slow clients this process can play, up to 10,000: each takes two descriptors, one on either side.
fn slow_clients() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let most = limit.maximum.unwrap_or(1 << 20);
    let raised = rustix::process::Rlimit { current: Some(most), maximum: limit.maximum };
    let raised = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).is_ok();
    let descriptors = if raised { most } else { limit.current.unwrap_or(1024) };
    // Other tests of this process need some too.
    let clients = (descriptors.saturating_sub(1500) / 2).min(10_000) as usize;
    eprintln!("{clients} slow clients ({descriptors} file descriptors are allowed)");
    clients
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

/// Connects from an address of its own in 127.0.0.0/8, a hundred connections from each.
async fn connect(to: SocketAddr, client: usize) -> std::io::Result<tokio::net::TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // Little room: what the server sends must stay with the server.
    socket.set_recv_buffer_size(4096)?;
    let host = client / 100;
    let from = Ipv4Addr::new(127, 1, (host / 250) as u8, (host % 250 + 1) as u8);
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

#[test]
fn ten_thousand_slow_clients_hold_nobody_up_and_are_let_go() {
    let clients = slow_clients();
    let mut setup = Setup { open_reads: true, threads: 1, ..Setup::default() };
    setup.limits.connections = clients + 100;
    setup.limits.connections_per_address = 100;
    // Long enough for all of them to be there at once on a busy machine.
    setup.limits.head = Duration::from_secs(30);
    setup.limits.slowest = MinimumRate { bytes_per_second: 4096, window: Duration::from_secs(30) };
    let rig = setup.start();
    let bytes = sample(16 << 20, 1);
    rig.publish(NAME, &bytes);
    let path = format!("/models/{NAME}");
    let before = resident_bytes();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut held = Vec::with_capacity(clients);
    let begun = Instant::now();
    runtime.block_on(async {
        for client in 0..clients {
            let mut socket = connect(rig.address, client).await.unwrap();
            // A third says nothing, a third half a request, a third asks and does not read.
            let request = match client % 3 {
                0 => String::new(),
                1 => format!("GET {path} HTTP/1.1\r\nHost: "),
                _ => format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"),
            };
            socket.write_all(request.as_bytes()).await.unwrap();
            held.push(socket);
        }
    });
    eventually("all are there", || rig.handle.connections() == clients);
    eprintln!("all are there after {:?}", begun.elapsed());
    let each = resident_bytes().saturating_sub(before) / clients.max(1) as u64;
    eprintln!("{each} bytes of memory for each, both ends together");
    assert!(each < 64 << 10, "{each} bytes for each slow client");

    let begun = Instant::now();
    let answer = rig.get(&path, &[]);
    assert!(answer.body == bytes, "somebody who reads is served meanwhile");
    eprintln!("somebody who reads gets 16 MiB in {:?} meanwhile", begun.elapsed());

    let begun = Instant::now();
    while rig.handle.connections() > 0 {
        assert!(begun.elapsed() < 2 * PATIENCE, "{} slow clients are still there", rig.handle.connections());
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(held);
}

#[test]
fn who_reads_slowly_but_steadily_gets_everything() {
    let mut setup = Setup { open_reads: true, ..Setup::default() };
    setup.limits.slowest = MinimumRate { bytes_per_second: 100_000, window: Duration::from_millis(400) };
    let rig = setup.start();
    let bytes = sample(12 << 20, 2);
    rig.publish(NAME, &bytes);
    let mut socket = std::net::TcpStream::connect(rig.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(socket, "GET /models/{NAME} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut found = Vec::new();
    let mut piece = vec![0; 128 << 10];
    // Many windows long, at ten times the least rate or so.
    loop {
        let read = socket.read(&mut piece).unwrap();
        if read == 0 {
            break;
        }
        found.extend_from_slice(&piece[..read]);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(found.ends_with(&bytes), "{} bytes came", found.len());
}

#[test]
fn who_stops_reading_is_let_go() {
    let mut setup = Setup { open_reads: true, ..Setup::default() };
    setup.limits.slowest = MinimumRate { bytes_per_second: 1000, window: Duration::from_millis(200) };
    let rig = setup.start();
    rig.publish(NAME, &sample(32 << 20, 3));
    let mut socket = std::net::TcpStream::connect(rig.address).unwrap();
    write!(socket, "GET /models/{NAME} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    eventually("it is counted", || rig.handle.connections() == 1);
    eventually("it is let go", || rig.handle.connections() == 0);
    drop(socket);
}
