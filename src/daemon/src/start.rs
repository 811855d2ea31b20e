//! Makes a running node out of settings, and takes it down in order.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use arc_swap::{ArcSwap, ArcSwapOption};
use ringrift_config::{Flags, Host, NodeId, Settings, Token};
use ringrift_consensus::{Consensus, ConsensusConfig, Timers, WatchSource};
use ringrift_health::Sampler;
use ringrift_link::{Identity, Limits as LinkLimits, LinkConfig, Links};
use ringrift_members::{Members, MembersConfig, Timing};
use ringrift_systemd::{Listeners, Notifier, Socket, Supervisor, watchdog::watchdog_interval};
use ringrift_watch::{Follower, FollowerConfig, Hub, HubConfig};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

use crate::{
    agreement::Agreement,
    book::Book,
    check::Loaded,
    dispatch::Dispatch,
    facts::{Address, NodeFacts},
    gpus,
    http::{
        self,
        server::{self, Limits, Watched},
    },
    jobs::{self, Jobs},
    leader,
    models::{self, Models, SwarmDialer},
    node::{Parts, Shared},
    peers::{self, IdTaken},
    publisher, supervised,
    wire::{GossipOverLinks, RaftOverLinks, VoterDialer},
};

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
    model_server: Option<ringrift_models::Handle>,
    tasks: TaskTracker,
}

/// Starts every part. When it returns, the node is ready: listeners adopted, settings valid, state loaded.
pub(crate) async fn start(flags: Flags, loaded: Loaded, mut passed: Listeners) -> Result<Running> {
    let Loaded { settings, hosts, plan, warnings: _ } = loaded;
    let settings = Arc::new(settings);
    let hosts = hosts.map(Arc::new);
    let node = settings.node_id.value.clone();
    let instance: u64 = rand::random();
    let state_dir = settings.state_dir.value.clone();
    std::fs::create_dir_all(&state_dir).with_context(|| format!("cannot create {}", state_dir.display()))?;

    let api = listeners(&mut passed, Socket::Api, &settings, Some(*settings.http_port)).await?;
    let link = listeners(&mut passed, Socket::Link, &settings, Some(*settings.link_port)).await?;
    let health = listeners(&mut passed, Socket::Health, &settings, *settings.health_port).await?;
    let model_sockets = listeners(&mut passed, Socket::Models, &settings, *settings.models_port).await?;
    let hang = supervised::fault()?;

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
        listeners: link,
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

    let (signer, verifier) = models::signing(&settings);
    let models_dialer = SwarmDialer::new(members.clone(), signer);
    let models = open_models(&settings, dials_out_only, models_dialer, &work).await;
    if let Ok(models) = &models {
        let engine = models.engine.clone();
        let turns = move || engine.progress_counter();
        supervisor.register_counter(supervised::EXCHANGE, supervised::LIMIT, turns, work.clone());
    }

    let jobs = Jobs::open(&settings).await;
    let sampler = Sampler::start(&state_dir, work.clone());
    let gpus = gpus::sampler(&settings.nvml_library);
    let gossip = members.clone();
    supervisor.register_counter(supervised::GOSSIP, supervised::LIMIT, move || gossip.progress(), work.clone());
    let following = follower.clone();
    supervisor.register_counter(supervised::FOLLOWER, supervised::LIMIT, move || following.progress(), work.clone());
    if links.progress().is_some() {
        let linking = links.clone();
        let rounds = move || linking.progress().unwrap_or_default();
        supervisor.register_counter(supervised::LINKS, supervised::LIMIT, rounds, work.clone());
    }

    let shared = Shared::new(Parts {
        node,
        instance,
        flags,
        settings: ArcSwap::new(settings.clone()),
        hosts: ArcSwapOption::new(hosts),
        named_voters: ArcSwap::from_pointee(plan.voters),
        facts: ArcSwap::from_pointee(facts),
        book,
        links,
        members,
        agreement,
        sampler,
        gpus,
        supervisor: supervisor.clone(),
        models,
        jobs,
    });
    let router = http::api(&shared);
    shared.set_router(router.clone());
    dispatch.serve_http(router.clone());
    shared.watch_pipeline(work.clone());

    let limits = Limits { max_connections: *settings.max_connections, header_timeout: *settings.header_timeout };
    let watched = |name| Watched { name, heartbeat: supervisor.register(name, supervised::LIMIT), hang: hang.clone() };
    for listener in api {
        tasks.spawn(server::run(listener, router.clone(), limits, watched(supervised::HTTP), work.clone()));
    }
    for listener in health {
        let router = http::health(&shared);
        tasks.spawn(server::run(listener, router, limits, watched(supervised::HEALTH), work.clone()));
    }
    let mut model_server = None;
    if let Ok(models) = &shared.models {
        if !model_sockets.is_empty() {
            model_server = Some(models::serve(model_sockets, &shared, models, verifier)?);
        }
        if *settings.models_scrub > 0 {
            tasks.spawn(models::scrub::run(models.store.clone(), work.clone()));
        }
        let watched = watched(supervised::MODELS);
        let (shared, models, work) = (shared.clone(), models.clone(), work.clone());
        tasks.spawn(models::run(shared, models, watched, work));
    }
    tasks.spawn(jobs::run(shared.clone(), shared.jobs.clone(), watched(supervised::JOBS), work.clone()));
    tasks.spawn(jobs::lead(shared.clone(), hang.clone(), work.clone()));
    let notifier = Notifier::from_environment();
    let (taken, id_taken) = mpsc::channel(1);
    tasks.spawn(supervisor.run(notifier.clone(), watchdog_interval(), work.clone()));
    tasks.spawn(leader::run(shared.clone(), hang.clone(), work.clone()));
    tasks.spawn(publisher::run(shared.clone(), notifier.clone(), hang.clone(), work.clone()));
    tasks.spawn(supervised::inject(shared.clone(), hang, work.clone()));
    tasks.spawn(peers::watch_links(shared.clone(), taken, work.clone()));
    tasks.spawn(peers::watch_members(shared.clone(), work.clone()));
    tasks.spawn(peers::find_seeds(shared.clone(), settings.bootstrap_seeds.value.clone(), work.clone()));
    if dials_out_only {
        tasks.spawn(peers::keep_links(shared.clone(), work.clone()));
    }
    shared.set_ready();
    Ok(Running { shared, notifier, id_taken, work, link_stop, follower, model_server, tasks })
}

