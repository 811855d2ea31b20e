//! What is done on a node, in POSIX shell, and what comes back: lines of `key=value`.

use std::collections::BTreeMap;

use ringrift_config::NodeId;
use ringrift_fleet::{Ran, quoted};

use super::state::{Running, State};

/// The unit of the daemon.
pub(crate) const UNIT: &str = "ringrift-p2p.service";

/// Runs a command as root, if the login may do so without a password.
pub(crate) const AS_ROOT: &str = "as_root() { if [ \"$(id -u)\" = 0 ]; then \"$@\"; else sudo -n \"$@\"; fi; }\n";

/// Finds out how it is. In a container without systemd the daemon is the process that `start` left the number of, with
/// the moment when it began: a number alone may by now be another's.
const LOOK: &str = r#"
look() {
  if [ -d /run/systemd/system ]; then
    echo init=systemd
    systemctl show "$unit" --no-pager -p LoadState,ActiveState,SubState,Result,MainPID,StatusText
    if [ "$(systemctl show "$unit" -p ActiveState --value)" != active ]; then
      # The daemon's own words before systemd's about it.
      last=$(journalctl -q -n 1 -o cat --no-pager "_SYSTEMD_UNIT=$unit" 2>/dev/null | tr '\n' ' ')
      echo "last=${last:-$(journalctl -q -u "$unit" -n 1 -o cat --no-pager 2>/dev/null | tr '\n' ' ')}"
    fi
  else
    echo init=none
    command -v ringrift-p2p > /dev/null || { echo LoadState=not-found; return; }
    echo LoadState=loaded
    if alive; then echo ActiveState=active; echo "MainPID=$pid"; else
      if [ -n "$pid" ]; then
        echo ActiveState=failed
        echo "last=$(tail -n 1 "$log" 2>/dev/null)"
      else
        echo ActiveState=inactive
      fi
    fi
  fi
}
settings() {
  # As systemd would read it for the unit, near enough: lines NAME=value.
  [ ! -r /etc/ringrift-p2p/environment ] || { set -a; . /etc/ringrift-p2p/environment; set +a; }
  state=${RINGRIFT_P2P_STATE_DIR:-/var/lib/ringrift-p2p}
  log=$state/daemon.log
  pidfile=$state/daemon.pid
}
began() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
alive() {
  pid= since=
  [ ! -r "$pidfile" ] || read -r pid since < "$pidfile"
  [ -n "$pid" ] && [ "$(began "$pid")" = "$since" ]
}
answers() { ringriftctl --json --timeout 3 --api "http://127.0.0.1:${RINGRIFT_P2P_PORT:-8770}" status 2>/dev/null; }
advertised() {
  # What it tells others is known a moment after it is ready.
  answers | sed -n 's/^ *"advertise_host": "\(.*\)",*$/advertise=\1/p' | head -n 1
}
settings
"#;

const START: &str = r#"
if [ -d /run/systemd/system ]; then
  as_root systemctl reset-failed "$unit" > /dev/null 2>&1
  as_root systemctl VERB "$unit" 2>&1 | sed 's/^/said=/'
elif command -v ringrift-p2p > /dev/null; then
  if [ VERB = restart ] && alive; then STOP_PLAIN; fi
  if ! alive; then
    mkdir -p "$state" && chmod 700 "$state"
    [ ! -r /etc/ringrift-p2p/token ] || export RINGRIFT_CLUSTER_AUTH_TOKEN_FILE=${RINGRIFT_CLUSTER_AUTH_TOKEN_FILE:-/etc/ringrift-p2p/token}
    export RINGRIFT_NODE_ID=${RINGRIFT_NODE_ID:-NODE}
    setsid ringrift-p2p run < /dev/null >> "$log" 2>&1 &
    echo "$! $(began $!)" > "$pidfile"
    # It is up when it answers.
    tries=0
    until [ -n "$(answers)" ] || ! alive || [ $tries -ge 60 ]; do tries=$((tries + 1)); sleep 0.5; done
  fi
fi
look
advertised
"#;

const STOP: &str = r"
if [ -d /run/systemd/system ]; then
  as_root systemctl stop $unit ringrift-p2p-api.socket ringrift-p2p-link.socket ringrift-p2p-health.socket ringrift-p2p-models.socket 2>&1 | sed 's/^/said=/'
elif alive; then
  STOP_PLAIN
fi
look
";

/// Leadership is handed over and requests under way are finished first, so it gets the time that the unit gives it.
const STOP_PLAIN: &str = r#"kill -TERM "$pid"; tries=0; while alive && [ $tries -lt 60 ]; do tries=$((tries + 1)); sleep 0.5; done; alive && kill -KILL "$pid"; while alive; do sleep 0.1; done; rm -f "$pidfile""#;

