//! What RFC 9110 and RFC 9530 say about ranges, conditions, methods and digests, over a real connection.

use std::{
    io::Write as _,
    net::TcpStream,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::rig::{self, NAME, Rig, answer, ask, parts, sample};

const SIZE: usize = 5_000_000;

#[test]
fn a_whole_file_comes_with_everything_that_identifies_it() {
    let rig = Rig::open();
    let bytes = sample(SIZE, 1);
    let object = rig.publish(NAME, &bytes);
    let hex = object.sha256().to_string();
    let digest = format!("sha-256=:{}:", STANDARD.encode(object.sha256().as_bytes()));
    let by_digest = format!("/models/by-digest/{hex}");
    for (path, caching) in [
        (format!("/models/{NAME}"), "no-cache"),
        ("/models/ringrift_best_hex8_2p.pth".to_owned(), "no-cache"),
        (by_digest.clone(), "max-age=31536000, immutable"),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = rig.ask(method, &path, &[], b"");
            assert_eq!(answer.status, 200, "{method} {path}");
            assert_eq!(answer.body, if method == "GET" { &bytes[..] } else { &[] }, "{method} {path}");
            for (name, value) in [
                ("etag", format!("\"{hex}\"")),
                ("repr-digest", digest.clone()),
                ("accept-ranges", "bytes".into()),
                ("cache-control", caching.into()),
                ("content-length", SIZE.to_string()),
                ("content-type", "application/octet-stream".into()),
            ] {
                assert_eq!(answer.header(name), Some(&value[..]), "{method} {path} {name}");
            }
            let date = |name: &str| httpdate::parse_http_date(answer.header(name).unwrap()).unwrap();
            assert!(date("last-modified") <= date("date"));
        }
    }
    let upper = rig.get(&format!("/models/by-digest/{}", hex.to_uppercase()), &[]);
    assert_eq!((upper.status, upper.body.len()), (200, SIZE));
}

#[test]
fn a_range_gives_its_bytes() {
    let rig = Rig::open();
    let bytes = sample(SIZE, 2);
    rig.publish(NAME, &bytes);
    let path = format!("/models/{NAME}");
    for (header, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, SIZE - 1),
        ("bytes=-1", SIZE - 1, SIZE - 1),
        ("bytes=-9999999", 0, SIZE - 1),
        ("bytes=4999999-9999999", SIZE - 1, SIZE - 1),
        // Across the pieces of 2 MiB.
        ("bytes=2097151-2097152", 2_097_151, 2_097_152),
        ("bytes=4095-4194305", 4095, 4_194_305),
        ("bytes=100-199,150-299", 100, 299),
        ("bytes=100-199,9999999-", 100, 199),
    ] {
        let answer = rig.get(&path, &[("Range", header)]);
        assert_eq!(answer.status, 206, "{header}");
        assert!(answer.body == bytes[first..=last], "{header}: {} bytes", answer.body.len());
        assert_eq!(answer.header("content-range"), Some(&format!("bytes {first}-{last}/{SIZE}")[..]));
        assert_eq!(answer.header("content-length"), Some(&(last - first + 1).to_string()[..]));
        assert!(answer.header("repr-digest").is_some_and(|digest| digest.starts_with("sha-256=:")));
    }
    for header in ["bytes=5000000-", "bytes=-0", "bytes=9999999-,8888888-"] {
        let answer = rig.get(&path, &[("Range", header)]);
        assert_eq!((answer.status, answer.header("content-range")), (416, Some("bytes */5000000")), "{header}");
        assert_eq!(answer.json()["error_code"], "BAD_REQUEST");
    }
    for header in ["bytes=2-1", "bytes=x", "lines=1-2", "bytes=", "0-1"] {
        let answer = rig.get(&path, &[("Range", header)]);
        assert_eq!((answer.status, answer.body.len(), answer.header("content-range")), (200, SIZE, None), "{header}");
    }
    let head = rig.ask("HEAD", &path, &[("Range", "bytes=0-0")], b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some("5000000")), "ranges are for GET alone");
}

