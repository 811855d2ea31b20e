use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use ringrift_config::NodeId;
use tokio::net::{TcpSocket, TcpStream, lookup_host};

use crate::{
    Direction, LinkError,
    back_off::{BackOff, Target},
    establish::place,
    handshake::{Ends, Met},
    link::Link,
    links::Inner,
    wire::Wire,
};

/// Addresses and relays tried for one node, and IP addresses for one name.
const MAX_TRIED: usize = 8;
/// After this time without a connection the next address is tried as well (RFC 8305 §5 has 250 ms).
const STAGGER: Duration = Duration::from_millis(250);

/// `host:port` as it was configured.
type HostPort = (String, u16);

impl Inner {
    /// Links to a node by its addresses, then through its relays.
    pub(crate) async fn dial(self: &Arc<Self>, to: &NodeId) -> Result<Arc<Link>, LinkError> {
        let now = Instant::now();
        if let Some((retry_in, last)) = self.penalties().remaining(&Target::Node(to.clone()), now) {
            return Err(LinkError::BackOff { peer: to.to_string(), retry_in, last: Box::new(last.clone()) });
        }
        let routes = self.book.routes(to);
        let mut failures = Failures::default();
        match self.dial_direct(to, routes.direct, &mut failures).await {
            Some(link) => return Ok(link),
            None if routes.relays.is_empty() => return Err(failures.into_error(to.as_str())),
            None => {}
        }
        for relay in routes.relays.into_iter().take(MAX_TRIED) {
            if relay == self.node || relay == *to {
                continue;
            }
            let target = Target::Relay { relay: relay.clone(), to: to.clone() };
            if failures.waits(&self.back_off(), &target, now) {
                continue;
            }
            match self.dial_through(&relay, to).await {
                Ok(link) => {
                    self.back_off().succeeded(&target);
                    return Ok(link);
                }
                Err(error) => {
                    self.back_off().failed(target, error.clone(), Instant::now(), rand::random());
                    failures.last = Some(error);
                }
            }
        }
        Err(failures.into_error(to.as_str()))
    }

    /// Links to a node by one of its addresses: the one that worked before, then as configured, each a moment after the
    /// one before unless that has failed.
    async fn dial_direct(
        self: &Arc<Self>,
        to: &NodeId,
        mut addresses: Vec<HostPort>,
        failures: &mut Failures,
    ) -> Option<Arc<Link>> {
        let now = Instant::now();
        if let Some(good) = self.worked().get(to)
            && let Some(at) = addresses.iter().position(|address| address == good)
        {
            addresses[..=at].rotate_right(1);
        }
        addresses.truncate(MAX_TRIED);
        addresses.retain(|address| !failures.waits(&self.back_off(), &target(address), now));

        let mut rest = addresses.into_iter();
        let mut connecting = FuturesUnordered::new();
        loop {
            if connecting.is_empty() {
                connecting.push(self.connect(to.as_str(), rest.next()?));
            }
            let (address, connected) = tokio::select! {
                Some(connected) = connecting.next() => connected,
                () = tokio::time::sleep(STAGGER), if rest.len() > 0 => {
                    connecting.extend(rest.next().map(|address| self.connect(to.as_str(), address)));
                    continue;
                }
            };
            let linked = match connected {
                Ok(stream) => self.link_over(stream, to.as_str(), Some(to), &address).await,
                Err(error) => Err(error),
            };
            match linked {
                Ok(link) => {
                    self.worked().insert(to.clone(), address);
                    return Some(link);
                }
                Err(error) => {
                    self.note_failure(to.as_str(), &address, &error);
                    failures.last = Some(error);
                    connecting.extend(rest.next().map(|address| self.connect(to.as_str(), address)));
                }
            }
        }
    }