/// A script that knows how the daemon is found there: `settings`, `alive`, `look`, `as_root`, and its `unit`.
pub(crate) fn with_functions(script: &str) -> String {
    format!("unit={UNIT}\n{LOOK}\n{script}")
}

/// Only looks.
pub(crate) fn look() -> String {
    filled(&format!("{LOOK}\nlook\nadvertised"), "", None)
}

/// Starts it, or with `restart` makes it anew, and looks.
pub(crate) fn start(verb: &str, node: &NodeId) -> String {
    filled(&format!("{LOOK}{START}"), verb, Some(node))
}

/// Stops it, and its sockets, which would start it again, and looks.
pub(crate) fn stop() -> String {
    filled(&format!("{LOOK}{STOP}"), "stop", None)
}

fn filled(script: &str, verb: &str, node: Option<&NodeId>) -> String {
    let node = node.map(|node| quoted(node.as_str())).unwrap_or_default();
    format!("unit={UNIT}\n{AS_ROOT}{script}")
        .replace("STOP_PLAIN", STOP_PLAIN)
        .replace("VERB", verb)
        .replace(":-NODE", &format!(":-{node}"))
}

/// What such a script found.
pub(crate) fn read(ran: &Ran) -> State {
    let facts: BTreeMap<&str, &str> = ran.out.lines().filter_map(|line| line.split_once('=')).collect();
    let fact = |key: &str| facts.get(key).copied().unwrap_or_default().trim();
    let last = || {
        let texts = [fact("last"), fact("said"), ran.err.lines().last().unwrap_or_default().trim()];
        texts.into_iter().find(|text| !text.is_empty()).unwrap_or("nothing is in its log").to_owned()
    };
    match (fact("LoadState"), fact("ActiveState")) {
        ("not-found", _) if fact("init") == "systemd" => State::NotInstalled(format!("there is no {UNIT}")),
        ("not-found", _) => State::NotInstalled("there is no ringrift-p2p in the path".to_owned()),
        ("masked", _) => State::Failed(format!("{UNIT} is masked")),
        (_, "active" | "reloading") => State::Running(Running {
            pid: fact("MainPID").parse().unwrap_or_default(),
            advertise: fact("advertise").to_owned(),
            ..Running::default()
        }),
        (_, "activating") if fact("SubState").starts_with("auto-restart") => {
            State::Failed(format!("systemd starts it again and again: {}, {}", fact("Result"), last()))
        }
        (_, "activating" | "deactivating") => State::Starting(format!("systemd: {}", fact("SubState"))),
        (_, "inactive") if fact("said").is_empty() => State::Stopped,
        (_, "inactive") => State::Failed(fact("said").to_owned()),
        (_, "failed") => State::Failed(match fact("Result") {
            "" | "success" => last(),
            result => format!("{result}: {}", last()),
        }),
        _ => State::Unknown(last()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(out: &str) -> Ran {
        Ran { code: 0, out: out.to_owned(), err: "the last words\n".to_owned() }
    }

    #[test]
    fn what_systemd_says_becomes_a_state() {
        for (out, expected) in [
            (
                "init=systemd\nLoadState=not-found\nActiveState=inactive",
                "not installed (there is no ringrift-p2p.service)",
            ),
            ("init=none\nLoadState=not-found", "not installed (there is no ringrift-p2p in the path)"),
            (
                "LoadState=loaded\nActiveState=active\nMainPID=7\nadvertise=10.0.0.1",
                "running (PID 7, advertise=10.0.0.1)",
            ),
            ("LoadState=loaded\nActiveState=inactive\nMainPID=0", "stopped"),
            (
                "LoadState=loaded\nActiveState=failed\nResult=exit-code\nlast=no hosts file",
                "failed (exit-code: no hosts file)",
            ),
            ("LoadState=loaded\nActiveState=failed\nlast=", "failed (the last words)"),
            (
                "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nResult=exit-code\nlast=x=y",
                "failed (systemd starts it again and again: exit-code, x=y)",
            ),
            ("LoadState=loaded\nActiveState=activating\nSubState=start", "starting (systemd: start)"),
            ("LoadState=masked\nActiveState=inactive", "failed (ringrift-p2p.service is masked)"),
            (
                "said=sudo: a password is required\nLoadState=loaded\nActiveState=inactive",
                "failed (sudo: a password is required)",
            ),
            ("", "unknown (the last words)"),
        ] {
            assert_eq!(read(&ran(out)).to_string(), expected, "{out}");
        }
    }

    #[test]
    fn a_nodes_name_is_no_shell() {
        let script = start("restart", &"gpu-3".parse().unwrap_or_else(|_| unreachable!("a name")));
        assert!(script.contains("RINGRIFT_NODE_ID:-gpu-3}"), "{script}");
        for word in ["VERB", "STOP_PLAIN", ":-NODE"] {
            assert!(!script.replace("RINGRIFT", "").contains(word), "{word} in {script}");
        }
    }
}