#[test]
fn several_ranges_come_in_parts() {
    let rig = Rig::open();
    let bytes = sample(SIZE, 3);
    rig.publish(NAME, &bytes);
    let answer = rig.get(&format!("/models/{NAME}"), &[("Range", "bytes=4000000-4000999, 0-99,-10,9999999-")]);
    assert_eq!((answer.status, answer.header("content-range")), (206, None));
    assert_eq!(answer.header("content-length"), Some(&answer.body.len().to_string()[..]));
    let parts = parts(&answer);
    let ranges: Vec<&str> = parts.iter().map(|(range, _)| &range[..]).collect();
    assert_eq!(ranges, ["4000000-4000999/5000000", "0-99/5000000", "4999990-4999999/5000000"]);
    for ((_, found), range) in parts.iter().zip([4_000_000..4_001_000, 0..100, SIZE - 10..SIZE]) {
        assert_eq!(found, &bytes[range]);
    }
    // As one would ask for every byte twice over: nothing is sent twice.
    let greedy = (0..60).map(|n| format!("{n}-")).collect::<Vec<_>>().join(",");
    let answer = rig.get(&format!("/models/{NAME}"), &[("Range", &format!("bytes={greedy}"))]);
    assert_eq!((answer.status, answer.body.len()), (206, SIZE));
    let many = (0..1000).map(|n| format!("{0}-{0}", n * 1000)).collect::<Vec<_>>().join(",");
    let answer = rig.get(&format!("/models/{NAME}"), &[("Range", &format!("bytes={many}"))]);
    assert_eq!((answer.status, answer.body.len()), (200, SIZE));
}

#[test]
fn conditions_decide_whether_bytes_are_sent() {
    let rig = Rig::open();
    let bytes = sample(1000, 4);
    let object = rig.publish(NAME, &bytes);
    let etag = format!("\"{}\"", object.sha256());
    let path = format!("/models/{NAME}");
    let modified = rig.get(&path, &[]).header("last-modified").unwrap().to_owned();
    let at = httpdate::parse_http_date(&modified).unwrap();
    let earlier = httpdate::fmt_http_date(at - Duration::from_secs(1));
    let weak = format!("W/{etag}");
    let range = ("Range", "bytes=0-9");
    for (headers, status, length) in [
        (vec![("If-None-Match", &etag[..])], 304, 0),
        (vec![("If-None-Match", &weak)], 304, 0),
        (vec![("If-None-Match", "\"x\"")], 200, 1000),
        (vec![("If-Modified-Since", &modified)], 304, 0),
        (vec![("If-Modified-Since", &earlier)], 200, 1000),
        (vec![("If-Match", &etag)], 200, 1000),
        (vec![("If-Match", "\"x\""), range], 412, 0),
        (vec![("If-Unmodified-Since", &earlier)], 412, 0),
        (vec![("If-None-Match", &etag), range], 304, 0),
        (vec![("If-Range", &etag), range], 206, 10),
        (vec![("If-Range", &weak), range], 200, 1000),
        (vec![("If-Range", "\"x\""), range], 200, 1000),
        (vec![("If-Range", &earlier), range], 200, 1000),
        (vec![("If-Range", "\"x\""), ("Range", "bytes=1000-")], 200, 1000),
        (vec![("If-Range", &etag), ("Range", "bytes=1000-")], 416, 0),
    ] {
        for method in ["GET", "HEAD"] {
            let ranges = method == "GET";
            // A HEAD knows no ranges, and therefore no 206 and no 416.
            let status = if ranges || !matches!(status, 206 | 416) { status } else { 200 };
            let answer = rig.ask(method, &path, &headers, b"");
            assert_eq!(answer.status, status, "{method} {headers:?}");
            if ranges && status < 400 {
                assert_eq!(answer.body, &bytes[..length], "{headers:?}");
            }
            if status < 400 {
                assert_eq!(answer.header("etag"), Some(&etag[..]), "{method} {headers:?}");
                assert!(answer.header("cache-control").is_some());
            }
            if status == 304 {
                assert_eq!(answer.header("content-range"), None);
            }
        }
    }
}

#[test]
fn a_date_as_if_range_counts_once_a_second_has_passed() {
    let rig = Rig::open();
    rig.publish(NAME, &sample(1000, 5));
    let path = format!("/models/{NAME}");
    let modified = rig.get(&path, &[]).header("last-modified").unwrap().to_owned();
    let at = httpdate::parse_http_date(&modified).unwrap();
    rig::eventually("the second passes", || SystemTime::now() > at + Duration::from_secs(1));
    let answer = rig.get(&path, &[("If-Range", &modified), ("Range", "bytes=5-5")]);
    assert_eq!(answer.status, 206);
}

