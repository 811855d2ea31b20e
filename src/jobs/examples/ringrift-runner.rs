//! Drives the systemd runner by hand, where there is no cluster: `ringrift-runner serve` takes orders on a socket, and
//! `ringrift-runner '{"do": "list"}'` gives one. Tests start the former in place of the daemon, since only what runs in its unit
//! may do what the runner does.

use std::{
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ringrift_job::{Launch, Limits, RunId};
use ringrift_jobs::{RunState, Runner, StopReason, SystemdRunner};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
};

const SOCKET: &str = "/run/ringrift-p2p/runner.socket";

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Order {
    Check,
    List,
    Start {
        launch: Box<Launch>,
    },
    Stop {
        unit: String,
        why: StopReason,
    },
    SetLimits {
        unit: String,
        limits: Limits,
    },
    Usage {
        unit: String,
    },
    Forget {
        unit: String,
    },
    /// How often the runner said that something may have changed.
    Changes,
    /// Runs a program in this unit, to see what it may do.
    Run {
        argv: Vec<String>,
    },
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("serve") => serve().await,
        Some(order) => {
            let mut stream = UnixStream::connect(SOCKET).await?;
            stream.write_all(format!("{}\n", order.replace('\n', " ")).as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            println!("{answer}");
            Ok(())
        }
        None => Err(std::io::Error::other("usage: ringrift-runner serve | ORDER")),
    }
}

async fn serve() -> std::io::Result<()> {
    let runner = Arc::new(SystemdRunner::new());
    let changes = Arc::new(AtomicU64::new(0));
    let _ = std::fs::remove_file(SOCKET);
    let listener = UnixListener::bind(Path::new(SOCKET))?;
    let (watched, counted) = (runner.clone(), changes.clone());
    tokio::spawn(async move {
        loop {
            if let Err(error) = watched.list().await {
                eprintln!("{error}");
            }
            watched.changed().await;
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    loop {
        let (stream, _) = listener.accept().await?;
        let (runner, changes) = (runner.clone(), changes.clone());
        tokio::spawn(async move {
            let (reading, mut writing) = stream.into_split();
            let mut line = String::new();
            let answer = match BufReader::new(reading).read_line(&mut line).await {
                Ok(_) => obey(&line, &runner, &changes).await,
                Err(error) => json!({"error": error.to_string()}),
            };
            let _ = writing.write_all(answer.to_string().as_bytes()).await;
        });
    }
}

async fn obey(line: &str, runner: &SystemdRunner, changes: &AtomicU64) -> Value {
    let order: Order = match serde_json::from_str(line) {
        Ok(order) => order,
        Err(error) => return json!({"error": format!("no order: {error}")}),
    };
    let run_of = |unit: &str| RunId::of_unit(unit).unwrap_or_else(|| panic!("{unit} is no unit of a run"));
    let done = match order {
        Order::Check => runner.check().await,
        Order::List => {
            return match runner.list().await {
                Ok(found) => found.iter().map(|found| (found.run.unit(), shown(&found.state))).collect(),
                Err(error) => json!({"error": error.to_string()}),
            };
        }
        Order::Start { launch } => runner.start(&launch).await,
        Order::Stop { unit, why } => runner.stop(&run_of(&unit), why).await,
        Order::SetLimits { unit, limits } => runner.set_limits(&run_of(&unit), &limits).await,
        Order::Forget { unit } => runner.forget(&run_of(&unit)).await,
        Order::Usage { unit } => {
            return match runner.usage(&run_of(&unit)).await {
                Ok(usage) => json!(usage),
                Err(error) => json!({"error": error.to_string()}),
            };
        }
        Order::Changes => return json!({"changes": changes.load(Ordering::Relaxed)}),
        Order::Run { argv } => return run(&argv).await,
    };
    match done {
        Ok(()) => json!({"ok": true}),
        Err(error) => json!({"error": error.to_string()}),
    }
}

fn shown(state: &RunState) -> Value {
    match state {
        RunState::Starting => json!({"state": "starting"}),
        RunState::Running { since_ms, ran_ms, pid } => {
            json!({"state": "running", "since_ms": since_ms, "ran_ms": ran_ms, "pid": pid})
        }
        RunState::Stopping => json!({"state": "stopping"}),
        RunState::Ended(ending) => json!({"state": "ended", "ending": ending}),
    }
}

async fn run(argv: &[String]) -> Value {
    let Some((program, arguments)) = argv.split_first() else { return json!({"error": "argv is empty"}) };
    let run = tokio::process::Command::new(program).args(arguments).stdin(Stdio::null()).output().await;
    match run {
        Ok(output) => json!({
            "status": output.status.code(),
            "stdout": String::from_utf8_lossy(&output.stdout),
            "stderr": String::from_utf8_lossy(&output.stderr),
        }),
        Err(error) => json!({"error": error.to_string()}),
    }
}
