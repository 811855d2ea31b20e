use std::fmt::Write as _;

use ringrift_api::{EligibilityState, Liveness, Node, Status};
use ringrift_config::NodeId;

use crate::{
    age,
    context::{Context, Fetched},
    exit::Exit,
    failure::Failure,
    paint::{Paint, Tone},
    report::Report,
    table::{Cell, Table, left, right},
};

/// Asks for the nodes that are not alive too.
pub(crate) const PATH: &str = "/status?alive_only=false";

pub(crate) async fn run(context: &Context, node: Option<&NodeId>) -> Result<Report, Failure> {
    let status: Fetched<Status> = context.client(node)?.get_json(PATH).await?;
    let text = render(&status.typed, context.paint);
    Ok(Report::ok(text, status.raw).exit(exit(&status.typed)))
}

/// Whether the cluster can agree on anything.
pub(crate) fn exit(status: &Status) -> Exit {
    if status.leader_id.is_some() && status.voter_quorum_ok { Exit::Ok } else { Exit::NoLeader }
}

/// The runbook's healthy view, what it leaves out, and every node.
pub(crate) fn render(status: &Status, paint: Paint) -> String {
    let leader = match &status.leader_id {
        Some(leader) => leader.to_string(),
        None => paint.text(Tone::Bad, "none"),
    };
    let (quorum_tone, quorum) = quorum(status);
    let mut text = String::new();
    let _ = writeln!(text, "Leader: {leader}");
    let _ = writeln!(text, "Alive peers: {}", status.alive_peers);
    let _ = writeln!(text, "Total nodes: {}", status.nodes.len());
    let _ = writeln!(text);
    let _ = writeln!(text, "Term:   {}", status.term);
    let _ = writeln!(text, "Quorum: {}", paint.text(quorum_tone, &quorum));
    let _ = writeln!(text, "State:  {}", state(status));
    let _ = writeln!(
        text,
        "Told by {} ({}), ringrift-p2p {}, up {}",
        status.node_id,
        status.role,
        status.version,
        age::span(status.uptime_seconds)
    );
    let _ = writeln!(text);
    text.push_str(&table(&rows(status), paint));
    text
}

/// The quorum in words, and how much it should worry.
pub(crate) fn quorum(status: &Status) -> (Tone, String) {
    let health = &status.voter_health;
    if health.voters_total == 0 {
        return (Tone::Warn, "no voters are known".to_owned());
    }
    let counts =
        format!("{} of {} voters alive, {} needed", health.voters_alive, health.voters_total, health.quorum_size);
    let offline = health.voters_offline.iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ");
    match (health.quorum_ok, health.voters_offline.is_empty()) {
        (false, _) => (Tone::Bad, format!("LOST: {counts}; missing: {offline}")),
        (true, true) => (Tone::Good, format!("ok: {counts}")),
        (true, false) if health.quorum_threatened => {
            (Tone::Warn, format!("ok, but the next loss ends it: {counts}; missing: {offline}"))
        }
        (true, false) => (Tone::Good, format!("ok: {counts}; missing: {offline}")),
    }
}

/// How current the agreed state is on the node that was asked.
pub(crate) fn state(status: &Status) -> String {
    match status.state_age_seconds {
        None => "not read yet".to_owned(),
        Some(age) if age < CURRENT => format!("index {}, current", status.state_index),
        Some(age) => format!("index {}, {} old", status.state_index, age::span(age)),
    }
}

/// A healthy voter hears of its leader every 200 ms, a worker's stream every second.
const CURRENT: f64 = 3.0;

/// A node as the views show it.
#[derive(Debug, Clone)]
pub(crate) struct Row<'a> {
    pub(crate) node: &'a Node,
    pub(crate) state: Liveness,
    pub(crate) is_voter: bool,
    pub(crate) is_leader: bool,
    /// Seconds; `None` of the node that tells.
    pub(crate) last_seen: Option<f64>,
}