    /// Links to whatever node is at an address.
    pub(crate) async fn dial_unknown(self: &Arc<Self>, address: HostPort) -> Result<Arc<Link>, LinkError> {
        let label = text(&address);
        let mut failures = Failures::default();
        if failures.waits(&self.back_off(), &target(&address), Instant::now()) {
            return Err(failures.into_error(&label));
        }
        let (address, connected) = self.connect(&label, address).await;
        let linked = match connected {
            Ok(stream) => self.link_over(stream, &label, None, &address).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &linked {
            self.note_failure(&label, &address, error);
        }
        linked
    }

    fn note_failure(&self, label: &str, address: &HostPort, error: &LinkError) {
        let again = self.back_off().failed(target(address), error.clone(), Instant::now(), rand::random());
        // A machine that is away is everyday life, and its caller hears of it. Nobody repairs the rest unless it is said.
        let everyday = matches!(
            error,
            LinkError::Refused { .. }
                | LinkError::Timeout { .. }
                | LinkError::Closed { .. }
                | LinkError::SelfDial { .. }
        );
        if everyday || again {
            tracing::debug!(peer = %label, addr = %text(address), %error, "a dial failed");
        } else {
            tracing::warn!(peer = %label, addr = %text(address), %error, "a dial failed");
        }
    }

    /// Connects to the first IP address behind a name that answers.
    async fn connect(&self, label: &str, address: HostPort) -> (HostPort, Result<TcpStream, LinkError>) {
        let refused = |reason: String| LinkError::Refused { peer: label.to_owned(), addr: text(&address), reason };
        let within = self.limits.handshake_timeout;
        let connecting = async {
            let resolved = lookup_host((address.0.as_str(), address.1)).await;
            let resolved = resolved.map_err(|error| refused(format!("its name cannot be resolved: {error}")))?;
            let mut last = refused("its name has no address".to_owned());
            for addr in resolved.take(MAX_TRIED) {
                if self.bind.is_loopback() && !addr.ip().is_loopback() {
                    // The kernel would only say "Invalid argument".
                    let reason = format!(
                        "this node is bound to {}, from where {addr} cannot be dialled: give it another bind_addr; \
                         without a token it serves loopback only (make one with `ringriftctl token new`)",
                        self.bind
                    );
                    last = LinkError::NoRoute { peer: label.to_owned(), reason };
                    continue;
                }
                match self.connect_from_here(addr).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = refused(error.to_string()),
                }
            }
            Err(last)
        };
        let connected = tokio::time::timeout(within, connecting)
            .await
            .unwrap_or_else(|_| Err(refused(format!("no answer within {within:?}"))));
        (address, connected)
    }

    async fn connect_from_here(&self, addr: SocketAddr) -> io::Result<TcpStream> {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // On a host with several addresses peers see the one that this node is known by.
        if !self.bind.is_unspecified() && self.bind.is_ipv4() == addr.is_ipv4() {
            socket.bind(SocketAddr::new(self.bind, 0))?;
        }
        socket.connect(addr).await
    }

    async fn link_over(
        self: &Arc<Self>,
        stream: TcpStream,
        label: &str,
        expected: Option<&NodeId>,
        address: &HostPort,
    ) -> Result<Arc<Link>, LinkError> {
        let dialled = text(address);
        let gone = |error: io::Error| LinkError::Refused {
            peer: label.to_owned(),
            addr: dialled.clone(),
            reason: error.to_string(),
        };
        let (addr, here) = (stream.peer_addr().map_err(gone)?, stream.local_addr().map_err(gone)?);
        let wire = Wire::tcp(stream).map_err(gone)?;
        let ends = Ends { label: label.to_owned(), addr, place: dialled.clone(), here: here.to_string(), via: None };
        let link = self.link_with(wire, &ends, expected, Some(dialled.clone())).await?;
        self.back_off().succeeded(&target(address));
        Ok(link)
    }

    async fn link_with(
        self: &Arc<Self>,
        wire: Wire,
        ends: &Ends,
        expected: Option<&NodeId>,
        dialled: Option<String>,
    ) -> Result<Arc<Link>, LinkError> {
        match self.greet(wire, ends, expected).await? {
            Met::Linked(link) => Ok(link),
            Met::New(greeted) => self.establish(*greeted, ends, Direction::Outbound, dialled),
        }
    }

