//! Makes a running node out of settings, and takes it down in order.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use ringrift_config::{Host, HostsFile, NodeId, Settings, StartPlan, Token};
use ringrift_consensus::{Consensus, ConsensusConfig, Timers};
use ringrift_health::Sampler;
use ringrift_link::{Identity, Limits as LinkLimits, LinkConfig, Links};
use ringrift_members::{Members, MembersConfig, Timing};
use ringrift_systemd::{Hang, Listeners, Notifier, Socket, Supervisor, watchdog::watchdog_interval};
use ringrift_watch::{Follower, FollowerConfig, Hub, HubConfig};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    agreement::Agreement,
    book::Book,
    dispatch::Dispatch,
    facts::{Address, NodeFacts},
    http::{
        self,
        server::{self, Limits},
    },
    leader,
    node::{Parts, Shared},
    peers::{self, IdTaken},
    publisher,
    wire::{GossipOverLinks, RaftOverLinks, VoterDialer, WatchSource},
};

/// Silence that gossip, consensus and the follower are allowed: each goes round at least once a second.
const SUBSYSTEM_LIMIT: Duration = Duration::from_secs(15);

/// A node that runs.
pub(crate) struct Running {
    pub(crate) shared: Shared,
    pub(crate) notifier: Notifier,
    /// Another machine holds this node's id.
    pub(crate) id_taken: mpsc::Receiver<IdTaken>,
    /// Everything but the links: those carry the goodbyes.
    work: CancellationToken,
    link_stop: CancellationToken,
    follower: Follower,
    tasks: TaskTracker,
}

/// Starts every part. When it returns, the node is ready: listeners adopted, settings valid, state loaded.
pub(crate) async fn start(
    settings: Settings,
    hosts: Option<HostsFile>,
    plan: StartPlan,
    mut passed: Listeners,
) -> Result<Running> {
    let settings = Arc::new(settings);
    let hosts = hosts.map(Arc::new);
    let node = settings.node_id.value.clone();
    let instance: u64 = rand::random();
    let state_dir = settings.state_dir.value.clone();
    std::fs::create_dir_all(&state_dir).with_context(|| format!("cannot create {}", state_dir.display()))?;

    let api = listeners(&mut passed, Socket::Api, &settings, Some(*settings.http_port)).await?;
    let link = listeners(&mut passed, Socket::Link, &settings, Some(*settings.link_port)).await?;
    let health = listeners(&mut passed, Socket::Health, &settings, *settings.health_port).await?;
    let hang = Hang::from_environment()?;
    if let Some(subsystem) = hang.subsystem() {
        warn!("fault injection: {subsystem} is going to hang");
    }

    let work = CancellationToken::new();
    let link_stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let supervisor = Supervisor::new();

    let book = Arc::new(Book::new(node.clone(), hosts.clone(), *settings.link_port));
    let dispatch = Arc::new(Dispatch::new(work.clone()));
    let link_config = LinkConfig {
        identity: identity(&settings)?,
        node: node.clone(),
        instance,
        listener: link.into_iter().next(),
        bind: settings.bind_addr.value,
        limits: LinkLimits::default(),
    };
    let links = Links::start(link_config, book.clone(), dispatch.clone(), link_stop.clone());

    let address = address(&settings, plan.host.as_ref());
    let dials_out_only = plan.host.as_ref().is_some_and(Host::dials_out_only);
    let facts =
        NodeFacts { address, version: env!("CARGO_PKG_VERSION").to_owned(), dials_out_only, ..NodeFacts::default() };
    let members = Members::start(
        MembersConfig { node: node.clone(), instance, timing: Timing::default() },
        facts.clone(),
        plan.known,
        Arc::new(GossipOverLinks(links.clone())),
        work.clone(),
    );
    book.learn_from(members.clone(), links.clone());
    dispatch.serve_members(members.clone());

    let consensus = match consensus_config(&settings, &plan.voters, &state_dir) {
        Some(config) => Some(Consensus::start(config, Arc::new(RaftOverLinks(links.clone()))).await?),
        None => None,
    };
    let dialer =
        Arc::new(VoterDialer::new(node.clone(), links.clone(), members.clone(), plan.voters.iter().cloned().collect()));
    let follower = Follower::start(
        FollowerConfig::new(node.clone(), state_dir.join("agreed.cache")),
        dialer.clone(),
        work.clone(),
    )?;
    let agreement = Arc::new(Agreement::new(node.clone(), follower.clone(), work.clone()));
    dialer.learn_from(&agreement);
    if let Some(consensus) = consensus {
        take_part(&agreement, consensus, &supervisor, &work);
    }
    dispatch.serve_agreement(agreement.clone());

    let sampler = Sampler::start(&state_dir, work.clone());
    let gossip = members.clone();
    supervisor.register_counter("gossip", SUBSYSTEM_LIMIT, move || gossip.progress(), work.clone());
    let following = follower.clone();
    supervisor.register_counter("follower", SUBSYSTEM_LIMIT, move || following.progress(), work.clone());

    let shared = Shared::new(Parts {
        node,
        instance,
        settings: settings.clone(),
        hosts,
        facts,
        book,
        links,
        members,
        agreement,
        sampler,
        supervisor: supervisor.clone(),
    });
    let router = http::api(&shared);
    shared.set_router(router.clone());
    dispatch.serve_http(router.clone());

    let limits = Limits { max_connections: *settings.max_connections, header_timeout: *settings.header_timeout };
    for listener in api {
        tasks.spawn(server::run(listener, router.clone(), limits, work.clone()));
    }
    for listener in health {
        tasks.spawn(server::run(listener, http::health(&shared), limits, work.clone()));
    }
    let notifier = Notifier::from_environment();
    let (taken, id_taken) = mpsc::channel(1);
    tasks.spawn(supervisor.run(notifier.clone(), watchdog_interval(), work.clone()));
    tasks.spawn(leader::run(shared.clone(), work.clone()));
    tasks.spawn(publisher::run(shared.clone(), notifier.clone(), hang, work.clone()));
    tasks.spawn(peers::watch_links(shared.clone(), taken, work.clone()));
    tasks.spawn(peers::watch_members(shared.clone(), work.clone()));
    tasks.spawn(peers::find_seeds(shared.clone(), settings.bootstrap_seeds.value.clone(), work.clone()));
    if dials_out_only {
        tasks.spawn(peers::keep_links(shared.clone(), work.clone()));
    }
    shared.set_ready();
    Ok(Running { shared, notifier, id_taken, work, link_stop, follower, tasks })
}

