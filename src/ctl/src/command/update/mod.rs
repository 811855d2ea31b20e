//! Another version of the program on every node, by the walk of a rolling restart.

#![expect(clippy::doc_markdown, reason = "these comments are help texts: people would see the backticks")]

mod checkout;
mod debian;
mod look;
mod nixos;
mod record;
mod report;
mod task;
mod version;
mod work;

use std::{cell::RefCell, collections::BTreeMap, path::PathBuf, rc::Rc};

use clap::Args;
use ringrift_config::{Host, NodeId};
use ringrift_fleet::{Line, Outcome, Ran, Unreached};

use self::{
    debian::Package,
    look::Found,
    record::Record,
    report::Fate,
    task::{Goal, Sources},
    version::{Version, Way},
    work::Updating,
};
use super::cluster::{
    Api, State,
    walk::{Back, FewVoters, Plan, Walk},
};
use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    fleet::{Fleet, FleetArgs},
    report::Report,
};

/// Which nodes, and with what.
#[derive(Debug, Args)]
// Building a system, or installing PyTorch, takes longer than other commands.
#[command(mut_arg("deadline", |deadline| deadline.default_value("1800")))]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    fleet: FleetArgs,

    /// How many workers at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = crate::fleet::at_least_one)]
    batch: usize,

    /// The flake with nodes of NixOS: each gets what FLAKE#NODE is
    #[arg(long, value_name = "FLAKE", value_parser = flake)]
    flake: Option<String>,

    /// A Debian package, named NAME_VERSION_ARCHITECTURE.deb; once for each architecture
    ///
    /// Without it Debian's nodes get the version of --to, or the newest, that their own apt-get finds.
    #[arg(long = "package", value_name = "FILE")]
    packages: Vec<PathBuf>,

    /// The version that apt-get installs; the tag, branch or commit that checkouts go to
    #[arg(long, value_name = "VERSION", value_parser = plain, conflicts_with = "packages")]
    to: Option<String>,

    /// How nodes are updated, whatever is found on them; with --rollback: which update of theirs is taken back, and not the last
    #[arg(long, value_name = "WAY")]
    way: Option<Way>,

    /// Go back to the version that each node had before it was updated last
    #[arg(long, conflicts_with_all = ["flake", "packages", "to"])]
    rollback: bool,

    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,

    /// Go on where there are only one or two voters: the cluster has no leader while one of them is restarted
    #[arg(long)]
    yes: bool,
}

/// A host, how it was found, and what it is to have.
#[derive(Debug)]
struct Node<'a> {
    host: &'a Host,
    state: State,
    before: Option<Version>,
    /// The error is why nothing is done with it.
    goal: Result<Goal, Fate>,
}

pub(crate) async fn run(context: &Context, args: &UpdateArgs) -> Result<Report, Failure> {
    let fleet = args.fleet.open(context)?;
    let record = Record::of(&fleet.file.path)?;
    if args.rollback && record.is_empty() {
        return Err(Failure::new(Exit::Failed, "there is no update to be rolled back")
            .advise(format!("{} would have it: it lies where `ringriftctl update` ran.", record.path().display())));
    }
    let packages = args.packages.iter().map(|path| Package::open(path).map(Rc::new)).collect::<Result<_, _>>()?;
    let sources = Sources { flake: args.flake.clone(), packages, to: args.to.clone() };
    let api = Api::open(context).await?;
    let nodes = look(args, &fleet, &sources, &record).await;

    let turns: Vec<(&Host, &State, &Goal)> =
        nodes.iter().filter_map(|node| Some((node.host, &node.state, node.goal.as_ref().ok()?))).collect();
    let goals: BTreeMap<NodeId, Goal> =
        turns.iter().map(|(host, _, goal)| (host.id.clone(), (*goal).clone())).collect();
    // Where nobody can be asked about the others, no daemon may be taken away; one that does not run may be replaced.
    let is_taken_away = |(_, state, goal): &(&Host, &State, &Goal)| {
        goal.way() != Way::Git && matches!(state, State::Running(_) | State::Starting(_))
    };
    let back = match &api.status {
        Some(seen) => Some(Back::new(context, seen)?),
        None if turns.iter().any(is_taken_away) => {
            let why = api.unasked.unwrap_or_else(|| Failure::new(Exit::Unreachable, "no daemon was asked"));
            return Err(why.advise(
                "An update asks a daemon how far the others are before it takes one away: name one with --api.",
            ));
        }
        None => None,
    };
    // A checkout is not what the daemon runs from: nobody's vote is missing meanwhile.
    let votes = |id: &NodeId| match &api.status {
        Some(seen) => seen.voter_node_ids.contains(id),
        None => fleet.file.is_voter(id),
    };
    let is_voter = |id: &NodeId| votes(id) && goals.get(id).is_some_and(|goal| goal.way() != Way::Git);
    let leader = api.status.as_ref().and_then(|seen| seen.leader_id.as_ref());
    let hosts: Vec<(&Host, &State)> = turns.iter().map(|(host, state, _)| (*host, *state)).collect();
    let plan = Plan::new(&hosts, is_voter, leader, args.batch);
    if args.dry_run {
        return Ok(report::planned(&plan, &nodes, args.rollback));
    }
    let few_voters = if args.yes {
        FewVoters::GoOn
    } else {
        FewVoters::Stop("so few voters are updated only with --yes, and the cluster has no leader meanwhile")
    };
    let record = RefCell::new(record);
    let work = Updating { ssh: &fleet.ssh, goals, record, back: args.rollback, after: RefCell::new(BTreeMap::new()) };
    let course = Walk { fleet: &fleet, back, work: &work, few_voters }.go(&plan).await;
    let after = work.after.into_inner();
    Ok(report::finished(context, &plan, nodes, course, after, args.rollback))
}

