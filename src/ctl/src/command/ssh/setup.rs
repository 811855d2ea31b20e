use std::{collections::BTreeMap, fmt::Write as _};

use clap::Args;
use ringrift_config::{Host, NodeId};
use ringrift_fleet::{HostKeys, Line, Outcome, Ssh};
use serde_json::json;

use super::{
    authorize::{self, ClusterKey},
    check,
    home::Home,
    include,
    known::KnownHosts,
};
use crate::{
    confirm::confirm,
    context::Context,
    failure::Failure,
    fleet::{Fleet, FleetArgs},
    report::Report,
};

/// Which nodes, and with which key.
#[derive(Debug, Args)]
pub(crate) struct SetupArgs {
    #[command(flatten)]
    fleet: FleetArgs,

    /// The cluster's private key; made if it is not there
    #[arg(long, value_name = "FILE", default_value = "~/.ssh/id_cluster")]
    key: String,

    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,

    /// Do not ask before trusting host keys that nobody has vouched for
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(context: &Context, args: &SetupArgs) -> Result<Report, Failure> {
    let fleet = args.fleet.open(context)?;
    let home = Home::of_user()?;
    let key = ClusterKey::of(&home, &args.key);
    let known = KnownHosts::of(&home);
    let hosts: Vec<&Host> = fleet.hosts.iter().filter(|host| host.is_ready()).collect();
    let mut vouched = Vec::new();
    let mut unknown = Vec::new();
    for host in &hosts {
        for endpoint in known.missing(host).await {
            match &host.ssh_host_key {
                Some(host_key) => vouched.push((endpoint, host_key.as_str())),
                None => unknown.push((host.id.as_str(), endpoint)),
            }
        }
    }
    let loose = home.loose(std::slice::from_ref(&key.private));
    if args.dry_run {
        let mut text = String::new();
        if !key.exists() {
            let _ = writeln!(text, "would make the key {}", key.private.display());
        }
        for loose in &loose {
            let _ = writeln!(text, "would {}", loose.command());
        }
        for ((address, port), _) in &vouched {
            let _ = writeln!(text, "would record the host key of {address} port {port} out of the hosts file");
        }
        for (id, (address, port)) in &unknown {
            let _ = writeln!(text, "would trust the host key that {id} shows at {address} port {port}");
        }
        for host in &hosts {
            let _ = writeln!(text, "would put the public key on {}", host.id);
        }
        let _ = writeln!(text, "would write {}/ringrift_config, and include it in config", home.dir.display());
        return Ok(Report::ok(
            text.clone(),
            json!({ "success": true, "dry_run": true, "would": text.lines().collect::<Vec<_>>() }),
        ));
    }
    if !unknown.is_empty() && !args.yes {
        let list: Vec<String> =
            unknown.iter().map(|(id, (address, port))| format!("{id} ({address} port {port})")).collect();
        confirm(
            &format!("Nobody has vouched for the host keys of {}. Trust those that they show now?", list.join(", ")),
            "done",
        )?;
    }
    let mut done = Vec::new();
    if !key.exists() {
        key.make().await?;
        done.push(format!("made the key {}", key.private.display()));
    }
    for loose in home.loose(std::slice::from_ref(&key.private)) {
        loose.tighten().map_err(|e| Failure::local(format!("cannot {}", loose.command()), &e))?;
        done.push(loose.command());
    }
    for (endpoint, host_key) in vouched {
        known.add(&endpoint, host_key).map_err(|e| Failure::local("cannot write known_hosts", &e))?;
        done.push(format!("recorded the host key of {} port {} out of the hosts file", endpoint.0, endpoint.1));
    }
    let answered = put_key(context, args, &fleet, &hosts, &key.line().await?, &mut done).await;
    let text = include::text(&fleet.file, &key.private, &answered);
    done.extend(
        include::write(&home, &text).map_err(|e| Failure::local("cannot write the include for ~/.ssh/config", &e))?,
    );
    // With that key alone, and every host key known by now.
    let ssh = Ssh::new(&args.fleet.ssh, context.timeout()).with_only(&key.private);
    check::tried(context, &fleet, &ssh, &home, done, Some(key.private.clone())).await
}

/// Puts the line on every host, by whatever lets us in now; returns where each was reached. Those that were not, the check that
/// follows names, with what to do.
async fn put_key(
    context: &Context,
    args: &SetupArgs,
    fleet: &Fleet,
    hosts: &[&Host],
    line: &str,
    done: &mut Vec<String>,
) -> BTreeMap<NodeId, (String, u16)> {
    let ssh = args.fleet.ssh(context).accepting(HostKeys::AcceptNew);
    let input = format!("{line}\n");
    let work = async |host: &Host, _: &Line| {
        // At each endpoint: that records its host key. The second time the key is there already.
        let mut put: Option<((String, u16), String)> = None;
        for endpoint in host.ssh_endpoints() {
            if let Ok(ran) = ssh.run_fed_at(host, &endpoint, authorize::SCRIPT, &input).await
                && put.is_none()
            {
                let said = if ran.code == 0 { ran.out } else { ran.err };
                put = Some((endpoint, said.trim().to_owned()));
            }
        }
        put
    };
    let told = |put: &Option<((String, u16), String)>| match put {
        Some((_, said)) if said == "key=added" => "the key was added".to_owned(),
        Some((_, said)) if said == "key=there" => "the key was there".to_owned(),
        Some((_, said)) => format!("the key could not be added: {said}"),
        None => "not reached".to_owned(),
    };
    let outcomes = fleet.each("putting the key", hosts, work, told).await;
    let mut answered = BTreeMap::new();
    for (host, outcome) in hosts.iter().zip(outcomes) {
        if let Outcome::Done(put) = outcome {
            if put.as_ref().is_some_and(|(_, said)| said != "key=there") {
                done.push(format!("{}: {}", host.id, told(&put)));
            }
            if let Some((endpoint, _)) = put {
                answered.insert(host.id.clone(), endpoint);
            }
        }
    }
    answered
}
