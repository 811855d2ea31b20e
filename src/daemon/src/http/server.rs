//! Accepts HTTP/1.1 connections, from a socket or from a stream of a link, within fixed limits.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use ringrift_config::NodeId;
use ringrift_systemd::{Hang, Heartbeat};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{Notify, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;
use tracing::{debug, warn};

/// Where a request came from. Every request carries one as an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A client's socket: nothing is known of it but its address.
    Client(SocketAddr),
    /// A stream of a link: another node of this cluster, known by its certificate.
    Node(NodeId),
}

/// What one HTTP listener is willing to bear.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections served at once; a further one waits in the kernel's backlog.
    pub(crate) max_connections: usize,
    /// Time a client has to send its request head.
    pub(crate) header_timeout: Duration,
}

/// How often the loop that accepts goes round when nobody comes, so that the watchdog sees it.
const ROUND: Duration = Duration::from_secs(1);

/// How long a new connection's first request is waited for when the node stops: a round trip to the other side of the earth.
const FIRST_REQUEST: Duration = Duration::from_millis(500);

/// How the watchdog sees one listener, under which name.
pub(crate) struct Watched {
    pub(crate) name: &'static str,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) hang: Hang,
}

/// Serves `router` on `listener` until `shutdown`, then lets requests under way finish for at most two seconds.
pub(crate) async fn run(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    watched: Watched,
    shutdown: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let connections = TaskTracker::new();
    loop {
        watched.hang.point(watched.name).await;
        watched.heartbeat.beat();
        // The place first, then the connection: while all are taken, newcomers wait in the kernel's queue.
        let accepted = async {
            let permit = permits.clone().acquire_owned().await.ok();
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(ROUND) => continue,
            accepted = accepted => accepted,
        };
        let (socket, addr) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: accepting again at once would only spin.
                warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = socket.set_nodelay(true);
        let (router, shutdown) = (router.clone(), shutdown.clone());
        connections.spawn(async move {
            serve_connection(socket, router, Origin::Client(addr), limits.header_timeout, shutdown).await;
            drop(permit);
        });
    }
    connections.close();
    // An event follower never ends by itself: do not wait for it longer than an ordinary answer takes.
    let _ = tokio::time::timeout(Duration::from_secs(2), connections.wait()).await;
}

/// Serves the requests of one connection until it closes or `shutdown`.
pub(crate) async fn serve_connection<S>(
    io: S,
    router: Router,
    origin: Origin,
    header_timeout: Duration,
    shutdown: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let asked = Arc::new(Notify::new());
    let first = asked.clone();
    let service = TowerToHyperService::new(router.map_request(move |mut request: http::Request<_>| {
        asked.notify_one();
        request.extensions_mut().insert(origin.clone());
        request
    }));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(io), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = &mut connection => result,
        () = shutdown.cancelled() => {
            // A connection that was accepted a moment ago may have its request on the way: hyper would close it unanswered.
            tokio::select! {
                result = &mut connection => return log_end(result),
                () = first.notified() => {}
                () = tokio::time::sleep(FIRST_REQUEST) => {}
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    log_end(result);
}

fn log_end(result: hyper::Result<()>) {
    if let Err(error) = result {
        debug!(%error, "HTTP connection ended");
    }
}
