//! The model server alone, without a token, for measurements: `serve FOLDER THREADS FILE…` stores the files in the folder, publishes
//! each under its own name, prints the address, and serves until standard input ends.

use std::{
    error::Error,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::PathBuf,
    sync::Arc,
};

use ringrift_blob::{Digest, ModelName};
use ringrift_config::NodeId;
use ringrift_models::{Access, Callbacks, Caller, Limits, Server, ServerConfig, Swarm, SwarmStream, Uploads, Verifier};
use ringrift_store::{Store, StoreConfig};

struct Nobody;

impl Uploads for Nobody {
    fn stored(&self, _: &ModelName, _: Digest, _: &Caller) {}
}

impl Swarm for Nobody {
    fn joined(&self, _: NodeId, _: SwarmStream) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("which folder?")?);
    let threads = arguments.next().and_then(|text| text.to_str()?.parse().ok()).ok_or("how many threads?")?;
    let store = Store::open(StoreConfig::new(folder.join("store"), folder.join("models")))?;
    for file in arguments.map(PathBuf::from) {
        let name = file.file_name().and_then(|name| name.to_str()).ok_or("a file has no name")?;
        let object = store.ingest(&file, None)?;
        store.publish(&name.parse()?, &object.sha256())?;
        println!("{name} {}", object.sha256());
    }
    let access = Access {
        tokens: None,
        verifier: Verifier::new("bench".parse()?, Vec::new()),
        open_reads: false,
        open_uploads: false,
        own_address: Arc::new(|_| false),
    };
    let limits = Limits { connections_per_address: 1024, ..Limits::default() };
    let callbacks = Callbacks { uploads: Arc::new(Nobody), swarm: Arc::new(Nobody) };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let handle = Server::start(vec![listener], store, ServerConfig { threads, limits, access }, callbacks)?;
    println!("listening {}", handle.addresses()[0]);
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
