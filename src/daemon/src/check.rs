//! `ringrift-p2p check-config`, and the same loading for `run`.

use std::collections::BTreeMap;

use anyhow::Result;
use ringrift_config::{Flags, HostsFile, Settings, StartPlan, start_plan};

/// Arguments of `ringrift-p2p check-config`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    flags: Flags,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Everything that is read before a node starts.
pub(crate) struct Loaded {
    pub(crate) settings: Settings,
    pub(crate) hosts: Option<HostsFile>,
    pub(crate) plan: StartPlan,
    pub(crate) warnings: Vec<String>,
}

/// Reads settings and hosts file.
pub(crate) fn load(flags: &Flags) -> Result<Loaded> {
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    let resolved = Settings::resolve(flags, &environment)?;
    let hosts = resolved.settings.hosts_file.value.as_deref().map(HostsFile::load).transpose()?;
    let mut warnings = resolved.warnings;
    if let Some(hosts) = &hosts {
        warnings.extend(hosts.warnings.iter().map(ToString::to_string));
    }
    let plan = start_plan(&resolved.settings, hosts.as_ref())?;
    warnings.extend(plan.warnings.iter().cloned());
    Ok(Loaded { settings: resolved.settings, hosts, plan, warnings })
}

/// Prints what `run` would do.
pub(crate) fn run(args: &Args) -> Result<()> {
    let loaded = load(&args.flags)?;
    let plan = &loaded.plan;
    let effective = loaded.settings.effective();
    if args.json {
        let settings: serde_json::Map<String, serde_json::Value> = effective
            .iter()
            .map(|(key, value, source)| {
                ((*key).to_string(), serde_json::json!({ "value": value, "source": source.to_string() }))
            })
            .collect();
        let report = serde_json::json!({
            "ok": true,
            "node_id": loaded.settings.node_id.value,
            "votes": plan.voters.contains(&loaded.settings.node_id.value),
            "voters": plan.voters,
            "settings": settings,
            "warnings": loaded.warnings,
        });
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    let width = effective.iter().map(|(key, _, _)| key.len()).max().unwrap_or_default();
    for (key, value, source) in &effective {
        println!("{key:width$}  {value}  ({source})");
    }
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    let part = if plan.voters.contains(&loaded.settings.node_id.value) { "votes" } else { "does not vote" };
    println!(
        "\n{} {part}; {} voters; {} warnings. `run` would start.",
        loaded.settings.node_id.value,
        plan.voters.len(),
        loaded.warnings.len()
    );
    Ok(())
}
