//! The model server of this node: who may use it, and whom it tells.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use ringrift_blob::{Digest, ModelName};
use ringrift_config::{NodeId, Settings};
use ringrift_models::{
    Access, Callbacks, Caller, Handle, Limits, Server, ServerConfig, Signer, SigningKey, Swarm, SwarmStream, Uploads,
    Verifier,
};
use tracing::info;

use super::Models;
use crate::node::Shared;

/// What this node signs with, and by which keys it judges what others signed: the token's, and that of the one before.
pub(crate) fn signing(settings: &Settings) -> (Signer, Verifier) {
    let node = settings.node_id.value.clone();
    let keys: Vec<SigningKey> = match &settings.tokens.value {
        Some(tokens) => {
            let old = tokens.old.as_ref().map(|old| SigningKey::derive(old.as_bytes()));
            std::iter::once(SigningKey::derive(tokens.primary.as_bytes())).chain(old).collect()
        }
        // Without a token everybody is trusted, and says honestly who it is.
        None => vec![SigningKey::derive(b"")],
    };
    (Signer::new(node.clone(), keys[0].clone()), Verifier::new(node, keys))
}

/// Serves this node's models.
pub(crate) fn start(
    listeners: Vec<tokio::net::TcpListener>,
    shared: &Shared,
    models: &Models,
    verifier: Verifier,
) -> Result<Handle> {
    let listeners = listeners.into_iter().map(|listener| listener.into_std().context("the models socket"));
    let listeners = listeners.collect::<Result<Vec<_>>>()?;
    let settings = shared.settings();
    let access = Access {
        tokens: settings.tokens.value.clone(),
        verifier,
        open_reads: *settings.open_reads,
        open_uploads: *settings.open_uploads,
        own_address: {
            let shared = shared.clone();
            Arc::new(move |address| shared.is_own_address(address))
        },
    };
    let told = Arc::new(Told(models.clone()));
    let callbacks = Callbacks { uploads: told.clone(), swarm: told };
    let config = ServerConfig { threads: 1, limits: Limits::default(), access };
    Server::start(listeners, models.store.clone(), config, callbacks).context("cannot serve models")
}

struct Told(Models);

impl Uploads for Told {
    fn stored(&self, name: &ModelName, sha256: Digest, by: &Caller) {
        info!(%sha256, by = ?by, "{name} was uploaded: {sha256}");
        self.0.look_now();
    }
}

impl Swarm for Told {
    fn joined(&self, node: NodeId, stream: SwarmStream) {
        self.0.engine.accept(node, stream);
    }
}