    async fn dial_through(self: &Arc<Self>, relay: &NodeId, to: &NodeId) -> Result<Arc<Link>, LinkError> {
        let carrier = self.carrier(relay).await?;
        let within = self.limits.handshake_timeout;
        let (label, what) = (to.to_string(), "an answer through a relay");
        let wire = tokio::time::timeout(within, self.through(&carrier, to))
            .await
            .map_err(|_| LinkError::Timeout { peer: label.clone(), what, after: within })?
            .map_err(|reason| LinkError::NoRoute { peer: label.clone(), reason })?;
        let ends = Ends {
            label,
            addr: carrier.peer.addr,
            place: place(&crate::Peer { node: to.clone(), addr: carrier.peer.addr, via: Some(relay.clone()) }),
            here: format!("a relay, {relay}"),
            via: Some(relay.clone()),
        };
        let link = self.link_with(wire, &ends, Some(to), None).await?;
        if link.peer.via.is_some() && link.direction == Direction::Outbound {
            self.tasks.spawn(Arc::clone(self).tend_relayed(Arc::clone(&link)));
        }
        Ok(link)
    }

    /// A direct link to a relay, dialled by its addresses only: two nodes that are each other's relay would wait for each
    /// other.
    async fn carrier(self: &Arc<Self>, relay: &NodeId) -> Result<Arc<Link>, LinkError> {
        let link = self.table().best_direct(relay);
        if let Some(link) = link {
            return Ok(link);
        }
        let mut failures = Failures::default();
        let addresses = self.book.routes(relay).direct;
        let link = self.dial_direct(relay, addresses, &mut failures).await;
        link.ok_or_else(|| failures.into_error(relay.as_str()))
    }

    /// Replaces a link through a relay once the node can be dialled, and ends it when nothing uses it.
    async fn tend_relayed(self: Arc<Self>, link: Arc<Link>) {
        let idle = self.limits.relay_idle;
        loop {
            tokio::select! {
                () = link.closed() => return,
                () = tokio::time::sleep(idle / 2) => {}
            }
            if link.is_retired() {
                continue;
            }
            if link.unused_for() >= idle {
                link.retire();
                continue;
            }
            let to = &link.peer.node;
            let addresses = self.book.routes(to).direct;
            // When it succeeds, the direct link takes this one's place by its rank.
            let mut failures = Failures::default();
            tokio::select! {
                () = link.closed() => return,
                _ = self.dial_direct(to, addresses, &mut failures) => {}
            }
        }
    }
}

/// Why the ways to a node did not work.
#[derive(Debug, Default)]
struct Failures {
    /// From this attempt.
    last: Option<LinkError>,
    /// From an earlier one: the soonest that may be tried again.
    waiting: Option<(Duration, LinkError)>,
}

impl Failures {
    /// Whether a way is left out because it failed a moment ago.
    fn waits(&mut self, back_off: &BackOff, target: &Target, now: Instant) -> bool {
        let Some((left, last)) = back_off.remaining(target, now) else { return false };
        if self.waiting.as_ref().is_none_or(|(soonest, _)| left < *soonest) {
            self.waiting = Some((left, last.clone()));
        }
        true
    }

    fn into_error(self, to: &str) -> LinkError {
        let peer = to.to_owned();
        match (self.last, self.waiting) {
            (Some(last), _) => last,
            (None, Some((retry_in, last))) => LinkError::BackOff { peer, retry_in, last: Box::new(last) },
            (None, None) => {
                let reason = "it has no address, no link to this node, and no relay is known; \
                              a node that only dials out is reachable once it has dialled";
                LinkError::NoRoute { peer, reason: reason.to_owned() }
            }
        }
    }
}

fn text((host, port): &HostPort) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn target(address: &HostPort) -> Target {
    Target::Address(text(address))
}

/// Reads `host:port`; an IPv6 address stands in brackets.
pub(crate) fn parse_seed(seed: &str) -> Result<HostPort, LinkError> {
    let wrong = || LinkError::NoRoute { peer: seed.to_owned(), reason: "a seed is written host:port".to_owned() };
    let (host, port) = seed.trim().rsplit_once(':').ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
    if host.is_empty() { Err(wrong()) } else { Ok((host.to_owned(), port)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_and_written_the_same() {
        for (seed, expected) in [
            ("10.0.0.1:8765", Some("10.0.0.1:8765")),
            (" gpu-1.example.org:8765 ", Some("gpu-1.example.org:8765")),
            ("[fd00::1]:8765", Some("[fd00::1]:8765")),
            ("gpu-1", None),
            (":8765", None),
            ("gpu-1:0", None),
            ("gpu-1:port", None),
        ] {
            assert_eq!(parse_seed(seed).ok().map(|address| text(&address)).as_deref(), expected, "{seed}");
        }
    }
}
