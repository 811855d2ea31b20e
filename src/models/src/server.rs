//! The server itself: sockets, threads, beginning and end.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use axum::Router;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use ringrift_blob::{Digest, ModelName};
use ringrift_config::NodeId;
use ringrift_store::Store;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, oneshot},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

use crate::{
    access::{Access, Caller},
    admission::Admission,
    limits::Limits,
    objects::Objects,
    pace::Pace,
    refusal::Refusals,
    routes::{self, Peer, Server as Shared},
    swarm::SwarmStream,
    wire::Wire,
};

/// Hears of uploads.
pub trait Uploads: Send + Sync {
    /// A model was stored and published. Called on the server's threads: it must not block.
    fn stored(&self, name: &ModelName, sha256: Digest, by: &Caller);
}

/// Takes connections of other nodes.
pub trait Swarm: Send + Sync {
    /// A node of the cluster joined; the connection is counted and open until the stream is dropped. Called on the server's threads: it must
    /// not block. The stream may be used from any runtime.
    fn joined(&self, node: NodeId, stream: SwarmStream);
}

/// Whom the server tells.
#[derive(Clone)]
pub struct Callbacks {
    /// Of uploads.
    pub uploads: Arc<dyn Uploads>,
    /// Of nodes that join.
    pub swarm: Arc<dyn Swarm>,
}

/// How the server runs.
#[derive(Debug)]
pub struct ServerConfig {
    /// Threads that answer; the disk has others. One serves some 3 GB/s.
    pub threads: usize,
    /// What it bears.
    pub limits: Limits,
    /// Who may do what.
    pub access: Access,
}

/// The server for models.
#[derive(Debug)]
pub struct Server;

/// A server that runs. Dropped it ends at once.
#[derive(Debug)]
pub struct Handle {
    shutdown: CancellationToken,
    ended: Option<oneshot::Receiver<()>>,
    thread: Option<JoinHandle<()>>,
    admission: Arc<Admission>,
    addresses: Vec<SocketAddr>,
}

/// Threads that wait for the disk: uploads, and pages that are not in memory.
const BLOCKING_THREADS: usize = 32;

impl Server {
    /// Serves the store on these sockets, on threads of its own.
    ///
    /// # Errors
    ///
    /// If a socket cannot be used, or the system gives no thread.
    pub fn start(
        listeners: Vec<StdListener>,
        store: Store,
        config: ServerConfig,
        callbacks: Callbacks,
    ) -> io::Result<Handle> {
        let ServerConfig { threads, limits, access } = config;
        let addresses = listeners.iter().map(StdListener::local_addr).collect::<io::Result<Vec<_>>>()?;
        for listener in &listeners {
            listener.set_nonblocking(true)?;
        }
        let runtime = if threads > 1 {
            tokio::runtime::Builder::new_multi_thread().worker_threads(threads).thread_name("models").build_with()
        } else {
            tokio::runtime::Builder::new_current_thread().thread_name("models-disk").build_with()
        }?;
        if access.tokens.is_some() && (access.open_reads || access.open_uploads) {
            tracing::warn!(
                open_reads = access.open_reads,
                open_uploads = access.open_uploads,
                "the cluster's own addresses need no token on the model server"
            );
        }
        let admission = Admission::new(limits.connections, limits.connections_per_address);
        let shutdown = CancellationToken::new();
        let (ending, ended) = oneshot::channel();
        let shared = Arc::new(Shared {
            objects: Objects::new(store.clone()),
            store,
            access,
            uploads: Arc::new(Semaphore::new(limits.uploads)),
            limits,
            callbacks,
        });
        let acceptor = Acceptor { shared, admission: Arc::clone(&admission), shutdown: shutdown.clone() };
        let thread = std::thread::Builder::new().name("models".into()).spawn(move || {
            runtime.block_on(acceptor.run(listeners));
            // Who still waits for a disk is not waited for.
            runtime.shutdown_timeout(Duration::from_secs(1));
            let _ = ending.send(());
        })?;
        Ok(Handle { shutdown, ended: Some(ended), thread: Some(thread), admission, addresses })
    }
}

impl Handle {
    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Connections that are open, those of the swarm among them.
    pub fn connections(&self) -> usize {
        self.admission.open()
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Accepts nothing more, lets requests under way end within the limit's grace, and waits for that.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(ended) = self.ended.take() {
            // An error means that its thread is gone already.
            let _ = ended.await;
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

trait BuildWith {
    fn build_with(&mut self) -> io::Result<tokio::runtime::Runtime>;
}

impl BuildWith for tokio::runtime::Builder {
    fn build_with(&mut self) -> io::Result<tokio::runtime::Runtime> {
        self.enable_io().enable_time().max_blocking_threads(BLOCKING_THREADS).build()
    }
}

#[derive(Clone)]
struct Acceptor {
    shared: Arc<Shared>,
    admission: Arc<Admission>,
    shutdown: CancellationToken,
}

impl Acceptor {
    async fn run(self, listeners: Vec<StdListener>) {
        let router = routes::router(Arc::clone(&self.shared));
        let connections = TaskTracker::new();
        let accepting = TaskTracker::new();
        for listener in listeners {
            match TcpListener::from_std(listener) {
                Ok(listener) => {
                    accepting.spawn(self.clone().accept(listener, router.clone(), connections.clone()));
                }
                Err(error) => tracing::error!(%error, "cannot listen for models"),
            }
        }
        self.shutdown.cancelled().await;
        accepting.close();
        accepting.wait().await;
        connections.close();
        let _ = tokio::time::timeout(self.shared.limits.grace, connections.wait()).await;
    }

    async fn accept(self, listener: TcpListener, router: Router, connections: TaskTracker) {
        let refusals = Refusals::default();
        loop {
            let accepted = tokio::select! {
                () = self.shutdown.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let (socket, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: accepting again at once would only spin.
                    tracing::warn!(%error, "cannot accept a connection for models");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            match self.admission.admit(from.ip()) {
                Ok(admitted) => {
                    let _ = socket.set_nodelay(true);
                    let wire = Wire::accepted(socket, Pace::new(self.shared.limits.slowest), admitted);
                    connections.spawn(self.clone().serve(wire, router.clone(), Peer(from.ip())));
                }
                Err(why) => {
                    tracing::debug!(%from, %why, "connection refused");
                    refusals.answer(socket, &why.to_string());
                }
            }
        }
    }

    async fn serve(self, wire: Wire, router: Router, peer: Peer) {
        let service = TowerToHyperService::new(router.map_request(move |mut request: http::Request<_>| {
            request.extensions_mut().insert(peer);
            request
        }));
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.shared.limits.head)
            .max_buf_size(64 << 10)
            .writev(true)
            .serve_connection(TokioIo::new(wire), service)
            .with_upgrades();
        tokio::pin!(connection);
        let result = tokio::select! {
            result = &mut connection => result,
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::debug!(peer = %peer.0, %error, cause, "connection ended");
        }
    }
}
