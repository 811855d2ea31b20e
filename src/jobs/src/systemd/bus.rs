use std::{
    io,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::StreamExt as _;
use ringrift_job::RunId;
use ringrift_systemd::{
    manager::{self, ManagerProxy},
    zbus::{self, Connection, MatchRule, MessageStream, message},
};
use tokio::{
    sync::{Mutex, Notify},
    task::AbortHandle,
};

/// Longer than a reload of systemd on a slow machine, during which it answers nobody.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// Every object of systemd's lies below; units of ours are told by what follows.
const ROOT: &str = "/org/freedesktop/systemd1";
const OUR_UNITS: &str = "/org/freedesktop/systemd1/unit/ringrift_2d";

/// The connection to systemd, made anew when it broke.
#[derive(Debug, Default)]
pub(super) struct Bus {
    session: Mutex<Option<Session>>,
    /// Rung when a unit of ours may have changed.
    pub(super) bell: Arc<Notify>,
}

/// One connection. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) manager: ManagerProxy<'static>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    is_broken: Arc<AtomicBool>,
    listener: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Bus {
    /// A connection that works as far as is known.
    pub(super) async fn session(&self) -> zbus::Result<Session> {
        let mut session = self.session.lock().await;
        match &*session {
            Some(session) if !session.shared.is_broken.load(Ordering::Relaxed) => Ok(session.clone()),
            Some(_) | None => {
                *session = None;
                let fresh = tokio::time::timeout(ANSWER_TIMEOUT, self.connect()).await.map_err(io::Error::from)??;
                Ok(session.insert(fresh).clone())
            }
        }
    }

    async fn connect(&self) -> zbus::Result<Session> {
        let connection = zbus::connection::Builder::system().method_timeout(ANSWER_TIMEOUT).build().await?;
        let manager = manager::manager(&connection).await?;
        let signals = MatchRule::builder().msg_type(message::Type::Signal).path_namespace(ROOT).build()?;
        let stream = MessageStream::for_match_rule(signals, &connection, NonZeroUsize::new(256)).await?;
        manager.subscribe().await?;
        let is_broken = Arc::new(AtomicBool::new(false));
        let listener = tokio::spawn(listen(stream, self.bell.clone(), is_broken.clone())).abort_handle();
        Ok(Session { connection, manager, shared: Arc::new(Shared { is_broken, listener }) })
    }
}

impl Session {
    /// Looks at an error: after some of them nothing more comes over this connection.
    pub(super) fn note(&self, error: &zbus::Error) {
        if matches!(error, zbus::Error::InputOutput(_)) {
            self.shared.is_broken.store(true, Ordering::Relaxed);
        }
    }
}

async fn listen(mut stream: MessageStream, bell: Arc<Notify>, is_broken: Arc<AtomicBool>) {
    while let Some(Ok(message)) = stream.next().await {
        if is_about_us(&message) {
            bell.notify_one();
        }
    }
    is_broken.store(true, Ordering::Relaxed);
    bell.notify_one();
}

fn is_about_us(message: &zbus::Message) -> bool {
    // PropertiesChanged of a unit.
    if message.header().path().is_some_and(|path| path.as_str().starts_with(OUR_UNITS)) {
        return true;
    }
    let is_ours = |unit: &str| RunId::of_unit(unit).is_some();
    if let Some(signal) = manager::JobRemoved::from_message(message.clone()) {
        return signal.args().is_ok_and(|told| is_ours(told.unit()));
    }
    manager::UnitRemoved::from_message(message.clone()).is_some_and(|signal| {
        let told = signal.args();
        told.is_ok_and(|told| is_ours(told.unit()))
    })
}
