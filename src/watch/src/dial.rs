use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ringrift_config::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, LengthDelimitedCodec};

use crate::BoxedStream;
use crate::wire::{Hello, MAX_FRAME, VERSION, codec, greeting};

/// Opens streams to voters.
#[async_trait]
pub trait Dialer: Send + Sync + 'static {
    /// Returns once there is a reason to follow somebody: a node that votes reads its own log. At once unless overridden.
    async fn wanted(&self) {}

    /// Whether there still is a reason to; asked at least once a second while a stream is up.
    fn still_wanted(&self) -> bool {
        true
    }

    /// A stream to some voter, and which voter it is. Those in `avoid` gave no good answer lately: others come first.
    async fn open(&self, avoid: &BTreeSet<NodeId>) -> Result<(NodeId, BoxedStream), String>;
}

/// What a voter sends, cut into frames.
pub(crate) type Frames = FramedRead<BoxedStream, LengthDelimitedCodec>;

/// A dial that came to nothing: because of whom, if anybody, and why.
pub(crate) type NotOpened = (Option<NodeId>, String);

/// How long a voter may take to be reached, and then to greet.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens a stream and exchanges greetings.
pub(crate) async fn dial(
    dialer: Arc<dyn Dialer>,
    hello: Hello,
    avoid: BTreeSet<NodeId>,
) -> Result<(NodeId, Frames), NotOpened> {
    dialer.wanted().await;
    let opened = timeout(PATIENCE, dialer.open(&avoid)).await;
    let (voter, mut stream) = opened
        .unwrap_or_else(|_| Err(format!("no voter was reached in {PATIENCE:?}")))
        .map_err(|reason| (None, reason))?;
    match timeout(PATIENCE, greet(&mut stream, &hello)).await {
        Ok(Ok(VERSION)) => Ok((voter, FramedRead::new(stream, codec(MAX_FRAME)))),
        Ok(Ok(found)) => {
            let reason = format!(
                "{voter} speaks version {found} of the watch protocol, and this node version {VERSION}: upgrade the older one"
            );
            Err((Some(voter), reason))
        }
        Ok(Err(error)) => {
            let reason = format!("{voter} did not greet: {error}");
            Err((Some(voter), reason))
        }
        Err(_) => {
            let reason = format!("{voter} did not greet in {PATIENCE:?}");
            Err((Some(voter), reason))
        }
    }
}

async fn greet(stream: &mut BoxedStream, hello: &Hello) -> std::io::Result<u8> {
    let greeting = greeting(hello).map_err(std::io::Error::other)?;
    stream.write_all(&greeting).await?;
    stream.flush().await?;
    stream.read_u8().await
}
