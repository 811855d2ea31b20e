//! The hosts file on every node: copied, checked there, put in place, and read again by its daemon.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    fs,
    path::Path,
};

use clap::Args;
use ringrift_api::Reloaded;
use ringrift_config::{Host, HostsFile, NodeId};
use ringrift_fleet::{Line, Outcome, Ran, quoted};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    command::cluster,
    context::Context,
    exit::Exit,
    failure::Failure,
    fleet::{Fleet, FleetArgs, skipped},
    paint::Tone,
    report::Report,
};

/// To which nodes.
#[derive(Debug, Args)]
pub(crate) struct Distribute {
    #[command(flatten)]
    fleet: FleetArgs,

    /// Copy it, check it there, and take it away again: only say what would be done
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// A hosts file that is right here, as it goes to others.
pub(super) struct Edition {
    text: String,
    revision: String,
    /// The end of the names under which old files are kept.
    moment: String,
    dry_run: bool,
}

/// What became of it on one node.
#[derive(Debug)]
pub(super) enum Got {
    /// It is there.
    There {
        /// Where.
        path: String,
        /// Whether it was another one before; where that is kept, if there was one.
        changed: bool,
        backup: Option<String>,
        /// What its daemon said when it read it.
        daemon: Daemon,
    },
    /// It was left as it was.
    Refused { state: &'static str, why: String, remedy: String },
    /// Nothing was asked of it.
    Skipped(String),
}

/// How it stands with the daemon that is to read the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Daemon {
    /// It has it in force.
    Reloaded(String),
    /// It reads it when it starts.
    Down,
    /// It has it not, and why.
    Not(String),
    /// It was not asked, since nothing was to be changed.
    Unasked,
}

pub(super) async fn run(context: &Context, args: &Distribute) -> Result<Report, Failure> {
    let fleet = args.fleet.open(context)?;
    let edition = Edition::read(&fleet.file, args.dry_run)?;
    let chosen = args.fleet.chooses();
    let got = edition.send(&fleet, |host| if chosen { None } else { skipped(host) }).await;
    Ok(report(context, &fleet, &got, args.dry_run))
}

impl Edition {
    /// The file as it lies here; one with errors goes nowhere.
    fn read(file: &HostsFile, dry_run: bool) -> Result<Self, Failure> {
        let path: &Path = &file.path;
        let text = fs::read_to_string(path)
            .map_err(|error| Failure::local(format!("cannot read {}", path.display()), &error))?;
        let again = HostsFile::parse(&text, path).map_err(|error| super::unusable(path, &error))?;
        if again.revision != file.revision {
            let message = format!("{} changed while it was read", path.display());
            return Err(Failure::new(Exit::Failed, message).advise("Repeat the command."));
        }
        Ok(Self::of(text, again.revision, dry_run))
    }

    /// A text that was read already.
    pub(super) fn of(text: String, revision: String, dry_run: bool) -> Self {
        let moment = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        Self { text, revision, moment, dry_run }
    }

    /// Sends it to each host for which `skip` gives no reason against it.
    pub(super) async fn send(&self, fleet: &Fleet, skip: impl Fn(&Host) -> Option<String>) -> Vec<(NodeId, Got)> {
        let hosts: Vec<&Host> = fleet.hosts.iter().collect();
        let work = async |host: &Host, line: &Line| {
            if let Some(why) = skip(host) {
                return Got::Skipped(why);
            }
            line.says("copying the hosts file");
            match fleet.ssh.run_fed(host, &self.script(&host.id), &self.text).await {
                Ok(ran) => self.read_answer(host, &ran),
                Err(unreached) => {
                    let fault = unreached.fault();
                    Got::Refused {
                        state: "unreachable",
                        why: format!("unreachable ({fault})"),
                        remedy: fault.remedy(host),
                    }
                }
            }
        };
        let outcomes = fleet.each("distributing", &hosts, work, ToString::to_string).await;
        hosts.iter().map(|host| host.id.clone()).zip(outcomes.into_iter().map(Got::from)).collect()
    }

    fn script(&self, node: &NodeId) -> String {
        cluster::with_functions(&format!(
            "node={}\nrevision={}\nmoment={}\ndry_run={}\n{SCRIPT}",
            quoted(node.as_str()),
            self.revision,
            self.moment,
            if self.dry_run { "yes" } else { "" },
        ))
    }

