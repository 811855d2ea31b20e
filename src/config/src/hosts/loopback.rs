use std::{collections::BTreeMap, net::IpAddr};

use serde_yaml::{Mapping, Value};

use super::HostsFile;
use crate::NodeId;

impl HostsFile {
    /// The same file with a loopback address for each of the given hosts, so that a whole cluster runs on one machine.
    /// Everything else stays, whether it is understood here or not; only comments are lost. Hosts that are not given keep
    /// their addresses, and `nat_blocked` hosts still only dial out.
    pub fn with_loopback(&self, addresses: &BTreeMap<NodeId, IpAddr>) -> String {
        let mut root = Mapping::new();
        for entry in self.document.entries() {
            let mut value = entry.value.to_value();
            if let ("hosts", Value::Mapping(hosts)) = (entry.key.as_str(), &mut value) {
                for (id, address) in addresses {
                    if let Some(host) = hosts.get_mut(id.as_str()) {
                        move_host(host, *address);
                    }
                }
            }
            root.insert(entry.key.as_str().into(), value);
        }
        serde_yaml::to_string(&root).expect("a tree of maps, lists and scalars with text keys is always YAML")
    }
}

/// `tailscale_ip` comes first among the addresses that others dial, and counts even if it is loopback's.
fn move_host(host: &mut Value, address: IpAddr) {
    if host.is_null() {
        *host = Value::Mapping(Mapping::new());
    }
    let Some(host) = host.as_mapping_mut() else { return };
    for key in ["ssh_host", "tailscale_ip"] {
        host.insert(key.into(), address.to_string().into());
    }
    host.insert("ssh_port".into(), super::Host::SSH_PORT.into());
    // Nobody maps ports on loopback.
    host.shift_remove("p2p_public_port");
}
