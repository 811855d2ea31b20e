use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ringrift_config::NodeId;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

use crate::{
    Stream,
    establish::place,
    frame::{self, Answer, FrameError, Opening},
    handshake::Ends,
    link::Link,
    links::Inner,
    serve::{NOTHING, request, respond},
    wire::Wire,
};

/// What a relay holds of a pair's bytes in each direction.
const BUFFER: usize = 16 << 10;
/// A node id and its length.
const NAME_LIMIT: usize = NodeId::MAX_LEN;

impl Inner {
    /// Passes bytes between a peer and another node that is linked with this one.
    pub(crate) async fn relay_to(self: &Arc<Self>, from: &Arc<Link>, mut stream: Stream) -> Result<(), FrameError> {
        let to = read_name(&mut stream).await?;
        let within = self.limits.handshake_timeout;
        let refusal = match timeout(within, self.reach(&from.peer.node, &to)).await {
            Ok(Ok((_place, mut onward))) => {
                stream.write_all(&NOTHING.encode()).await?;
                tracing::debug!(peer = %from.peer.node, %to, "passing bytes on");
                splice(&mut stream, &mut onward, self.limits.relay_idle).await;
                return Ok(());
            }
            Ok(Err(reason)) => reason,
            Err(_) => format!("{to} did not answer within {within:?}"),
        };
        tracing::debug!(peer = %from.peer.node, %to, reason = %refusal, "not passing bytes on");
        respond(&mut stream, &Answer::Failed(refusal)).await
    }

    /// A stream to `to`, which was told that `from` comes through it.
    async fn reach(&self, from: &NodeId, to: &NodeId) -> Result<(tokio::sync::OwnedSemaphorePermit, Stream), String> {
        let place = Arc::clone(&self.relayed).try_acquire_owned();
        let place = place.map_err(|_| format!("{} relays for as many pairs as it may", self.node))?;
        // Only over its own connections: a chain of relays could become a circle.
        let link = self.table().best_direct(to).ok_or_else(|| format!("{} has no link to {to}", self.node))?;
        let lost = |reason: String| format!("the link of {} to {to} failed: {reason}", self.node);
        let mut onward = link.open_relay().await.map_err(|_| lost("it closed".to_owned()))?;
        let told = request(&mut onward, Opening::RelayFrom, from.as_str().as_bytes()).await;
        told.map_err(|error| lost(error.to_string()))?;
        match Answer::read(&mut onward, link.max_frame).await {
            Ok(Answer::Done(_)) => Ok((place, onward)),
            Ok(Answer::Failed(reason)) => Err(format!("{to} refused: {reason}")),
            Ok(_) => Err(format!("{to} gave an unexpected answer")),
            Err(error) => Err(lost(error.to_string())),
        }
    }

    /// Answers a node that comes through a relay. Who it is counts only once its certificate is verified; what the
    /// relay says is for messages.
    pub(crate) async fn relay_from(self: &Arc<Self>, relay: &Arc<Link>, mut stream: Stream) -> Result<(), FrameError> {
        let claimed = read_name(&mut stream).await?;
        let Ok(place_taken) = Arc::clone(&self.handshakes).try_acquire_owned() else {
            return respond(&mut stream, &Answer::Failed("too many handshakes are under way".to_owned())).await;
        };
        stream.write_all(&NOTHING.encode()).await?;
        let via = Some(relay.peer.node.clone());
        let ends = Ends {
            label: claimed.to_string(),
            addr: relay.peer.addr,
            place: place(&crate::Peer { node: claimed, addr: relay.peer.addr, via: via.clone() }),
            here: format!("a relay, {}", relay.peer.node),
            via,
        };
        self.welcome(Wire::relayed(stream), &ends).await;
        drop(place_taken);
        Ok(())
    }

    /// A connection to `to` that `relay` passes on.
    pub(crate) async fn through(&self, relay: &Arc<Link>, to: &NodeId) -> Result<Wire, String> {
        let lost = |reason: String| format!("the link to relay {} failed: {reason}", relay.peer.node);
        let mut stream = relay.open_relay().await.map_err(|_| lost("it closed".to_owned()))?;
        let asked = request(&mut stream, Opening::RelayTo, to.as_str().as_bytes()).await;
        asked.map_err(|error| lost(error.to_string()))?;
        match Answer::read(&mut stream, relay.max_frame).await {
            Ok(Answer::Done(_)) => Ok(Wire::relayed(stream)),
            Ok(Answer::Failed(reason)) => Err(reason),
            Ok(_) => Err(format!("relay {} gave an unexpected answer", relay.peer.node)),
            Err(error) => Err(lost(error.to_string())),
        }
    }
}

pub(crate) async fn read_name(stream: &mut (impl AsyncRead + Unpin)) -> Result<NodeId, FrameError> {
    let bytes = frame::read(stream, NAME_LIMIT).await?;
    let text = std::str::from_utf8(&bytes).map_err(|error| FrameError::Malformed(error.to_string()))?;
    text.parse().map_err(|error: ringrift_config::InvalidNodeId| FrameError::Malformed(error.to_string()))
}

/// Copies both ways until both have ended, one has failed, or nothing was passed for `idle`.
async fn splice(one: &mut Stream, two: &mut Stream, idle: Duration) {
    let passed = AtomicU64::new(0);
    let (mut one_out, mut one_in) = tokio::io::split(one);
    let (mut two_out, mut two_in) = tokio::io::split(two);
    let both =
        async { tokio::try_join!(copy(&mut one_out, &mut two_in, &passed), copy(&mut two_out, &mut one_in, &passed)) };
    let disused = async {
        let mut seen = u64::MAX;
        while seen != passed.load(Ordering::Relaxed) {
            seen = passed.load(Ordering::Relaxed);
            tokio::time::sleep(idle).await;
        }
    };
    tokio::select! {
        _ = both => {}
        () = disused => {}
    }
}

async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    passed: &AtomicU64,
) -> std::io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
        to.flush().await?;
        passed.fetch_add(1, Ordering::Relaxed);
    }
}
