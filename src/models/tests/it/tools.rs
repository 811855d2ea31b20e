//! Programs that nobody here wrote: curl, wget, aria2c, and nginx as a cache in front.

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use ringrift_blob::Digest;

use crate::rig::{NAME, Rig, SECRET, eventually, sample, tool};

const SIZE: usize = 20_000_000;

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    output
}

fn header() -> String {
    format!("Authorization: Bearer {SECRET}")
}

fn holds(file: &Path, bytes: &[u8]) {
    let found = std::fs::read(file).unwrap();
    assert!(found == bytes, "{} has {} bytes that are not those served", file.display(), found.len());
}

#[test]
fn curl_downloads_resumes_and_asks_for_ranges() {
    let Some(_) = tool("curl") else { return };
    let rig = Rig::new();
    let bytes = sample(SIZE, 1);
    rig.publish(NAME, &bytes);
    let (url, file) = (rig.url(&format!("/models/{NAME}")), rig.dir.path().join("file"));
    let curl = || {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail", "-H", &header(), "-o"]).arg(&file);
        curl
    };
    run(curl().arg(&url));
    holds(&file, &bytes);
    // Half of it is there already.
    std::fs::write(&file, &bytes[..SIZE / 2 + 3]).unwrap();
    run(curl().args(["-C", "-", &url]));
    holds(&file, &bytes);
    run(curl().args(["-r", "1000-1999", &url]));
    holds(&file, &bytes[1000..2000]);
    run(curl().args(["-r", "-5", &url]));
    holds(&file, &bytes[SIZE - 5..]);
    // Kept with its tag, it is not sent again.
    let tag = rig.dir.path().join("tag");
    run(curl().arg("--etag-save").arg(&tag).arg(&url));
    let again = run(curl().arg("--etag-compare").arg(&tag).args(["-w", "%{http_code} %{size_download}", &url]));
    assert_eq!(again.stdout, b"304 0");
    let head = run(Command::new("curl").args(["-sS", "-I", "-H", &header(), &url]));
    assert!(String::from_utf8(head.stdout).unwrap().to_lowercase().contains("content-length: 20000000"));
    let refused = Command::new("curl").args(["-sS", "--fail", "-o", "/dev/null", &url]).output().unwrap();
    assert!(!refused.status.success(), "without a token");
}

#[test]
fn curl_uploads_as_old_programs_do() {
    let Some(_) = tool("curl") else { return };
    let rig = Rig::new();
    let bytes = sample(SIZE, 2);
    let file = rig.dir.path().join(NAME);
    std::fs::write(&file, &bytes).unwrap();
    let url = rig.url("/models/upload");
    let part = format!("file=@{}", file.display());
    let output = run(Command::new("curl").args(["-sS", "--fail", "-H", &header(), "-F", &part, &url]));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["sha256"], Digest::of(&bytes).to_string());
    holds(&rig.models().join(NAME), &bytes);
    // Without the token curl is told before it has sent anything: it waits for `100 Continue`.
    let code = ["-sS", "-o", "/dev/null", "-w", "%{http_code} %{size_upload}"];
    let output = run(Command::new("curl").args(code).args(["-H", "Expect: 100-continue", "-F", &part, &url]));
    assert_eq!(output.stdout, b"401 0");
    // And without asking first it still hears the answer.
    let output =
        run(Command::new("curl").args(code).args(["-H", "Expect:", "-F", "file=@/dev/null;filename=x/y", &url]));
    assert!(output.stdout.starts_with(b"401 "));
}

#[test]
fn wget_downloads_and_continues() {
    let Some(_) = tool("wget") else { return };
    let rig = Rig::new();
    let bytes = sample(SIZE, 3);
    rig.publish(NAME, &bytes);
    let (url, file) = (rig.url(&format!("/models/{NAME}")), rig.dir.path().join(NAME));
    let wget = |extra: &[&str]| {
        run(Command::new("wget").current_dir(rig.dir.path()).args(["-q", "--header", &header()]).args(extra).arg(&url));
    };
    wget(&[]);
    holds(&file, &bytes);
    std::fs::write(&file, &bytes[..SIZE / 3]).unwrap();
    wget(&["-c"]);
    holds(&file, &bytes);
    // Complete already: 416 is an answer that it understands.
    wget(&["-c"]);
    holds(&file, &bytes);
    // Not newer than what is here.
    wget(&["-N"]);
    holds(&file, &bytes);
}