/// Every node, by name.
pub(crate) fn rows(status: &Status) -> Vec<Row<'_>> {
    let is_leader = |id: &NodeId| status.leader_id.as_ref() == Some(id);
    let own = Row {
        node: &status.self_node,
        state: Liveness::Alive,
        is_voter: status.voter_node_ids.contains(&status.node_id),
        is_leader: is_leader(&status.node_id),
        last_seen: None,
    };
    let peers = status.peers.iter().map(|(id, peer)| Row {
        node: &peer.node,
        state: peer.state,
        is_voter: peer.is_voter,
        is_leader: is_leader(id),
        last_seen: Some(peer.last_seen_seconds),
    });
    let mut rows: Vec<_> = std::iter::once(own).chain(peers).collect();
    rows.sort_by(|a, b| a.node.node_id.cmp(&b.node.node_id));
    rows
}

impl Row<'_> {
    /// `leader`, else what it says of itself.
    pub(crate) fn role(&self) -> &str {
        match (self.is_leader, self.node.role.as_str()) {
            (true, _) => "leader",
            // What a node said before it fell silent, or before it was voted out.
            (false, "leader") if self.state != Liveness::Alive => "-",
            (false, "") => "-",
            (false, role) => role,
        }
    }

    /// Its state, and whether it is kept from work.
    pub(crate) fn state_text(&self) -> String {
        match self.node.eligibility {
            EligibilityState::Eligible => self.state.as_str().to_owned(),
            kept @ (EligibilityState::Cordoned | EligibilityState::Draining) => format!("{}, {kept}", self.state),
        }
    }

    pub(crate) fn state_tone(&self) -> Tone {
        match self.state {
            Liveness::Alive => match self.node.eligibility {
                EligibilityState::Eligible => Tone::Good,
                kept @ (EligibilityState::Cordoned | EligibilityState::Draining) => kept.into(),
            },
            state => state.into(),
        }
    }

    /// Whether what the node told of its load still means something.
    fn is_current(&self) -> bool {
        self.state.is_alive() && self.node.cpu_count > 0
    }

    /// A percentage, in the tone that it deserves.
    pub(crate) fn percent(&self, value: f64, tone: fn(f64) -> Tone) -> (String, Tone) {
        if self.is_current() { (format!("{value:.0} %"), tone(value)) } else { ("-".to_owned(), Tone::Plain) }
    }

    /// How many jobs run there.
    pub(crate) fn jobs(&self) -> String {
        if self.is_current() { self.node.active_job_count.to_string() } else { "-".to_owned() }
    }

    pub(crate) fn last_seen_text(&self) -> String {
        match self.last_seen {
            None => "now".to_owned(),
            Some(_) if self.node.last_heartbeat <= 0.0 => "never".to_owned(),
            Some(age) => age::span(age),
        }
    }

    /// Where it is reached, or through whom.
    pub(crate) fn address(&self) -> String {
        let node = self.node;
        match (node.relay_via.as_str(), node.host.as_str()) {
            ("", "") => "-".to_owned(),
            ("", host) if host.contains(':') => format!("[{host}]:{}", node.port),
            ("", host) => format!("{host}:{}", node.port),
            (relay, _) => format!("via {relay}"),
        }
    }
}

/// A full processor is what it was bought for.
pub(crate) fn busy(_: f64) -> Tone {
    Tone::Plain
}

/// A full memory or disk is trouble.
pub(crate) fn full(percent: f64) -> Tone {
    match percent {
        p if p >= 95.0 => Tone::Bad,
        p if p >= 80.0 => Tone::Warn,
        _ => Tone::Plain,
    }
}

/// The nodes for people who read text.
pub(crate) fn table(rows: &[Row<'_>], paint: Paint) -> String {
    let mut table = Table::new(&[
        left("NODE"),
        left("STATE"),
        left("ROLE"),
        left("VOTER"),
        right("CPU"),
        right("MEM"),
        right("DISK"),
        right("JOBS"),
        right("LAST SEEN"),
        left("ADDRESS"),
    ]);
    for row in rows {
        let node = row.node;
        table.row(vec![
            node.node_id.as_str().into(),
            Cell::toned(row.state_text(), row.state_tone()),
            row.role().into(),
            if row.is_voter { "yes" } else { "-" }.into(),
            row.percent(node.cpu_percent, busy).into(),
            row.percent(node.memory_percent, full).into(),
            row.percent(node.disk_percent, full).into(),
            row.jobs().into(),
            row.last_seen_text().into(),
            row.address().into(),
        ]);
    }
    table.render(paint)
}
