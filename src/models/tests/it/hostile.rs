//! Files that change underneath, clients that are many.

use std::{
    fs::OpenOptions,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::Arc,
};

use ringrift_store::Object;

use crate::rig::{Answer, NAME, Rig, Setup, answer, ask, eventually, sample};

/// Larger than what sockets hold, so that the answer is under way when the file changes.
const SIZE: usize = 64 << 20;

/// Begins to download, lets `change` do its work once bytes have come, and reads what else there is.
fn download(rig: &Rig, path: &str, change: impl FnOnce()) -> Answer {
    let mut socket = TcpStream::connect(rig.address).unwrap();
    socket.set_read_timeout(Some(crate::rig::PATIENCE)).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    socket.peek(&mut [0; 4096]).unwrap();
    change();
    answer(&mut socket, "GET").unwrap()
}

fn object_file(rig: &Rig, object: &Object) -> PathBuf {
    rig.dir.path().join("store/objects").join(object.sha256().to_string())
}

#[test]
fn the_published_file_may_be_cut_overwritten_or_removed_while_it_is_downloaded() {
    let rig = Rig::open();
    let bytes = sample(SIZE, 1);
    rig.publish(NAME, &bytes);
    let file = rig.models().join(NAME);
    let path = format!("/models/{NAME}");
    let write = || OpenOptions::new().write(true).open(&file).unwrap();
    let deeds: [(&str, &dyn Fn()); 4] = [
        ("overwritten", &|| write().write_all_at(&vec![0xee; 1 << 20], 40 << 20).unwrap()),
        ("cut", &|| write().set_len(1000).unwrap()),
        ("rewritten", &|| std::fs::write(&file, "other bytes").unwrap()),
        ("removed", &|| std::fs::remove_file(&file).unwrap()),
    ];
    for (deed, change) in deeds {
        let answer = download(&rig, &path, change);
        assert!(answer.status == 200 && !answer.broken && answer.body == bytes, "{deed}");
    }
}

/// What is done to a file.
type Deed = fn(&PathBuf);

/// The store's own file, which nobody but root or the daemon's user can touch.
#[test]
fn a_changed_object_ends_the_connection_and_never_gives_wrong_bytes_under_a_right_length() {
    let deeds: [(&str, Deed); 3] = [
        ("cut", |file| OpenOptions::new().write(true).open(file).unwrap().set_len(1 << 20).unwrap()),
        ("overwritten", |file| {
            let file = OpenOptions::new().write(true).open(file).unwrap();
            file.write_all_at(&[0xee; 4096], (SIZE - 8192) as u64).unwrap();
        }),
        ("emptied", |file| std::fs::write(file, "").unwrap()),
    ];
    for (deed, change) in deeds {
        let rig = Rig::open();
        let bytes = sample(SIZE, 2);
        let object = rig.publish(NAME, &bytes);
        let file = object_file(&rig, &object);
        make_writable(&file);
        let path = format!("/models/by-digest/{}", object.sha256());
        let answer = download(&rig, &path, || {
            // The kernel makes whoever opens it for writing wait until nobody serves it any more: so this ends by itself, later.
            std::thread::spawn(move || change(&file));
            eventually("the store notices", || !object.unchanged());
        });
        assert!(answer.broken, "{deed}: all {} bytes came", answer.body.len());
        let same = answer.body.iter().zip(&bytes).take_while(|(found, right)| found == right).count();
        assert_eq!(same, answer.body.len(), "{deed}: a wrong byte came");
        // The server lives, and does not serve what it cannot vouch for.
        assert_eq!(ask(rig.address, "GET", "/nothing", &[], b"").unwrap().status, 404);
        rig.publish("other.pth", b"other bytes");
        assert_eq!(rig.get("/models/other.pth", &[]).body, b"other bytes");
    }
}

