mod act;
mod ask;
mod check;
mod report;
mod rolling;
pub(crate) mod script;
mod state;
pub(crate) mod walk;

use clap::Subcommand;
use ringrift_api::Status;
use ringrift_config::Host;

use self::{act::ActArgs, rolling::RestartArgs};
pub(crate) use self::{
    ask::{Api, over_ssh},
    script::{UNIT, with_functions},
    state::State,
};
use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    fleet::{Fleet, FleetArgs},
};

/// What to do with the daemons of many nodes.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Show of every node whether its daemon runs, and if not, why
    ///
    /// Nodes are asked through the daemon at --api; those that do not answer there, over SSH. Ends with 0 only when every
    /// node that should run the daemon does.
    #[command(after_help = "\
Examples:
  ringriftctl cluster check
  ringriftctl cluster check --node 'gpu-*'
  ringriftctl cluster check --role coordinator --json | jq '.nodes[] | select(.state != \"running\")'")]
    Check(FleetArgs),
    /// Start the daemon where it does not run
    ///
    /// Over SSH, by systemd; in a container without systemd as a process of its own.
    #[command(after_help = "\
Examples:
  ringriftctl cluster start
  ringriftctl cluster start --node nebius-backbone-1
  ringriftctl cluster start --dry-run")]
    Start(ActArgs),
    /// Stop the daemon; jobs run on
    #[command(after_help = "\
Examples:
  ringriftctl cluster stop --node gpu-3
  ringriftctl cluster stop --node gpu-3 --dry-run")]
    Stop(ActArgs),
    /// Restart the daemon, a few nodes at a time; jobs run on
    ///
    /// Workers in batches, then the voters one by one, the leader last after it has handed the leadership over. Each step waits
    /// until its nodes are back, have caught up and have found their jobs again. It stops at the first node that does not come
    /// back, and before the quorum would have none to spare. Also takes a changed address into use.
    #[command(after_help = "\
Examples:
  ringriftctl cluster restart
  ringriftctl cluster restart --node nebius-backbone-1
  ringriftctl cluster restart --batch 8 --dry-run
  ringriftctl cluster restart --resume
  ringriftctl cluster restart --all-at-once")]
    Restart(RestartArgs),
}

pub(crate) async fn run(context: &Context, command: ClusterCommand) -> Result<Exit, Failure> {
    let report = match command {
        ClusterCommand::Check(args) => check::run(context, &args).await?,
        ClusterCommand::Start(args) => act::start(context, &args).await?,
        ClusterCommand::Stop(args) => act::stop(context, &args).await?,
        ClusterCommand::Restart(args) => rolling::run(context, &args).await?,
    };
    report.print(context.json)?;
    Ok(report.exit)
}

/// What is done with the daemon of one host over SSH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Start,
    Stop,
}

/// Starts or stops the daemon of one host, which is of no other's concern. Whether it is then as it should be, and how it is.
pub(crate) async fn act_on(fleet: &Fleet, host: &Host, deed: Deed) -> (bool, String) {
    let script = match deed {
        Deed::Start => script::start("start", &host.id),
        Deed::Stop => script::stop(),
    };
    let lines = fleet.lines("", 1);
    let line = lines.begin(host.id.as_str());
    let state = ask::over_ssh(&fleet.ssh, host, &line, &script).await;
    let well = match deed {
        Deed::Start => state.is_running(),
        Deed::Stop => state == State::Stopped,
    };
    line.end(&state.to_string());
    (well, state.to_string())
}

/// What was found out about the daemons of these hosts.
#[derive(Debug)]
pub(crate) struct Looked {
    /// What the daemon at `--api` knows, or why it was not asked.
    pub(crate) status: Result<Status, Failure>,
    /// Of each host that should run the daemon and does not: how it is, and what mends it.
    pub(crate) down: Vec<(Host, String, String)>,
    /// Those that do.
    pub(crate) running: Vec<Host>,
}

/// Asks the daemons of these hosts how they are, as `cluster check` does.
pub(crate) async fn look(context: &Context, fleet: &Fleet) -> Result<Looked, Failure> {
    let api = Api::open(context).await?;
    let states = check::states(fleet, &api, "looking").await;
    let mut looked = Looked {
        status: match (api.status, api.unasked) {
            (Some(seen), _) => Ok(seen),
            (None, why) => Err(why.unwrap_or_else(|| Failure::new(Exit::Unreachable, "no daemon was asked"))),
        },
        down: Vec::new(),
        running: Vec::new(),
    };
    for (host, state) in fleet.hosts.iter().zip(states) {
        match &state {
            State::Skipped(_) => {}
            State::Running(_) => looked.running.push(host.clone()),
            down => {
                let remedy = down.remedy(host).unwrap_or_default();
                looked.down.push((host.clone(), down.to_string(), remedy));
            }
        }
    }
    Ok(looked)
}