    fn read_answer(&self, host: &Host, ran: &Ran) -> Got {
        let facts: BTreeMap<&str, &str> = ran.out.lines().filter_map(|line| line.split_once('=')).collect();
        let fact = |key: &str| facts.get(key).map(|text| text.trim()).filter(|text| !text.is_empty());
        let Some(path) = fact("there") else {
            let last = || ran.err.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            let why = fact("why").unwrap_or_else(last).to_owned();
            let (state, remedy) = match fact("refused") {
                Some("not_installed") => ("not_installed", "docs/operations.md: Install".to_owned()),
                Some("no_folder") => ("no_folder", "docs/operations.md: Install".to_owned()),
                Some("managed") => ("managed", "change it where its system is made, and switch it there".to_owned()),
                Some("invalid") => (
                    "invalid",
                    format!(
                        "what its daemon is set to there does not go with this file: `ringrift-p2p check-config` on {}",
                        host.id
                    ),
                ),
                _ => ("failed", "log in as a user who may write there, or become root by `sudo -n`".to_owned()),
            };
            return Got::Refused { state, why, remedy };
        };
        let daemon = fact("reload").map_or(Daemon::Unasked, |said| self.reloaded(said));
        Got::There {
            path: path.to_owned(),
            changed: fact("was") != Some("same"),
            backup: fact("backup").map(str::to_owned),
            daemon,
        }
    }