/// Waits until a part of the node has failed for good, and says which.
pub(crate) async fn failed(shared: &Shared) -> String {
    let mut changes = shared.changes();
    loop {
        let stopped = shared.agreement.consensus().and_then(|c| c.status().borrow().stopped.clone());
        if let Some(reason) = stopped {
            return format!("consensus stopped: {reason}");
        }
        let _ = tokio::time::timeout(Duration::from_secs(1), changes.changed()).await;
    }
}

impl Running {
    /// Hands the leadership over, says goodbye, and lets go of everything.
    pub(crate) async fn stop(self) {
        self.shared.set_stopping();
        self.notifier.stopping();
        if let Some(consensus) = self.shared.agreement.consensus() {
            consensus.shutdown().await;
        }
        self.shared.members.leave().await;
        self.work.cancel();
        self.follower.stopped().await;
        self.tasks.close();
        // The HTTP servers give requests under way two seconds; nothing else takes as long.
        if tokio::time::timeout(Duration::from_secs(5), self.tasks.wait()).await.is_err() {
            warn!("some tasks did not end in time");
        }
        self.link_stop.cancel();
        self.shared.links.stopped().await;
    }
}

/// Begins to vote if a reload has made this node one of the voters that its hosts file names.
pub(crate) async fn begin_to_vote(shared: &Shared) {
    if shared.agreement.consensus().is_some() {
        return;
    }
    let Some(voters) = shared.hosts().and_then(|h| h.voters.clone()) else { return };
    let voters: BTreeSet<NodeId> = voters.into_iter().collect();
    let Some(config) = consensus_config(shared.settings(), &voters, &shared.settings().state_dir) else { return };
    match Consensus::start(config, Arc::new(RaftOverLinks(shared.links.clone()))).await {
        Ok(consensus) => {
            info!("this node is one of the voters of the hosts file now; it takes part once the leader lets it");
            take_part(&shared.agreement, consensus, &shared.supervisor, shared.agreement.stop());
        }
        Err(error) => warn!(%error, "this node is to vote, and cannot"),
    }
}

