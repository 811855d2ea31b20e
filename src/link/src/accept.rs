use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::net::{TcpListener, TcpStream};

use crate::{Direction, LinkError, LinkEvent, handshake::Ends, links::Inner, wire::Wire};

/// Pause after a failed accept: out of file descriptors does not pass by asking again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often an accepting loop goes round when nobody comes, so that the watchdog sees it.
const ROUND: Duration = Duration::from_secs(1);
/// From one address at most one warning in this time; the others go to the debug level.
const QUIET_FOR: Duration = Duration::from_secs(10);
/// Addresses remembered for that.
const MAX_QUIET: usize = 1024;

impl Inner {
    /// Accepts connections until shutdown.
    pub(crate) async fn accept(self: Arc<Self>, index: usize, listener: TcpListener) {
        loop {
            self.rounds[index].fetch_add(1, Ordering::Relaxed);
            if self.hangs.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            // The place first, then the connection: while all are taken, newcomers wait in the kernel's queue.
            let accepted = tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = tokio::time::sleep_until(ringrift_tick::next(ROUND)) => continue,
                accepted = async {
                    let place = Arc::clone(&self.handshakes).acquire_owned().await;
                    (place, listener.accept().await)
                } => accepted,
            };
            let (place, connection) = match accepted {
                (place, Ok(connection)) => (place, connection),
                (_, Err(error)) => {
                    tracing::warn!(%error, "cannot accept links");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (stream, addr) = connection;
            let Some(share) = Share::of(&self.half_open, addr.ip(), self.limits.max_handshakes_per_ip) else {
                self.turned_down(addr, addr.ip(), "too many handshakes from this address are under way");
                continue;
            };
            let inner = Arc::clone(&self);
            self.tasks.spawn(async move {
                tokio::select! {
                    () = inner.shutdown.cancelled() => {}
                    () = inner.incoming(stream, addr) => {}
                }
                drop((share, place));
            });
        }
    }

    async fn incoming(self: &Arc<Self>, stream: TcpStream, addr: SocketAddr) {
        let here = stream.local_addr().map_or_else(|error| error.to_string(), |here| here.to_string());
        let ends = Ends { label: addr.to_string(), addr, place: addr.to_string(), here, via: None };
        match Wire::tcp(stream) {
            Ok(wire) => self.welcome(wire, &ends).await,
            Err(error) => tracing::debug!(%addr, %error, "a connection was gone before its handshake"),
        }
    }

    /// Answers a connection's handshake and makes a link of it.
    pub(crate) async fn welcome(self: &Arc<Self>, wire: Wire, ends: &Ends) {
        let received = wire.received();
        let made = match self.answer(wire, ends).await {
            Ok(greeted) => self.establish(greeted, ends, Direction::Inbound, None).map(|_| ()),
            Err(error) => Err(error),
        };
        let Err(error) = made else { return };
        let nothing_said = received.load(Ordering::Relaxed) == 0;
        match error {
            // Somebody who only looks whether the port is open, or who found a better address meanwhile.
            LinkError::Tls { .. } if nothing_said => tracing::debug!(addr = %ends.place, "a connection said nothing"),
            LinkError::Rejected { .. } | LinkError::SelfDial { .. } => {
                tracing::debug!(addr = %ends.place, %error, "a connection was given up");
            }
            error => self.turned_down(ends.addr, ends.addr.ip(), &error.to_string()),
        }
    }

    /// Reports a connection that did not become a link.
    fn turned_down(&self, addr: SocketAddr, ip: IpAddr, reason: &str) {
        if self.quiet.lock().unwrap_or_else(PoisonError::into_inner).may_speak(ip, Instant::now()) {
            tracing::warn!(peer = %addr, %addr, %reason, "turned a connection down");
        } else {
            tracing::debug!(peer = %addr, %addr, %reason, "turned a connection down");
        }
        self.emit(LinkEvent::Rejected { addr, reason: reason.to_owned() });
    }
}

/// Half-open connections from each IP address.
pub(crate) type HalfOpen = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// One of an address's places for handshakes, given back when dropped.
struct Share {
    of: HalfOpen,
    ip: IpAddr,
}

impl Share {
    fn of(table: &HalfOpen, ip: IpAddr, limit: usize) -> Option<Self> {
        let mut counts = table.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(ip).or_insert(0);
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Self { of: Arc::clone(table), ip })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.ip);
            }
        }
    }
}

/// Keeps one noisy address from filling the log.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    spoke: HashMap<IpAddr, Instant>,
}

impl Quiet {
    fn may_speak(&mut self, ip: IpAddr, now: Instant) -> bool {
        let recent = |at: &Instant| now.saturating_duration_since(*at) < QUIET_FOR;
        if self.spoke.get(&ip).is_some_and(recent) {
            return false;
        }
        if self.spoke.len() >= MAX_QUIET {
            self.spoke.retain(|_, at| recent(at));
        }
        if self.spoke.len() >= MAX_QUIET {
            return false;
        }
        self.spoke.insert(ip, now);
        true
    }
}

/// The address of a listener, where there is one.
pub(crate) fn port_of(listener: Option<&TcpListener>) -> Option<u16> {
    listener.map(TcpListener::local_addr).and_then(io::Result::ok).map(|addr| addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_gets_its_share_of_handshakes_and_no_more() {
        let table = HalfOpen::default();
        let (one, two) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let first = Share::of(&table, one, 2);
        let second = Share::of(&table, one, 2);
        assert!(first.is_some() && second.is_some() && Share::of(&table, one, 2).is_none());
        assert!(Share::of(&table, two, 2).is_some());
        drop(first);
        assert!(Share::of(&table, one, 2).is_some());
        drop(second);
        assert!(table.lock().unwrap().is_empty());
    }

    #[test]
    fn a_noisy_address_warns_once_in_ten_seconds() {
        let (mut quiet, now, ip) = (Quiet::default(), Instant::now(), IpAddr::from([10, 0, 0, 1]));
        let spoken: Vec<_> = [0, 1, 9, 10, 12].map(|s| quiet.may_speak(ip, now + Duration::from_secs(s))).into();
        assert_eq!(spoken, [true, false, false, true, false]);
        assert!(quiet.may_speak(IpAddr::from([10, 0, 0, 2]), now));
    }
}