#[test]
fn a_name_stands_for_its_present_version_and_a_digest_for_its_own() {
    let rig = Rig::open();
    let (old, new) = (sample(1000, 6), sample(2000, 7));
    let first = rig.publish(NAME, &old);
    let path = format!("/models/{NAME}");
    let before = rig.get(&path, &[]);
    rig.publish(NAME, &new);
    let etag = before.header("etag").unwrap();
    let after = rig.get(&path, &[("If-None-Match", etag), ("If-Range", etag), ("Range", "bytes=0-9")]);
    assert_eq!((after.status, after.body.len()), (200, 2000), "a download of the old version is not continued");
    assert_eq!(rig.get(&format!("/models/by-digest/{}", first.sha256()), &[]).body, old);
    // Back again: the date goes on, though the bytes are older.
    rig.store.publish(&NAME.parse().unwrap(), &first.sha256()).unwrap();
    let back = rig.get(&path, &[]);
    let date = |answer: &rig::Answer| httpdate::parse_http_date(answer.header("last-modified").unwrap()).unwrap();
    assert!(back.body == old && date(&back) >= date(&after));
}

#[test]
fn no_name_leaves_the_directory() {
    let rig = Rig::open();
    rig.publish(NAME, &sample(10, 8));
    std::fs::write(rig.dir.path().join("secret"), "secret").unwrap();
    std::fs::write(rig.models().join("unpublished.pth"), "not from the store").unwrap();
    for path in [
        "/models/../secret",
        "/models/..%2fsecret",
        "/models/..%2Fsecret",
        "/models/%2e%2e/secret",
        "/models/%2e%2e%2fsecret",
        "/models/..%5csecret",
        "/models/..%252fsecret",
        "/models//etc/passwd",
        "/models/%2fetc%2fpasswd",
        "/models/.",
        "/models/..",
        "/models/",
        "/models",
        "/models/.hidden",
        "/models/a%00b",
        "/models/a%0d%0ab",
        "/models/%ff%fe",
        "/models/unpublished.pth",
        "/models/canonical_hex8_2p.pth/",
        "/models/canonical_hex8_2p.pth%2f..",
        "/models/ringrift_best_..%2f..%2fsecret.pth",
        "/models/by-digest/..%2f..%2fsecret",
        "/models/by-digest/",
        "/models/by-digest/0000000000000000000000000000000000000000000000000000000000000000",
        "/models/by-digest/00",
        "/models/store/objects",
        "/",
        "/status",
    ] {
        let answer = rig.get(path, &[]);
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        assert!(
            !answer.body.windows(6).any(|window| window == b"secret") || answer.json()["error"].is_string(),
            "{path}"
        );
    }
    let long = format!("/models/{}", "x".repeat(5000));
    assert_eq!(rig.get(&long, &[]).status, 400);
}

#[test]
fn errors_have_one_shape() {
    let rig = Rig::open();
    for (method, path, status, code) in [
        ("GET", "/models/none.pth", 404, "NOT_FOUND"),
        ("GET", "/models/a%20b", 400, "BAD_REQUEST"),
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("DELETE", "/models/none.pth", 405, "BAD_REQUEST"),
        ("PUT", "/models/upload", 405, "BAD_REQUEST"),
        ("POST", "/swarm", 405, "BAD_REQUEST"),
    ] {
        let answer = rig.ask(method, path, &[], b"");
        assert_eq!(answer.status, status, "{method} {path}");
        let body = answer.json();
        assert_eq!(body["error_code"], code, "{method} {path}");
        assert!(body["error"].is_string() && body["details"].is_object(), "{body}");
    }
    // What is under `upload` for a GET is a model of that name, which there is none of.
    assert!(matches!(rig.get("/models/upload", &[]).status, 404 | 405));
}

#[test]
fn one_connection_serves_many_requests() {
    let rig = Rig::open();
    let bytes = sample(300_000, 9);
    rig.publish(NAME, &bytes);
    let mut socket = TcpStream::connect(rig.address).unwrap();
    socket.set_read_timeout(Some(rig::PATIENCE)).unwrap();
    for n in 0..50 {
        let (first, method) = (n * 1000, if n % 7 == 3 { "HEAD" } else { "GET" });
        write!(socket, "{method} /models/{NAME} HTTP/1.1\r\nHost: x\r\nRange: bytes={first}-{}\r\n\r\n", first + n)
            .unwrap();
        let answer = answer(&mut socket, method).unwrap();
        assert_eq!(answer.body, if method == "GET" { &bytes[first..=first + n] } else { &[] });
    }
    assert_eq!(rig.handle.connections(), 1);
}

#[test]
fn it_ends_when_told_and_accepts_nothing_after() {
    let rig = Rig::open();
    rig.publish(NAME, &sample(10, 10));
    assert!(rig.handle.is_running());
    let address = rig.address;
    // An idle connection does not hold it up.
    let _idle = TcpStream::connect(address).unwrap();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(rig.handle.stop());
    assert!(ask(address, "GET", "/", &[], b"").is_err());
}