#[test]
fn aria2c_downloads_over_sixteen_connections_and_checks_the_digest() {
    let Some(_) = tool("aria2c") else { return };
    let rig = Rig::new();
    let bytes = sample(SIZE, 4);
    let sha256 = rig.publish(NAME, &bytes).sha256();
    let url = rig.url(&format!("/models/by-digest/{sha256}"));
    run(Command::new("aria2c")
        .current_dir(rig.dir.path())
        .args(["-x16", "-s16", "-k1M", "--no-conf", "--file-allocation=none", "--header", &header()])
        .args(["--checksum", &format!("sha-256={sha256}"), "-o", "file", &url]));
    holds(&rig.dir.path().join("file"), &bytes);
    assert!(!rig.dir.path().join("file.aria2").exists());
}

/// An nginx of the test's own.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn nginx_caches_slices_in_front_of_it() {
    let (Some(mut nginx), Some(_)) = (tool("nginx"), tool("curl")) else { return };
    let rig = Rig::new();
    let bytes = sample(SIZE, 5);
    let sha256 = rig.publish(NAME, &bytes).sha256();
    let (dir, port, upstream) = (rig.dir.path(), free_port(), rig.address);
    let folder = dir.display();
    let slice = if has_module("slice") { ("slice 1m;", "$slice_range") } else { ("", "$http_range") };
    let config = format!(
        "daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; events {{}}
        http {{
          access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
          uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
          proxy_cache_path {folder}/cache levels=1 keys_zone=models:1m;
          server {{
            listen 127.0.0.1:{port};
            location / {{
              {} proxy_cache models; proxy_cache_key $uri{1}; proxy_set_header Range {1};
              proxy_set_header Authorization \"Bearer {SECRET}\"; proxy_http_version 1.1;
              add_header X-Cache $upstream_cache_status; proxy_pass http://{upstream};
            }}
          }}
        }}",
        slice.0, slice.1
    );
    let file = dir.join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let child = nginx.arg("-c").arg(&file).arg("-p").arg(dir).stderr(Stdio::null()).spawn().unwrap();
    let _nginx = Nginx(child);
    eventually("nginx listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let fetch = |path: &str, extra: &[&str]| {
        let (out, head) = (dir.join("out"), dir.join("head"));
        let url = format!("http://127.0.0.1:{port}{path}");
        let mut curl = Command::new("curl");
        run(curl.args(["-sS", "--fail", "-o"]).arg(&out).arg("-D").arg(&head).args(extra).arg(url));
        let head = std::fs::read_to_string(head).unwrap();
        let cache = head.lines().find_map(|line| line.strip_prefix("X-Cache: ")).map(str::to_owned);
        (std::fs::read(out).unwrap(), cache.unwrap_or_default())
    };
    let by_digest = format!("/models/by-digest/{sha256}");
    let (first, cache) = fetch(&by_digest, &[]);
    assert!(first == bytes && cache == "MISS", "{cache}");
    let (second, cache) = fetch(&by_digest, &[]);
    assert!(second == bytes && cache == "HIT", "what never changes is kept: {cache}");
    let (middle, cache) = fetch(&by_digest, &["-r", "1500000-2500000"]);
    assert!(middle == bytes[1_500_000..=2_500_000] && cache == "HIT", "{cache}");
    // A name is asked for each time.
    let by_name = format!("/models/{NAME}");
    for _ in 0..2 {
        let (found, cache) = fetch(&by_name, &[]);
        assert!(found == bytes && cache == "MISS", "{cache}");
    }
    let newer = sample(SIZE / 2, 6);
    rig.publish(NAME, &newer);
    assert!(fetch(&by_name, &[]).0 == newer, "the new version shows at once");
    assert!(fetch(&by_digest, &[]).0 == bytes);
}

/// nginx is built with other modules on other systems; the cache is there in all of them.
fn has_module(name: &str) -> bool {
    let output =
        Command::new("nginx").arg("-V").output().or_else(|_| Command::new("/usr/sbin/nginx").arg("-V").output());
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stderr).contains(&format!("http_{name}_module")))
}
