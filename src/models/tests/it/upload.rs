//! Uploads: whole and right, or not at all.

use std::{
    io::{self, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ringrift_blob::Digest;
use ringrift_models::Caller;
use ringrift_store::{
    Seams,
    disk::{Hook, Step},
};
use serde_json::json;

use crate::rig::{Answer, FormPart, NAME, Rig, SECRET, Setup, answer, eventually, form, sample};

fn upload(rig: &Rig, path: &str, headers: &[(&str, &str)], parts: &[FormPart<'_>]) -> Answer {
    let (kind, body) = form(parts);
    let mut all = vec![("Content-Type", &kind[..]), ("X-RingRift-Auth", SECRET)];
    all.extend_from_slice(headers);
    rig.ask("POST", path, &all, &body)
}

/// Nothing has a name, and nothing is left of what was begun.
fn nothing_is_left(rig: &Rig) {
    let files = |folder: std::path::PathBuf| std::fs::read_dir(folder).unwrap().count();
    assert_eq!((rig.store.published().len(), rig.store.holdings().len()), (0, 0));
    assert_eq!(files(rig.models()), 0);
    eventually("the temporary file is gone", || files(rig.dir.path().join("store/tmp")) == 0);
}

#[test]
fn an_old_uploader_sends_a_file_and_hears_its_digest() {
    let rig = Rig::new();
    let bytes = sample(3_000_000, 1);
    let sha256 = Digest::of(&bytes);
    let answer = upload(&rig, "/models/upload", &[], &[("file", Some(NAME), "", &bytes)]);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({"success": true, "name": NAME, "size": bytes.len(), "sha256": sha256}));
    let name = NAME.parse().unwrap();
    assert_eq!(rig.heard.uploads.lock().unwrap()[..], [(name, sha256, Caller::Token)]);
    assert_eq!(std::fs::read(rig.models().join(NAME)).unwrap(), bytes);
    assert_eq!(std::fs::read(rig.models().join("ringrift_best_hex8_2p.pth")).unwrap(), bytes);
    let sidecar = std::fs::read_to_string(rig.models().join(format!("{NAME}.sha256"))).unwrap();
    assert_eq!(sidecar, format!("{sha256}  {NAME}\n"));
    let read = rig.get(&format!("/models/{NAME}"), &[("X-RingRift-Auth", SECRET)]);
    assert_eq!((read.status, &read.body), (200, &bytes));
    // The same again is no error.
    assert_eq!(upload(&rig, "/models/upload", &[], &[("file", Some(NAME), "", &bytes)]).status, 200);
    // Others may come before and after, in any order.
    let hex = sha256.to_string();
    let parts: [FormPart<'_>; 4] = [
        ("config", None, "", b"hex8_2p"),
        ("sha256", None, "", hex.as_bytes()),
        ("file", Some("second.pth"), "Content-Type: application/zip\r\n", &bytes),
        ("note", None, "", b"trained on Tuesday"),
    ];
    assert_eq!(upload(&rig, "/models/upload", &[], &parts).status, 200);
}

#[test]
fn a_promised_digest_is_kept_or_nothing_is_stored() {
    let bytes = sample(1_500_000, 2);
    let (right, wrong) = (Digest::of(&bytes), Digest::of(b"other"));
    for (promised, status) in [(right, 200), (wrong, 422)] {
        let hex = promised.to_string();
        let header = format!("X-Content-SHA256: {hex}\r\n");
        let repr = format!("Repr-Digest: sha-256=:{}:\r\n", STANDARD.encode(promised.as_bytes()));
        let query = format!("/models/upload?sha256={hex}");
        let file = |head| ("file", Some(NAME), head, &bytes[..]);
        let field = ("sha256", None, "", hex.as_bytes());
        let uploads = [
            ("field before", "/models/upload", vec![], vec![field, file("")]),
            ("field after", "/models/upload", vec![], vec![file(""), field]),
            ("address", &query[..], vec![], vec![file("")]),
            ("header", "/models/upload", vec![("X-Content-SHA256", &hex[..])], vec![file("")]),
            ("header of the part", "/models/upload", vec![], vec![file(&header)]),
            ("digest of the part", "/models/upload", vec![], vec![file(&repr)]),
        ];
        for (what, path, headers, parts) in uploads {
            let rig = Rig::new();
            let answer = upload(&rig, path, &headers, &parts);
            assert_eq!(answer.status, status, "{what}: {}", String::from_utf8_lossy(&answer.body));
            if status == 422 {
                let details = &answer.json()["details"];
                assert_eq!(*details, json!({"expected": wrong, "found": right}), "{what}");
                nothing_is_left(&rig);
                assert!(rig.heard.uploads.lock().unwrap().is_empty());
            }
        }
    }
}

#[test]
fn what_is_no_upload_is_refused_with_a_sentence() {
    let bytes = sample(1000, 3);
    let file = |name| ("file", Some(name), "", &bytes[..]);
    let cases: [(&[FormPart<'_>], &str); 12] = [
        (&[file("../x.pth")], "is not the name of a model"),
        (&[file("/etc/passwd")], "is not the name of a model"),
        (&[file("models/x.pth")], "is not the name of a model"),
        (&[file("")], "is not the name of a model"),
        (&[file(".hidden")], "is not the name of a model"),
        (&[file("ringrift_best_hex8_2p.pth")], "belong to the store"),
        (&[file("canonical_hex8_2p.pth.sha256")], "belong to the store"),
        (&[("file", None, "", b"x")], "no filename"),
        (&[("model", Some(NAME), "", b"x")], "no part `file`"),
        (&[file("a.pth"), file("b.pth")], "two parts"),
        (&[file("a.pth"), ("sha256", None, "", b"xyz")], "not a SHA-256 digest"),
        (&[("file", Some(NAME), "", b"")], "0 bytes"),
    ];
    for (parts, why) in cases {
        let rig = Rig::new();
        let answer = upload(&rig, "/models/upload", &[], parts);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(answer.status == 400 && error.contains(why), "{why}: {} {error}", answer.status);
        nothing_is_left(&rig);
    }
    let rig = Rig::new();
    let auth = ("X-RingRift-Auth", SECRET);
    for (headers, body) in [
        (vec![auth], &b"bytes"[..]),
        (vec![auth, ("Content-Type", "application/octet-stream")], b"bytes"),
        (vec![auth, ("Content-Type", "multipart/form-data")], b"bytes"),
        (vec![auth, ("Content-Type", "multipart/form-data; boundary=x")], b"bytes"),
        (vec![auth, ("Content-Type", "multipart/form-data; boundary=x")], b"--x\r\nrubbish\r\n"),
    ] {
        let answer = rig.ask("POST", "/models/upload", &headers, body);
        assert_eq!((answer.status, &answer.json()["error_code"]), (400, &json!("BAD_REQUEST")));
    }
    let long = "x".repeat(5000);
    let answer = upload(&rig, "/models/upload", &[], &[("note", None, "", long.as_bytes())]);
    assert!(answer.json()["error"].as_str().unwrap().contains("longer than 1024 bytes"));
    // A head without an end is not collected until it has one.
    let endless = format!("X-Long: {}\r\n", "x".repeat(2_000_000));
    let answer = upload(&rig, "/models/upload", &[], &[("file", Some(NAME), &endless, &bytes)]);
    assert!(answer.json()["error"].as_str().unwrap().contains("head of a part is too long"));
    assert_eq!(upload(&rig, "/models/upload?sha256=xyz", &[], &[file(NAME)]).status, 400);
    nothing_is_left(&rig);
}

#[test]
fn a_body_that_ends_early_leaves_nothing() {
    let rig = Rig::new();
    let bytes = sample(2_000_000, 4);
    let (kind, body) = form(&[("file", Some(NAME), "", &bytes)]);
    // Cut in the file, before the last boundary, and within it.
    for end in [body.len() / 2, body.len() - 45, body.len() - 4] {
        let mut socket = TcpStream::connect(rig.address).unwrap();
        write!(
            socket,
            "POST /models/upload HTTP/1.1\r\nHost: x\r\nX-RingRift-Auth: {SECRET}\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        )
        .unwrap();
        socket.write_all(&body[..end]).unwrap();
        drop(socket);
        eventually("the connection is given up", || rig.handle.connections() == 0);
        nothing_is_left(&rig);
    }
    // The announced length is kept and the form is not.
    let headers = [("Content-Type", &kind[..]), ("X-RingRift-Auth", SECRET)];
    assert_eq!(rig.ask("POST", "/models/upload", &headers, &body[..body.len() - 4]).status, 400);
    nothing_is_left(&rig);
}

#[test]
fn what_is_too_large_is_refused_before_or_while_it_comes() {
    let mut setup = Setup::default();
    setup.limits.upload_bytes = 1_000_000;
    let rig = setup.start();
    for (length, status) in [(1_000_000, 200), (1_000_001, 413), (1_050_000, 413), (5_000_000, 413)] {
        let bytes = sample(length, 5);
        let answer = upload(&rig, "/models/upload", &[], &[("file", Some(NAME), "", &bytes)]);
        assert_eq!(answer.status, status, "{length}");
        if status == 413 {
            assert_eq!(answer.json()["details"]["limit_bytes"], 1_000_000);
        }
    }
    assert_eq!(rig.store.holdings().len(), 1);
}

#[test]
fn a_full_disk_is_said_in_a_sentence_and_the_next_upload_works() {
    let full = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&full);
    let hook = Hook::new(move |step| match step {
        Step::Write(path, at, _) if seen.load(Ordering::Relaxed) && *at >= 1 << 20 && path.is_absolute() => {
            Err(io::ErrorKind::StorageFull.into())
        }
        _ => Ok(()),
    });
    let rig = Setup { seams: Seams { hook, ..Seams::default() }, ..Setup::default() }.start();
    let bytes = sample(8_000_000, 6);
    let file = [("file", Some(NAME), "", &bytes[..])];
    full.store(true, Ordering::Relaxed);
    let answer = upload(&rig, "/models/upload", &[], &file);
    assert_eq!(answer.status, 507);
    let body = answer.json();
    assert!(body["error"].as_str().unwrap().starts_with("no room on the disk of "), "{body}");
    assert_eq!((&body["details"]["disk_full"], &body["error_code"]), (&json!(true), &json!("REFUSED")));
    nothing_is_left(&rig);
    full.store(false, Ordering::Relaxed);
    assert_eq!(upload(&rig, "/models/upload", &[], &file).status, 200);
}

#[test]
fn so_many_uploads_at_a_time_and_slow_ones_give_their_place_back() {
    let mut setup = Setup::default();
    setup.limits.uploads = 2;
    setup.limits.slowest.window = Duration::from_millis(300);
    let rig = setup.start();
    let (kind, body) = form(&[("file", Some(NAME), "", &sample(1_000_000, 7))]);
    let begin = || {
        let mut socket = TcpStream::connect(rig.address).unwrap();
        socket.set_read_timeout(Some(crate::rig::PATIENCE)).unwrap();
        write!(
            socket,
            "POST /models/upload HTTP/1.1\r\nHost: x\r\nX-RingRift-Auth: {SECRET}\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        )
        .unwrap();
        socket.write_all(&body[..500]).unwrap();
        socket
    };
    let mut slow = [begin(), begin()];
    let temporary = || std::fs::read_dir(rig.dir.path().join("store/tmp")).unwrap().count();
    eventually("both have begun", || temporary() == 2 || rig.handle.connections() < 2);
    for socket in &mut slow {
        let answer = answer(socket, "POST").unwrap();
        assert_eq!((answer.status, &answer.json()["error_code"]), (408, &json!("TIMEOUT")));
    }
    nothing_is_left(&rig);
    let headers = [("Content-Type", &kind[..]), ("X-RingRift-Auth", SECRET)];
    eventually("there is room again", || rig.ask("POST", "/models/upload", &headers, &body).status == 200);
}

#[test]
fn one_upload_too_many_is_told_to_come_again() {
    let mut setup = Setup::default();
    setup.limits.uploads = 0;
    let rig = setup.start();
    let answer = upload(&rig, "/models/upload", &[], &[("file", Some(NAME), "", b"bytes")]);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    assert_eq!(answer.json()["error_code"], "OVERLOADED");
}

#[test]
fn an_upload_is_not_collected_in_memory() {
    let rig = Rig::new();
    let size = 256_000_000;
    let bytes = sample(size, 10);
    let (kind, body) = form(&[("file", Some(NAME), "", &bytes)]);
    drop(bytes);
    let high = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() << 10
    };
    let (before, done) = (high(), AtomicBool::new(false));
    let most = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(high());
                std::thread::sleep(Duration::from_millis(1));
            }
            most
        });
        let headers = [("Content-Type", &kind[..]), ("X-RingRift-Auth", SECRET)];
        let answer = rig.ask("POST", "/models/upload", &headers, &body);
        done.store(true, Ordering::Relaxed);
        assert_eq!(answer.status, 200);
        watch.join().unwrap()
    });
    // Other tests run in this process meanwhile and hold files of theirs; the file itself would show.
    let grown = most.saturating_sub(before);
    eprintln!("{} MiB more in memory at most", grown >> 20);
    assert!(grown < size as u64, "{grown} bytes more in memory");
}

#[test]
fn two_uploads_of_one_name_end_as_one_of_them() {
    let rig = Rig::new();
    let (one, two) = (sample(2_000_000, 8), sample(2_500_000, 9));
    std::thread::scope(|scope| {
        for bytes in [&one, &two, &one, &two] {
            let rig = &rig;
            scope.spawn(move || {
                assert_eq!(upload(rig, "/models/upload", &[], &[("file", Some(NAME), "", bytes)]).status, 200);
            });
        }
    });
    let file = std::fs::read(rig.models().join(NAME)).unwrap();
    assert!(file == one || file == two);
    let published = rig.store.published();
    assert_eq!((published.len(), published[0].sha256, published[0].intact), (1, Digest::of(&file), true));
}
