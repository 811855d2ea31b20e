//! `ringrift-p2p check-config`, and the same loading for `run`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{ErrorKind, Write as _},
};

use anyhow::{Context as _, Result};
use ringrift_config::{Flags, HostsFile, Resolved, Settings, StartPlan, start_plan};
use ringrift_systemd::logging;
use serde_json::{Map, Value, json};

use crate::start;

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
    let resolved = resolve(flags)?;
    let mut warnings = resolved.warnings;
    // A start that fails for a wrong name or a missing file is often a misspelt variable's doing: tell of it now, since there
    // will be no log to tell it.
    plan(resolved.settings, &mut warnings).inspect_err(|_| tell(&warnings)).map(|(settings, hosts, plan)| Loaded {
        settings,
        hosts,
        plan,
        warnings,
    })
}

/// Reads the settings alone, and judges all that needs no hosts file.
pub(crate) fn settings(flags: &Flags) -> Result<Resolved> {
    let resolved = resolve(flags)?;
    judge(&resolved.settings)?;
    Ok(resolved)
}

fn resolve(flags: &Flags) -> Result<Resolved> {
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    Ok(Settings::resolve(flags, &environment)?)
}

fn judge(settings: &Settings) -> Result<()> {
    logging::check_filter(&settings.log).with_context(|| format!("log ({}) cannot be used", settings.log.source))?;
    if settings.tls.value.is_some() {
        start::identity(settings).context("own certificates (tls_ca, tls_cert, tls_key)")?;
    }
    Ok(())
}

fn plan(settings: Settings, warnings: &mut Vec<String>) -> Result<(Settings, Option<HostsFile>, StartPlan)> {
    judge(&settings)?;
    let hosts = settings.hosts_file.value.as_deref().map(HostsFile::load).transpose()?;
    if let Some(hosts) = &hosts {
        warnings.extend(hosts.warnings.iter().map(ToString::to_string));
    }
    let plan = start_plan(&settings, hosts.as_ref())?;
    warnings.extend(plan.warnings.iter().cloned());
    Ok((settings, hosts, plan))
}

fn tell(warnings: &[String]) {
    for warning in warnings {
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
}

/// Prints what `run` would do.
pub(crate) fn run(args: &Args) -> Result<()> {
    let loaded = match load(&args.flags) {
        Ok(loaded) => loaded,
        Err(error) if args.json => {
            print(&format!("{:#}\n", json!({ "ok": false, "error": crate::sentence(&error) })))?;
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    if args.json {
        return print(&format!("{:#}\n", report(&loaded)));
    }
    tell(&loaded.warnings);
    print(&text(&loaded))
}

fn report(loaded: &Loaded) -> Value {
    let settings: Map<String, Value> = loaded
        .settings
        .effective()
        .into_iter()
        .map(|(key, value, source)| (key.to_owned(), json!({ "value": value, "source": source.to_string() })))
        .collect();
    json!({
        "ok": true,
        "node_id": loaded.plan.node,
        "votes": loaded.plan.is_voter(),
        "voters": loaded.plan.voters,
        "settings": settings,
        "warnings": loaded.warnings,
    })
}

fn text(loaded: &Loaded) -> String {
    let effective = loaded.settings.effective();
    let width = effective.iter().map(|(key, _, _)| key.len()).max().unwrap_or_default();
    let mut text = String::new();
    for (key, value, source) in &effective {
        let _ = writeln!(text, "{key:width$}  {value}  ({source})");
    }
    let part = if loaded.plan.is_voter() { "votes" } else { "does not vote" };
    let (voters, warnings) = (loaded.plan.voters.len(), loaded.warnings.len());
    let _ = writeln!(
        text,
        "\n{} {part}; {}, {}. `run` takes these settings.",
        loaded.plan.node,
        count(voters, "voter"),
        count(warnings, "warning")
    );
    text
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// Writes to standard output. A reader that has seen enough and closed its end is no error.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write the output"),
        _ => Ok(()),
    }
}