    /// From what `ringriftctl --json reload` said there.
    fn reloaded(&self, said: &str) -> Daemon {
        match (serde_json::from_str::<Reloaded>(said), serde_json::from_str::<Failed>(said)) {
            (Ok(reloaded), _) if reloaded.hosts_revision == self.revision => Daemon::Reloaded(reloaded.message),
            (Ok(_), _) => Daemon::Not("its daemon reads another hosts file".to_owned()),
            (Err(_), Ok(failed)) if failed.exit == Exit::Unreachable.as_str() => Daemon::Down,
            (Err(_), Ok(failed)) => Daemon::Not(failed.error),
            (Err(_), Err(_)) => Daemon::Not(said.to_owned()),
        }
    }
}

/// How `ringriftctl --json` tells a failure.
#[derive(Debug, Deserialize)]
struct Failed {
    error: String,
    exit: String,
}

/// Runs where `with_functions` has made known how the daemon is found there. The new file comes on standard input.
///
/// The file's place is asked of the program that reads it. A file that a system made (NixOS) is not ours to replace.
const SCRIPT: &str = r#"
new=
refuse() { [ -z "$new" ] || as rm -f -- "$new"; echo "refused=$1"; echo "why=$2"; exit 0; }
last() { printf '%s\n' "$1" | sed '/^ *$/d' | tail -n 1; }
check_config() {
  as sh -c '
    [ ! -r /etc/ringrift-p2p/environment ] || { set -a; . /etc/ringrift-p2p/environment; set +a; }
    [ ! -r /etc/ringrift-p2p/token ] || export RINGRIFT_CLUSTER_AUTH_TOKEN_FILE=${RINGRIFT_CLUSTER_AUTH_TOKEN_FILE:-/etc/ringrift-p2p/token}
    export RINGRIFT_NODE_ID=${RINGRIFT_NODE_ID:-$1}
    shift
    exec ringrift-p2p check-config "$@"' check "$node" "$@" < /dev/null
}
setting() { printf '%s\n' "$config" | sed -n "s/^$1  *\(.*\)  (.*)\$/\1/p"; }
command -v ringrift-p2p > /dev/null || refuse not_installed "there is no ringrift-p2p in the path"
path=${RINGRIFT_HOSTS_FILE:-/etc/ringrift-p2p/distributed_hosts.yaml}
as() { as_root "$@"; }
[ ! -w "$(dirname "$path")" ] || as() { "$@"; }
config=$(check_config 2> /dev/null)
case $(setting hosts_file) in /*) path=$(setting hosts_file) ;; esac
# A link, such as one into a checkout, stays a link.
real=$(as readlink -f -- "$path") || refuse no_folder "there is no folder for $path"
case $real in /nix/store/*) refuse managed "$path belongs to the system that NixOS made" ;; esac
folder=$(dirname "$real")
new=$(as mktemp "$folder/.distributed_hosts.XXXXXX" 2>&1) || { said=$new; new=; refuse failed "$(last "$said")"; }
as tee -- "$new" > /dev/null || refuse failed "cannot write to $folder"
[ "$(as cat -- "$new" | sha256sum | cut -c1-64)" = "$revision" ] || refuse failed "other bytes arrived"
config=$(check_config --hosts "$new" 2>&1) || refuse invalid "$(last "$config" | sed "s|$new|$path|g")"
if as cmp -s -- "$new" "$real"; then
  as rm -f -- "$new"
  echo was=same
elif [ -n "$dry_run" ]; then
  as rm -f -- "$new"
else
  if [ -e "$real" ]; then
    backup=$real.before-$moment count=1
    # Two changes may fall into one second.
    while [ -e "$backup" ]; do count=$((count + 1)); backup=$real.before-$moment-$count; done
    as cp -p -- "$real" "$backup" || refuse failed "cannot keep the old file beside it"
    { as chmod --reference="$real" -- "$new" && as chown --reference="$real" -- "$new"; } ||
      refuse failed "cannot give the new file the owner of the old one"
    echo "backup=$backup"
  else
    as chmod 644 -- "$new"
  fi
  as sync -- "$new"
  as mv -f -- "$new" "$real" || refuse failed "cannot put it in place"
fi
new=
echo "there=$path"
[ -z "$dry_run" ] || exit 0
at=$(setting bind_addr) port=$(setting http_port)
case $at in '' | 0.0.0.0 | '[::]' | ::) at=127.0.0.1 ;; esac
echo "reload=$(as ringriftctl --json --api "http://$at:${port:-8770}" reload 2>&1 < /dev/null | tr '\n' ' ')"
"#;

impl From<Outcome<Self>> for Got {
    fn from(outcome: Outcome<Self>) -> Self {
        let why = match outcome {
            Outcome::Done(got) => return got,
            Outcome::Overdue(after) => format!("no end after {:.0} s", after.as_secs_f64()),
            Outcome::Interrupted => "given up in the middle".to_owned(),
            Outcome::NotBegun => "not begun".to_owned(),
        };
        Self::Refused { state: "unknown", why, remedy: "repeat `ringriftctl hosts distribute`".to_owned() }
    }
}

impl Got {
    /// Whether nothing is left to do on that node.
    pub(super) fn is_well(&self) -> bool {
        match self {
            Self::There { daemon, .. } => !matches!(daemon, Daemon::Not(_)),
            Self::Refused { .. } => false,
            Self::Skipped(_) => true,
        }
    }

    fn json(&self, node: &NodeId) -> Value {
        match self {
            Self::There { path, changed, backup, daemon } => {
                let (reloaded, message) = match daemon {
                    Daemon::Reloaded(message) => (Some(true), message.as_str()),
                    Daemon::Down => (Some(false), "its daemon does not run"),
                    Daemon::Not(why) => (Some(false), why.as_str()),
                    Daemon::Unasked => (None, ""),
                };
                json!({
                    "node_id": node, "state": "there", "ok": self.is_well(), "path": path, "changed": changed,
                    "backup": backup, "reloaded": reloaded, "message": message,
                })
            }
            Self::Refused { state, why, remedy } => {
                json!({ "node_id": node, "state": state, "ok": false, "message": why, "remedy": remedy })
            }
            Self::Skipped(why) => json!({ "node_id": node, "state": "skipped", "ok": true, "message": why }),
        }
    }
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::There { changed, daemon: Daemon::Unasked, path, .. } => {
                let would = if *changed { "would be changed" } else { "has it already" };
                write!(f, "{would} ({path})")
            }
            Self::There { changed, daemon, .. } => {
                let was = if *changed { "changed" } else { "had it already" };
                match daemon {
                    Daemon::Reloaded(message) => write!(f, "{was}; {message}"),
                    Daemon::Not(why) => write!(f, "{was}, and is NOT in force: {why}"),
                    Daemon::Down | Daemon::Unasked => {
                        write!(f, "{was}; its daemon does not run, and reads it when it starts")
                    }
                }
            }
            Self::Refused { why, .. } => f.write_str(why),
            Self::Skipped(why) => write!(f, "skipped ({why})"),
        }
    }
}

fn report(context: &Context, fleet: &Fleet, got: &[(NodeId, Got)], dry_run: bool) -> Report {
    let mut text = String::new();
    for (node, got) in got {
        let (mark, tone) = match got {
            Got::Skipped(_) => ("-", Tone::Faint),
            got if got.is_well() => ("✓", Tone::Good),
            _ => ("✗", Tone::Bad),
        };
        let _ = writeln!(text, "  {} {node}: {got}", context.paint.text(tone, mark));
        match got {
            Got::Refused { remedy, .. } => {
                let _ = writeln!(text, "      → {remedy}");
            }
            Got::There { backup: Some(backup), .. } => {
                let _ = writeln!(text, "      the old one is {backup}");
            }
            Got::There { .. } | Got::Skipped(_) => {}
        }
    }
    let (there, wrong) = counts(got);
    let unreached = got.iter().filter(|(_, got)| matches!(got, Got::Refused { state: "unreachable", .. })).count();
    let of = there + wrong.len();
    let (is, tail) = if dry_run { ("could be", " Nothing was changed.") } else { ("is", "") };
    let _ = writeln!(text, "\n{} {is} in force on {there} of {of} nodes.{tail}", fleet.file.path.display());
    let exit = match wrong.len() {
        0 => Exit::Ok,
        wrong if wrong == unreached => Exit::Unreachable,
        _ => Exit::Failed,
    };
    let nodes: Vec<Value> = got.iter().map(|(node, got)| got.json(node)).collect();
    Report::ok(text, json!({ "success": exit == Exit::Ok, "dry_run": dry_run, "nodes": nodes })).exit(exit)
}

/// How many nodes have it in force, and which do not.
pub(super) fn counts(got: &[(NodeId, Got)]) -> (usize, Vec<&(NodeId, Got)>) {
    let there = got.iter().filter(|(_, got)| got.is_well() && !matches!(got, Got::Skipped(_))).count();
    (there, got.iter().filter(|(_, got)| !got.is_well()).collect())
}
