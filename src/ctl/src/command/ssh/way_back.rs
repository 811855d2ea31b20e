use ringrift_api::Status;
use ringrift_config::{Host, HostsFile, NodeId};
use ringrift_fleet::quoted;

use crate::{command::status, context::Context, failure::Failure};

/// The port of the HTTP API (contract §1).
const API_PORT: u16 = 8770;

/// Where nodes must be able to connect to: the API of one daemon.
#[derive(Debug)]
pub(crate) struct WayBack {
    node: NodeId,
    addresses: Vec<(String, u16)>,
}

impl WayBack {
    /// The daemon at `--api`, as it advertises itself; else the first voter that can be dialled; else nobody.
    pub(crate) async fn find(context: &Context, file: &HostsFile) -> Result<Option<Self>, Failure> {
        if let Ok(status) = context.client(None)?.get_json::<Status>(status::PATH).await
            && !status.self_node.host.is_empty()
        {
            let own = status.self_node;
            return Ok(Some(Self { node: own.node_id, addresses: vec![(own.host, own.port)] }));
        }
        let voters = file.voters.iter().flatten().filter_map(|voter| file.hosts.get(voter));
        Ok(voters.filter(|host| host.runs_daemon() && !host.dials_out_only()).find_map(|host| {
            let addresses = host.dial_addresses(API_PORT);
            (!addresses.is_empty()).then(|| Self { node: host.id.clone(), addresses })
        }))
    }

    /// Tries the addresses from a node; says `back=ok`, `back=closed` or `back=untried`.
    pub(crate) fn script(&self) -> String {
        let tries: Vec<String> =
            self.addresses.iter().map(|(host, port)| format!("dial {} {port}", quoted(host))).collect();
        format!(
            "dial() {{\n  if command -v bash > /dev/null && command -v timeout > /dev/null; then\n    timeout 3 bash -c 'exec 3<> \
             \"/dev/tcp/$0/$1\"' \"$1\" \"$2\" 2> /dev/null\n  elif command -v nc > /dev/null; then nc -z -w 3 \"$1\" \"$2\" 2> \
             /dev/null\n  else echo back=untried; fi\n}}\nif {}; then echo back=ok; else echo back=closed; fi",
            tries.join(" || ")
        )
    }

    /// What a script's output means for people; `None` if nothing is wrong.
    pub(crate) fn wrong(&self, host: &Host, out: &str) -> Option<String> {
        let said = |word: &str| out.lines().any(|line| line == word);
        if said("back=untried") {
            Some(format!("the way back to {} was not tried: there is neither bash with timeout nor nc", self.node))
        } else if said("back=ok") {
            None
        } else {
            let (address, port) = &self.addresses[0];
            Some(format!(
                "from there {} is not reached ({address} port {port}): open the port in its firewall (`sudo ufw allow \
                 {port}/tcp` on {}), or {} of {} is wrong",
                self.node, self.node, "its address in the hosts file", host.id
            ))
        }
    }

    pub(crate) fn node(&self) -> &NodeId {
        &self.node
    }
}
