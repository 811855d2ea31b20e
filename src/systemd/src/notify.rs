//! What the daemon tells systemd about itself (`sd_notify(3)`).
//!
//! Without `$NOTIFY_SOCKET` every call does nothing. A notification that cannot be sent is logged, never fatal: the
//! daemon serves its cluster with or without an audience.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::time::Instant;
use tracing::warn;

/// Two STATUS texts are at least this far apart: every one wakes systemd and D-Bus's listeners.
const STATUS_INTERVAL: Duration = Duration::from_millis(500);

/// `systemctl status` cuts longer lines on common terminals anyway.
const STATUS_MAX_CHARS: usize = 300;

type Send = dyn Fn(&[NotifyState<'_>]) -> io::Result<()> + std::marker::Send + Sync;

/// A handle to systemd's notification socket; clones share the state of the STATUS line.
#[derive(Clone)]
pub struct Notifier {
    shared: Arc<Shared>,
}

struct Shared {
    send: Box<Send>,
    status: Mutex<Status>,
}

#[derive(Default)]
struct Status {
    /// What the daemon says of itself.
    usual: String,
    /// What the supervisor says over it while a subsystem is stuck.
    alarm: Option<String>,
    sent: Option<(String, Instant)>,
}

impl Status {
    fn wanted(&self) -> &str {
        self.alarm.as_deref().unwrap_or(&self.usual)
    }

    /// The text to send now, if it is new and the last one is old enough.
    fn due(&mut self, now: Instant) -> Option<String> {
        let wanted = self.wanted();
        let due = match &self.sent {
            None => !wanted.is_empty(),
            Some((text, at)) => text != wanted && now.duration_since(*at) >= STATUS_INTERVAL,
        };
        due.then(|| self.force(now)).flatten()
    }

    /// The text to send with a message that goes out anyway, if it is new.
    fn force(&mut self, now: Instant) -> Option<String> {
        let wanted = self.wanted().to_owned();
        let new = match &self.sent {
            None => !wanted.is_empty(),
            Some((text, _)) => *text != wanted,
        };
        new.then(|| {
            self.sent = Some((wanted.clone(), now));
            wanted
        })
    }
}

impl Notifier {
    /// Speaks to the socket in `$NOTIFY_SOCKET`, or to nobody when it is unset.
    pub fn from_environment() -> Self {
        Self::new(sd_notify::notify)
    }

    /// Speaks through `send`, which gets each message as a whole.
    pub fn new(send: impl Fn(&[NotifyState<'_>]) -> io::Result<()> + std::marker::Send + Sync + 'static) -> Self {
        Self { shared: Arc::new(Shared { send: Box::new(send), status: Mutex::default() }) }
    }

    /// The start is complete: the listeners are adopted, the configuration is valid, the state is loaded.
    pub fn ready(&self) {
        self.send([NotifyState::Ready]);
    }

    /// Sets the line that `systemctl status` shows.
    ///
    /// It is sent when it differs from the last one; texts that follow each other within half a second are held back and
    /// the newest goes out with the next message or [`Notifier::flush`]. Line breaks become spaces: systemd would read
    /// the rest as another assignment.
    pub fn status(&self, text: impl Into<String>) {
        self.with_status(|status| status.usual = one_line(&text.into()));
    }

    /// Puts a text over the usual status line, or takes it away again.
    pub(crate) fn alarm(&self, text: Option<String>) {
        self.with_status(|status| status.alarm = text.map(|text| one_line(&text)));
    }

    /// Sends a status text that was held back, once it may go.
    pub fn flush(&self) {
        self.with_status(|_| {});
    }

    /// Says that the configuration is being read again. systemd waits until the returned value is dropped.
    #[must_use = "systemd holds the reload open until this is dropped"]
    pub fn reloading(&self) -> Reload {
        // Type=notify-reload takes a reload for finished only by a READY=1 that is newer than this time stamp.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send([NotifyState::Reloading, now]),
            Err(error) => {
                warn!(%error, "cannot read the monotonic clock; systemd will not see this reload");
            }
        }
        Reload { notifier: self.clone() }
    }

    /// The daemon has begun to stop.
    pub fn stopping(&self) {
        self.send([NotifyState::Stopping]);
    }

    /// Asks for at least this much more time to start, reload or stop, counted from now.
    pub fn extend_timeout(&self, more: Duration) {
        let micros = u32::try_from(more.as_micros()).unwrap_or(u32::MAX);
        self.send([NotifyState::ExtendTimeoutUsec(micros)]);
    }

    /// The sign of life that `WatchdogSec=` demands. The supervisor sends it; nobody else should.
    pub(crate) fn watchdog(&self) {
        self.send([NotifyState::Watchdog]);
    }

    fn with_status(&self, change: impl FnOnce(&mut Status)) {
        let due = {
            let mut status = self.shared.status.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut status);
            status.due(Instant::now())
        };
        if let Some(text) = due {
            self.transmit(&[NotifyState::Status(&text)]);
        }
    }

    /// Sends `message`, and with it a status text that was held back.
    fn send<const N: usize>(&self, message: [NotifyState<'static>; N]) {
        let text = self.shared.status.lock().unwrap_or_else(PoisonError::into_inner).force(Instant::now());
        let mut whole: Vec<NotifyState<'_>> = message.into_iter().collect();
        whole.extend(text.as_deref().map(NotifyState::Status));
        self.transmit(&whole);
    }

    fn transmit(&self, message: &[NotifyState<'_>]) {
        if let Err(error) = (self.shared.send)(message) {
            warn!(%error, ?message, "cannot notify systemd");
        }
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}

/// A reload in progress. Dropping it tells systemd that the daemon is ready again, whether the new configuration was taken
/// or refused: a refused one leaves the old in force, and only the status line and the log tell the difference.
#[derive(Debug)]
pub struct Reload {
    notifier: Notifier,
}

impl Drop for Reload {
    fn drop(&mut self) {
        self.notifier.ready();
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(STATUS_MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A notifier whose messages are collected, each as the text that systemd would get.
    fn recorded() -> (Notifier, Arc<Mutex<Vec<String>>>) {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let record = sent.clone();
        let notifier = Notifier::new(move |message| {
            record.lock().unwrap().push(message.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
            Ok(())
        });
        (notifier, sent)
    }

    fn taken(sent: &Mutex<Vec<String>>) -> Vec<String> {
        std::mem::take(&mut sent.lock().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_status_is_sent_when_it_changes_and_not_in_bursts() {
        let (notifier, sent) = recorded();
        for text in ["one", "one", "two", "three"] {
            notifier.status(text);
        }
        assert_eq!(taken(&sent), ["STATUS=one"]);
        notifier.flush();
        assert_eq!(taken(&sent), Vec::<String>::new());
        tokio::time::advance(STATUS_INTERVAL).await;
        notifier.flush();
        notifier.flush();
        assert_eq!(taken(&sent), ["STATUS=three"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_status_that_was_held_back_goes_with_the_next_message() {
        let (notifier, sent) = recorded();
        notifier.status("starting");
        notifier.status("follows alpha");
        notifier.ready();
        notifier.stopping();
        assert_eq!(taken(&sent), ["STATUS=starting", "READY=1 STATUS=follows alpha", "STOPPING=1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_covers_the_usual_status_until_it_is_over() {
        let (notifier, sent) = recorded();
        let later = || tokio::time::advance(STATUS_INTERVAL);
        notifier.status("leading");
        later().await;
        notifier.alarm(Some("stuck: gossip for 12 s".to_owned()));
        later().await;
        notifier.status("leading, 5 peers");
        assert_eq!(taken(&sent), ["STATUS=leading", "STATUS=stuck: gossip for 12 s"]);
        notifier.alarm(None);
        assert_eq!(taken(&sent), ["STATUS=leading, 5 peers"]);
    }

    #[test]
    fn a_status_cannot_smuggle_in_another_assignment() {
        let (notifier, sent) = recorded();
        notifier.status("bad peer\nMAINPID=1");
        assert_eq!(taken(&sent), ["STATUS=bad peer MAINPID=1"]);
        notifier.ready();
        assert_eq!(taken(&sent), ["READY=1"]);
        assert_eq!(one_line(&"x".repeat(1000)).len(), STATUS_MAX_CHARS);
    }

    #[test]
    fn a_reload_begins_with_a_time_stamp_and_ends_with_ready() {
        let (notifier, sent) = recorded();
        drop(notifier.reloading());
        let sent = taken(&sent);
        let (begin, stamp) = sent[0].split_once(" MONOTONIC_USEC=").unwrap();
        assert_eq!((begin, sent[1].as_str()), ("RELOADING=1", "READY=1"));
        assert!(stamp.parse::<u64>().unwrap() > 0);
    }
}
