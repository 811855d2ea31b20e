//! Where can another node be reached? What gossip says comes first, then what the hosts file says.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use arc_swap::ArcSwap;
use ringrift_config::{Host, HostsFile, NodeId};
use ringrift_link::{AddressBook, Links, Routes};
use ringrift_members::{Members, State};

use crate::facts::NodeFacts;

/// The most relays that are tried for one node.
const MAX_RELAYS: usize = 4;

/// The address book of the links.
pub(crate) struct Book {
    node: NodeId,
    hosts: ArcSwap<Option<Arc<HostsFile>>>,
    link_port: u16,
    /// Both are made after the book, since they need it; an early question is answered from the file alone.
    members: OnceLock<Members<NodeFacts>>,
    links: OnceLock<Links>,
}

impl Book {
    /// A book that knows the hosts file only. `link_port` is the port of a host that does not name another.
    pub(crate) fn new(node: NodeId, hosts: Option<Arc<HostsFile>>, link_port: u16) -> Self {
        Self { node, hosts: ArcSwap::from_pointee(hosts), link_port, members: OnceLock::new(), links: OnceLock::new() }
    }

    /// Adds what gossip and open links know.
    pub(crate) fn learn_from(&self, members: Members<NodeFacts>, links: Links) {
        let _ = self.members.set(members);
        let _ = self.links.set(links);
    }

    /// Replaces the hosts file after a reload.
    pub(crate) fn set_hosts(&self, hosts: Option<Arc<HostsFile>>) {
        self.hosts.store(Arc::new(hosts));
    }

    /// Nodes that probably hold a link to `to`: those it named itself, then the voters, which every node that only
    /// dials out keeps links to. Nodes that we have a link to come first.
    fn relays(&self, to: &NodeId, named: &[NodeId]) -> Vec<NodeId> {
        let hosts = self.hosts.load();
        let voters = hosts.as_ref().as_ref().and_then(|h| h.voters.as_deref()).unwrap_or_default();
        let mut seen = BTreeSet::from([self.node.clone(), to.clone()]);
        let mut relays: Vec<NodeId> =
            named.iter().chain(voters).filter(|n| seen.insert((*n).clone())).cloned().collect();
        let table = self.members.get().map(Members::table);
        if let Some(table) = &table {
            relays.retain(|n| table.get(n).is_none_or(|m| matches!(m.state, State::Alive | State::Suspect)));
        }
        let linked: BTreeSet<NodeId> =
            self.links.get().map(|l| l.connected().into_iter().map(|i| i.peer.node).collect()).unwrap_or_default();
        relays.sort_by_key(|n| !linked.contains(n));
        relays.truncate(MAX_RELAYS);
        relays
    }
}

impl AddressBook for Book {
    fn routes(&self, to: &NodeId) -> Routes {
        let hosts = self.hosts.load();
        let host = hosts.as_ref().as_ref().and_then(|h| h.hosts.get(to));
        let table = self.members.get().map(Members::table);
        let facts = table.as_ref().and_then(|t| t.get(to)).and_then(|m| m.facts.as_ref());

        let dials_out_only = facts.is_some_and(|f| f.dials_out_only) || host.is_some_and(Host::dials_out_only);
        if dials_out_only {
            let named = facts.map(|f| f.relay_via.as_slice()).unwrap_or_default();
            return Routes { direct: Vec::new(), relays: self.relays(to, named) };
        }
        let mut direct: Vec<(String, u16)> = Vec::new();
        let mut add = |host: &str, port: u16| {
            if !host.is_empty() && port != 0 && !direct.iter().any(|(h, p)| h == host && *p == port) {
                direct.push((host.to_owned(), port));
            }
        };
        if let Some(facts) = facts {
            add(&facts.address.host, facts.address.link_port);
        }
        for (name, port) in host.map(|h| h.dial_addresses(self.link_port)).unwrap_or_default() {
            add(&name, port);
        }
        if let Some(facts) = facts {
            for ip in &facts.address.alternate_ips {
                add(ip, facts.address.link_port);
            }
        }
        // A node whose address is wrong everywhere can still be reached through one that it has dialled.
        let relays = if direct.is_empty() { self.relays(to, &[]) } else { Vec::new() };
        Routes { direct, relays }
    }
}