/// Opens the models' folders. A node whose disk is not as it should be still votes and works: it says what is wrong, on
/// `/status` of all nodes and in the log.
async fn open_models(
    settings: &Arc<Settings>,
    dials_out_only: bool,
    dialer: SwarmDialer,
    work: &CancellationToken,
) -> Result<Models, String> {
    let (settings, work) = (settings.clone(), work.clone());
    let runtime = tokio::runtime::Handle::current();
    let opened = tokio::task::spawn_blocking(move || {
        let _inside = runtime.enter();
        Models::start(&settings, dials_out_only, dialer, work).map_err(|error| error.to_string())
    });
    let opened = opened.await.unwrap_or_else(|error| Err(error.to_string()));
    if let Err(why) = &opened {
        error!("this node has no part in models: {why}");
    }
    opened
}

/// Waits until a part of the node has failed for good, and says which.
pub(crate) async fn failed(shared: &Shared) -> String {
    let mut changes = shared.changes();
    loop {
        let stopped = shared.agreement.consensus().and_then(|c| c.status().borrow().stopped.clone());
        if let Some(reason) = stopped {
            return format!("consensus stopped: {reason}");
        }
        let _ = tokio::time::timeout_at(ringrift_tick::next(Duration::from_secs(1)), changes.changed()).await;
    }
}

impl Running {
    /// Hands the leadership over, says goodbye, and lets go of everything. A part that is stuck is left behind: all of it
    /// together stays below the unit's `TimeoutStopSec=`, after which the others would have had no goodbye either.
    pub(crate) async fn stop(self) {
        self.shared.set_stopping();
        self.notifier.stopping();
        if let Some(consensus) = self.shared.agreement.consensus() {
            // Two seconds for a successor; the rest is the disk's.
            at_most(8, "consensus", consensus.shutdown()).await;
        }
        at_most(2, "gossip", self.shared.members.leave()).await;
        self.work.cancel();
        at_most(4, "the copy of the agreed state", self.follower.stopped()).await;
        if let Some(server) = self.model_server {
            at_most(6, "the model server", server.stop()).await;
        }
        self.tasks.close();
        // The HTTP servers give requests under way two seconds; nothing else takes as long.
        at_most(4, "the daemon's own loops", self.tasks.wait()).await;
        self.link_stop.cancel();
        at_most(4, "links", self.shared.links.stopped()).await;
    }
}

/// Waits for the end of a part, and not for ever.
async fn at_most(seconds: u64, part: &str, end: impl Future<Output = ()>) {
    if tokio::time::timeout(Duration::from_secs(seconds), end).await.is_err() {
        warn!("{part} did not end within {seconds} s; stopping without it");
    }
}

/// Begins to vote if a reload has made this node one of the voters that its file or settings name.
pub(crate) async fn begin_to_vote(shared: &Shared) {
    if shared.agreement.consensus().is_some() {
        return;
    }
    let voters = shared.named_voters();
    let settings = shared.settings();
    let Some(config) = consensus_config(&settings, &voters, &settings.state_dir) else { return };
    match Consensus::start(config, Arc::new(RaftOverLinks(shared.links.clone()))).await {
        Ok(consensus) => {
            info!("this node is named as a voter now; it takes part once the leader lets it");
            take_part(&shared.agreement, consensus, &shared.supervisor, shared.agreement.stop());
        }
        Err(error) => warn!(%error, "this node is to vote, and cannot"),
    }
}

fn take_part(agreement: &Arc<Agreement>, consensus: Consensus, supervisor: &Supervisor, stop: &CancellationToken) {
    let watched = consensus.clone();
    supervisor.register_counter(supervised::CONSENSUS, supervised::LIMIT, move || watched.progress(), stop.clone());
    let (source, translation) = WatchSource::prepare(consensus.clone());
    tokio::spawn(translation);
    let hub = Hub::start(HubConfig::new(agreement.node().clone()), Arc::new(source), stop.clone());
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

/// Who this node is to the others; certificates of the operator's own are read from their files.
pub(crate) fn identity(settings: &Settings) -> Result<Identity> {
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
    // The provider maps ports at its own address; in the tailnet a service has the port that it listens on.
    let mapped = host.filter(|_| !in_tailnet(advertised.as_deref(), host));
    let port = |inside| if mapped.is_none() && host.is_some() { inside } else { settings.public_port(inside, mapped) };
    Address {
        host: advertised.unwrap_or_else(|| found.map(|ip| ip.to_string()).unwrap_or_default()),
        link_port: port(*settings.link_port),
        http_port: port(*settings.http_port),
        models_port: settings.models_port.map(port).unwrap_or_default(),
        alternate_ips: found.map(|ip| ip.to_string()).into_iter().collect(),
    }
}

/// Whether what a node advertises is its address in the tailnet.
fn in_tailnet(advertised: Option<&str>, host: Option<&Host>) -> bool {
    let tailscale_ip = host.and_then(|host| host.tailscale_ip.as_deref());
    tailscale_ip.is_some() && tailscale_ip == advertised
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