#[test]
fn a_removed_object_is_sent_to_its_end_and_then_is_no_more() {
    let rig = Rig::open();
    let bytes = sample(SIZE, 3);
    let object = rig.publish(NAME, &bytes);
    let file = object_file(&rig, &object);
    let path = format!("/models/by-digest/{}", object.sha256());
    let answer = download(&rig, &path, || std::fs::remove_file(&file).unwrap());
    assert!(!answer.broken && answer.body == bytes, "the bytes live as long as somebody has them open");
}

#[test]
fn cold_files_come_whole() {
    let rig = Setup { open_reads: true, threads: 2, ..Setup::default() }.start();
    let bytes = sample(SIZE, 4);
    let object = rig.publish(NAME, &bytes);
    let file = std::fs::File::open(object_file(&rig, &object)).unwrap();
    let cold = || {
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    };
    cold();
    let path = format!("/models/{NAME}");
    assert!(rig.get(&path, &[]).body == bytes);
    cold();
    let answer = rig.get(&path, &[("Range", "bytes=30000000-39999999")]);
    assert!(answer.body == bytes[30_000_000..40_000_000]);
}

#[test]
fn a_hundred_clients_at_once_get_right_bytes() {
    let rig = Arc::new(Rig::open());
    let bytes = sample(4_000_000, 5);
    let sha256 = rig.publish(NAME, &bytes).sha256();
    std::thread::scope(|scope| {
        for client in 0..100 {
            let (rig, bytes) = (&rig, &bytes);
            scope.spawn(move || {
                let (first, last) = (client * 20_000, 2_000_000 + client * 20_000);
                let range = format!("bytes={first}-{last}");
                let path =
                    if client % 2 == 0 { format!("/models/{NAME}") } else { format!("/models/by-digest/{sha256}") };
                let part = rig.get(&path, &[("Range", &range)]);
                assert!(part.status == 206 && part.body == bytes[first..=last], "client {client}");
                let whole = rig.get(&path, &[]);
                assert!(whole.status == 200 && &whole.body == bytes, "client {client}");
            });
        }
    });
    eventually("all connections are given back", || rig.handle.connections() == 0);
}

#[test]
fn connections_beyond_the_limits_are_told_so() {
    let mut setup = Setup { open_reads: true, ..Setup::default() };
    (setup.limits.connections, setup.limits.connections_per_address) = (3, 2);
    let rig = setup.start();
    rig.publish(NAME, b"bytes");
    let held = [TcpStream::connect(rig.address).unwrap(), TcpStream::connect(rig.address).unwrap()];
    eventually("both are counted", || rig.handle.connections() == 2);
    let refused = rig.get(&format!("/models/{NAME}"), &[]);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    let error = refused.json();
    assert_eq!(error["error"], "this address has 2 connections already: try again");
    assert_eq!(error["error_code"], "OVERLOADED");
    drop(held);
    eventually("there is room again", || rig.handle.connections() == 0);
    assert_eq!(rig.get(&format!("/models/{NAME}"), &[]).status, 200);
}

#[test]
fn what_is_no_http_does_no_harm() {
    let rig = Rig::open();
    rig.publish(NAME, b"bytes");
    for request in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /models/x HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /models/x HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /models/upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
        &[b"GET / HTTP/1.1\r\nX: ", &vec![b'x'; 200_000][..]].concat(),
        &[b"GET / HTTP/1.1\r\n", &b"X: y\r\n".repeat(5000)[..], b"\r\n"].concat(),
    ] {
        let mut socket = TcpStream::connect(rig.address).unwrap();
        socket.set_read_timeout(Some(crate::rig::PATIENCE)).unwrap();
        let _ = socket.write_all(request);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{:?}", String::from_utf8_lossy(&answer));
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(rig.get(&format!("/models/{NAME}"), &[]).body, b"bytes");
    eventually("all connections are given back", || rig.handle.connections() == 0);
}

/// Objects are read-only; the test may be somebody else than root.
fn make_writable(file: &PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
}