/// Finds out what every host has, and what it is to have.
async fn look<'a>(args: &UpdateArgs, fleet: &'a Fleet, sources: &Sources, record: &Record) -> Vec<Node<'a>> {
    let recorded = |host: &Host| record.entry(&host.id, args.way).map(|entry| entry.before.clone());
    // What was updated is taken back whatever its status is now.
    let meant = |host: &Host| if args.rollback { recorded(host).is_some() } else { host.is_ready() };
    let asked: Vec<&Host> = fleet.hosts.iter().filter(|host| meant(host)).collect();
    let ask = async |host: &Host, line: &Line| {
        line.says("over SSH");
        look::at(&fleet.ssh, host).await
    };
    let told = |found: &Result<Found, Unreached>| match found {
        Ok(found) => found.state.to_string(),
        Err(unreached) => State::Unreachable(unreached.clone()).to_string(),
    };
    let mut outcomes = fleet.each("looking", &asked, ask, told).await.into_iter();
    let mut node = |host: &'a Host| {
        if !meant(host) {
            let why = if args.rollback { "it was not updated".to_owned() } else { format!("status: {}", host.status) };
            return Node { host, state: State::Skipped(why.clone()), before: None, goal: Err(Fate::Skipped(why)) };
        }
        let found = match outcomes.next() {
            Some(Outcome::Done(Ok(found))) => found,
            Some(Outcome::Done(Err(unreached))) => {
                let state = State::Unreachable(unreached);
                let goal = Err(Fate::Unreached(state.to_string()));
                return Node { host, state, before: None, goal };
            }
            other => {
                let state = match other {
                    Some(Outcome::Overdue(after)) => State::from(Outcome::Overdue(after)),
                    Some(Outcome::Interrupted) => State::from(Outcome::Interrupted),
                    _ => State::from(Outcome::NotBegun),
                };
                let goal = Err(Fate::LeftAlone(state.to_string()));
                return Node { host, state, before: None, goal };
            }
        };
        let (way, goal) = match recorded(host).filter(|_| args.rollback) {
            Some(before) => (Some(before.way()), Ok(Goal::Before(before))),
            None => match found.way(args.way) {
                Ok(way) => (Some(way), sources.goal(way, &found)),
                Err(why) => (None, Err(why)),
            },
        };
        let before = way.and_then(|way| found.version(way)).cloned();
        // One that runs what it is to have needs no turn: a leader would hand the leadership over for nothing.
        let unfinished = record.entry(&host.id, way).is_some_and(|entry| entry.after.is_none());
        let is_well = matches!(found.state, State::Running(_) | State::Stopped) && !unfinished;
        if !args.rollback && is_well && goal.as_ref().is_ok_and(|goal| goal.is_met(&found) == Some(true)) {
            return Node { host, state: found.state, before, goal: Err(Fate::Unchanged) };
        }
        Node { host, state: found.state, before, goal: goal.map_err(Fate::LeftAlone) }
    };
    fleet.hosts.iter().map(&mut node).collect()
}

/// What a script said that failed.
fn ran_well(ran: Result<Ran, Unreached>) -> Result<(), String> {
    match ran {
        Ok(ran) if ran.code == 0 => Ok(()),
        Ok(ran) => Err(ran.last_words().to_owned()),
        Err(unreached) => Err(unreached.to_string()),
    }
}

/// A flake without a part of it.
fn flake(text: &str) -> Result<String, String> {
    if text.contains('#') {
        return Err("without the part behind #: that is each node's name".to_owned());
    }
    plain(text)
}

/// What a program is given as an argument must not look like one of its options.
fn plain(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('-') {
        return Err("must not be empty or begin with -".to_owned());
    }
    Ok(text.to_owned())
}
