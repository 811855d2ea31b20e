use ringrift_config::Host;
use ringrift_fleet::Line;

use super::{ask::Api, report, state::State};
use crate::{
    context::Context,
    failure::Failure,
    fleet::{Fleet, FleetArgs, skipped},
    report::Report,
};

pub(crate) async fn run(context: &Context, args: &FleetArgs) -> Result<Report, Failure> {
    let fleet = args.open(context)?;
    let api = Api::open(context).await?;
    let states = states(&fleet, &api, "checking").await;
    let results: Vec<_> = fleet.hosts.iter().zip(states).map(|(host, state)| report::Result::of(host, state)).collect();
    Ok(report::report(context, "checking", api.remark(), &results))
}

/// How every host is that is meant.
pub(crate) async fn states(fleet: &Fleet, api: &Api, doing: &str) -> Vec<State> {
    let asked: Vec<&Host> = fleet.hosts.iter().filter(|host| skipped(host).is_none()).collect();
    let ask = async |host: &Host, line: &Line| api.state(&fleet.ssh, host, line).await;
    let outcomes = fleet.each(doing, &asked, ask, ToString::to_string).await;
    let mut outcomes = outcomes.into_iter();
    let mut state = |host: &Host| match skipped(host) {
        Some(why) => State::Skipped(why),
        None => outcomes.next().map_or_else(|| State::Unknown("not asked".to_owned()), State::from),
    };
    fleet.hosts.iter().map(&mut state).collect()
}
