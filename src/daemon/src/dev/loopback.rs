//! Loopback addresses for the nodes of a development cluster.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
};

/// The `index`th address, from 127.0.0.1 on, leaving out those that end in 0 or 255: they are legal, and look wrong.
pub(crate) fn address(index: usize) -> Option<IpAddr> {
    let index = u32::try_from(index).ok()?;
    let (third, fourth) = (index / 254, index % 254 + 1);
    let third = u8::try_from(third).ok()?;
    Some(Ipv4Addr::new(127, 0, third, fourth as u8).into())
}

/// A port that a node needs and that somebody else holds.
#[derive(Debug, thiserror::Error)]
#[error("port {} on {} is already taken ({reason}): stop what listens there (`ss -ltnp 'sport = :{}'` names it)",
        .addr.port(), .addr.ip(), .addr.port())]
pub(crate) struct PortTaken {
    addr: SocketAddr,
    reason: io::Error,
}

/// Checks that every port can be bound on every address, now.
pub(crate) fn check_free(addresses: &[IpAddr], ports: &[u16]) -> Result<(), PortTaken> {
    for ip in addresses {
        for port in ports {
            let addr = SocketAddr::new(*ip, *port);
            // The listener is dropped at once; with SO_REUSEADDR (which std sets) the node can bind it right after.
            TcpListener::bind(addr).map_err(|reason| PortTaken { addr, reason })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_distinct_and_never_end_in_0_or_255() {
        let all: Vec<IpAddr> = (0..1000).map_while(address).collect();
        assert_eq!(all.len(), 1000);
        assert_eq!(all[0], IpAddr::from([127, 0, 0, 1]));
        assert_eq!(all[253], IpAddr::from([127, 0, 0, 254]));
        assert_eq!(all[254], IpAddr::from([127, 0, 1, 1]));
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn a_taken_port_is_named() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = held.local_addr().unwrap().port();
        let error = check_free(&[[127, 0, 0, 1].into()], &[port]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("port {port} on 127.0.0.1 is already taken")), "{error}");
        drop(held);
        check_free(&[[127, 0, 0, 1].into()], &[port]).unwrap();
    }
}