fn take_part(agreement: &Arc<Agreement>, consensus: Consensus, supervisor: &Supervisor, stop: &CancellationToken) {
    let watched = consensus.clone();
    supervisor.register_counter("consensus", SUBSYSTEM_LIMIT, move || watched.progress(), stop.clone());
    let source = Arc::new(WatchSource::new(consensus.clone()));
    let hub = Hub::start(HubConfig::new(agreement.node().clone()), source, stop.clone());
    agreement.set_consensus(consensus, hub);
}

/// A node keeps a log if the file names it as a voter, or if it has kept one before: a voter that was taken out of the file
/// still votes until the cluster has agreed that it does not.
fn consensus_config(settings: &Settings, voters: &BTreeSet<NodeId>, state_dir: &Path) -> Option<ConsensusConfig> {
    let node = settings.node_id.value.clone();
    let dir: PathBuf = state_dir.join("consensus");
    if !voters.contains(&node) && !dir.join("consensus.redb").exists() {
        return None;
    }
    Some(ConsensusConfig {
        node,
        dir,
        genesis: voters.clone(),
        timers: Timers {
            heartbeat: *settings.heartbeat,
            election_min: *settings.election_timeout_min,
            election_max: *settings.election_timeout_max,
        },
    })
}

fn identity(settings: &Settings) -> Result<Identity> {
    let node = &settings.node_id.value;
    if let Some(tls) = &settings.tls.value {
        return Ok(Identity::from_files(node, &tls.ca, &tls.cert, &tls.key)?);
    }
    if let Some(tokens) = &settings.tokens.value {
        let old = tokens.old.as_ref().map(Token::as_bytes);
        return Ok(Identity::from_secrets(node, tokens.primary.as_bytes(), old)?);
    }
    Ok(Identity::insecure(node)?)
}

/// The sockets that systemd passed under this name, or one of our own.
async fn listeners(
    passed: &mut Listeners,
    socket: Socket,
    settings: &Settings,
    port: Option<u16>,
) -> Result<Vec<TcpListener>> {
    let adopted = passed.take(socket);
    if !adopted.is_empty() {
        // Without a token every caller is trusted. The settings refuse such a bind address; a passed socket has its own.
        let open = settings.tokens.value.is_none() && !*settings.insecure;
        for listener in &adopted {
            let addr = listener.local_addr()?;
            if open && !addr.ip().to_canonical().is_loopback() {
                bail!(
                    "error: without a token only loopback is served, and systemd passed {addr} ({}): make a token with \
                     `ringriftctl token new`, or say --insecure",
                    socket.name()
                );
            }
        }
        return adopted.into_iter().map(|l| Ok(TcpListener::from_std(l)?)).collect();
    }
    let Some(port) = port.filter(|p| *p != 0) else { return Ok(Vec::new()) };
    let addr = SocketAddr::new(settings.bind_addr.value, port);
    match TcpListener::bind(addr).await {
        Ok(listener) => Ok(vec![listener]),
        Err(error) => bail!("cannot listen on {addr} ({}): {error}", socket.name()),
    }
}

/// What this node tells others to dial.
fn address(settings: &Settings, host: Option<&Host>) -> Address {
    let advertised = settings.advertise_host.value.clone().or_else(|| host.and_then(Host::dial_host));
    let found = local_address(settings.bind_addr.value);
    Address {
        host: advertised.unwrap_or_else(|| found.map(|ip| ip.to_string()).unwrap_or_default()),
        link_port: settings.public_link_port(host),
        http_port: settings.public_http_port(host),
        alternate_ips: found.map(|ip| ip.to_string()).into_iter().collect(),
    }
}

/// The address that this machine would send from: of the bind address if that is specific, else of the default route.
fn local_address(bind: IpAddr) -> Option<IpAddr> {
    if !bind.is_unspecified() {
        return Some(bind);
    }
    // Connecting a datagram socket sends nothing: it only asks the kernel which source address it would choose.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|a| a.ip())
}
