//! How fast does this machine read and hash? `cargo run --release -p ringrift-store --example hash_rate [FILE]`

use std::{
    error::Error,
    io::Write,
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use ringrift_store::{Seams, Stop, Store, StoreConfig};

/// Bytes of the largest model.
const SIZE: usize = 174_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::temp_dir().join(format!("ringrift-hash-rate-{}", std::process::id()));
    std::fs::create_dir(&dir)?;
    let measured = measure(&dir, std::env::args_os().nth(1).map(PathBuf::from));
    std::fs::remove_dir_all(&dir)?;
    measured
}

fn measure(dir: &std::path::Path, file: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    let file = if let Some(file) = file {
        file
    } else {
        let path = dir.join("model");
        let words = (0..SIZE as u64 / 8).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        std::fs::File::create(&path)?.write_all(&bytes)?;
        path
    };
    let config = StoreConfig {
        min_free: 0,
        scrub_bytes_per_second: 1 << 60,
        ..StoreConfig::new(dir.join("store"), dir.join("models"))
    };
    let store = Store::open(config.clone())?;
    let rate = |what: &str, size: u64, began: Instant| {
        let took = began.elapsed();
        println!("{what:<42} {:>6.0} MB/s {took:>10.1?}", size as f64 / took.as_secs_f64() / 1e6);
    };
    let began = Instant::now();
    let object = store.ingest(&file, None)?;
    let (sha256, size) = (object.sha256(), object.size());
    rate("ingest: copy, digests of whole and chunks", size, began);
    let began = Instant::now();
    store.publish(&"canonical_hex8_2p.pth".parse()?, &sha256)?;
    rate("publish: copy, sync, digest", size, began);
    let began = Instant::now();
    store.verify(&sha256)?;
    rate("verify: object with chunks, published file", 2 * size, began);
    let began = Instant::now();
    let scrubbed = store.scrub(&Stop::new())?;
    rate("scrub: from the disk", scrubbed.bytes, began);
    let blob = store.blob(&sha256).ok_or("not here")?;
    let bytes = std::fs::read(&file)?;
    drop((object, store));
    std::fs::remove_dir_all(dir.join("store"))?;
    let store = Store::open(config)?;
    let began = Instant::now();
    let partial = store.partial(&blob)?;
    for chunk in 0..blob.count() {
        let range = blob.range(chunk);
        partial.write(chunk, &bytes[range.start as usize..range.end as usize])?;
    }
    partial.finish()?;
    rate("fetch: verify, write, sync each chunk", size, began);
    restart(&dir.join("twelve"))
}

/// How long does a start take that finds twelve models as they were left?
fn restart(dir: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let config = StoreConfig { min_free: 0, ..StoreConfig::new(dir.join("store"), dir.join("models")) };
    let settled = Seams { now: || SystemTime::now() + Duration::from_mins(1), ..Seams::default() };
    let store = Store::open_with(config.clone(), settled)?;
    for n in 0..12_u8 {
        let mut upload = store.upload("model");
        upload.write_all(&vec![n; 4_000_000])?;
        let sha256 = upload.finish(None)?.sha256();
        store.publish(&format!("canonical_hex8_{n}p.pth").parse()?, &sha256)?;
    }
    for _ in 0..13 {
        store.tend(Instant::now())?;
    }
    drop(store);
    let began = Instant::now();
    let store = Store::open(config)?;
    let opened = began.elapsed();
    let began = Instant::now();
    store.tend(Instant::now())?;
    println!("start with {} models: {opened:.1?}; nothing to do: {:.1?}", store.holdings().len(), began.elapsed());
    Ok(())
}
