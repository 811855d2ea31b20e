//! Accepts HTTP/1.1 connections, from a socket or from a stream of a link, within fixed limits.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use ringrift_config::NodeId;
use ringrift_systemd::{Hang, Heartbeat};
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;
use tracing::{debug, warn};

use super::{
    paced::Paced,
    unasked::{Seat, Unasked},
};

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
    /// Time a client has to send its request head, and then to begin with the body.
    pub(crate) header_timeout: Duration,
}

/// A client that has not taken more of an answer for so many times the time that it had to ask loses its connection.
const UNREAD: u32 = 6;

/// How often the loop that accepts goes round when nobody comes, so that the watchdog sees it.
const ROUND: Duration = Duration::from_secs(1);

/// How long a new connection's first request is waited for when the node stops, or when others wait for its place: a round trip to
/// the other side of the earth.
const FIRST_REQUEST: Duration = Duration::from_millis(500);

/// How often a newcomer without a place looks for connections that have asked nothing.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

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
    let unasked = Arc::new(Unasked::default());
    let connections = TaskTracker::new();
    // A newcomer for whom there is no place yet. Those behind it wait in the kernel's queue.
    let mut next: Option<(TcpStream, SocketAddr)> = None;
    loop {
        watched.hang.point(watched.name).await;
        watched.heartbeat.beat();
        let accepted = async {
            if next.is_none() {
                next = Some(listener.accept().await?);
            }
            Ok(place(&permits, &unasked).await)
        };
        let accepted = tokio::select! {
            () = shutdown.cancelled() => Ok(None),
            () = tokio::time::sleep_until(ringrift_tick::next(ROUND)) => continue,
            accepted = accepted => accepted,
        };
        let permit = match accepted {
            Ok(permit) => permit,
            Err(error) => {
                let error: io::Error = error;
                // Out of file descriptors, most likely: accepting again at once would only spin.
                warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // When the node stops, one that was taken from the queue is served: the queue goes on to the next daemon, it does not.
        let stops = permit.is_none();
        if let Some((socket, addr)) = next.take() {
            let _ = socket.set_nodelay(true);
            let unread = u32::try_from((limits.header_timeout * UNREAD).as_millis()).unwrap_or(u32::MAX);
            if let Err(error) = set_tcp_user_timeout(&socket, unread) {
                debug!(%error, "a client that reads nothing keeps its connection");
            }
            let (router, shutdown) = (router.clone(), shutdown.clone());
            let seat = Arc::new(unasked.enter());
            connections.spawn(async move {
                let given_up = seat.given_up.clone();
                let served =
                    serve_connection(socket, router, Origin::Client(addr), Some(seat), limits.header_timeout, shutdown);
                tokio::select! {
                    () = served => {}
                    () = given_up.cancelled() => debug!(peer = %addr, "closed a connection that had asked nothing"),
                }
                drop(permit);
            });
        }
        if stops {
            break;
        }
    }
    connections.close();
    // An event follower never ends by itself: do not wait for it longer than an ordinary answer takes.
    let _ = tokio::time::timeout(Duration::from_secs(2), connections.wait()).await;
}

/// Waits for a place. While there is none, connections that have asked nothing in time lose theirs.
async fn place(permits: &Arc<Semaphore>, unasked: &Unasked) -> Option<OwnedSemaphorePermit> {
    loop {
        if let Ok(permit) = tokio::time::timeout(LOOK_AGAIN, permits.clone().acquire_owned()).await {
            return permit.ok();
        }
        unasked.give_up_after(FIRST_REQUEST);
    }
}

/// Serves the requests of one connection until it closes or `shutdown`. With its first request it gives back its `seat` among
/// those that have asked nothing.
pub(crate) async fn serve_connection<S>(
    io: S,
    router: Router,
    origin: Origin,
    seat: Option<Arc<Seat>>,
    header_timeout: Duration,
    shutdown: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let asked = Arc::new(Notify::new());
    let first = asked.clone();
    let service = TowerToHyperService::new(router.map_request(move |mut request: http::Request<Incoming>| {
        asked.notify_one();
        if let Some(seat) = &seat {
            seat.asked();
        }
        request.extensions_mut().insert(origin.clone());
        // Other nodes come over links, which look after themselves.
        let patience = matches!(origin, Origin::Client(_)).then_some(header_timeout);
        request.map(|body| Paced::new(body, patience))
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
