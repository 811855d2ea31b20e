//! The last way to a host that runs no daemon: rsync over SSH, and the digest compared there before the name changes.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use clap::Args;
use ringrift_api::{ModelEntry, ModelList};
use ringrift_blob::{BlobHasher, CHUNK, Digest, ModelName};
use ringrift_config::{Host, HostsFile, NodeId, report};
use ringrift_fleet::{quoted, remote_path};
use serde_json::{Value, json};
use tokio::process::Command;

use super::which::short;
use crate::{
    bytes::bytes,
    context::{Context, Fetched},
    exit::Exit,
    failure::Failure,
    report::Report,
};

/// How to reach a host without a daemon.
#[derive(Debug, Args)]
pub(crate) struct OverSsh {
    /// Copy by rsync over SSH, to a host of the hosts file that runs no daemon
    #[arg(long, requires = "host", conflicts_with = "force")]
    over_ssh: bool,

    /// Folder on this machine with the models that are copied
    #[arg(long, value_name = "DIR", env = "RINGRIFT_MODELS_DIR", default_value = "/var/lib/ringrift/models")]
    #[arg(requires = "over_ssh")]
    from: PathBuf,
}

/// Where a host's SSH server is reached: destination and port.
type Endpoint = (String, u16);

impl OverSsh {
    /// Whether it is wanted.
    pub(super) fn wanted(&self) -> bool {
        self.over_ssh
    }

    /// Copies what is current. Ends well only when every model is right there.
    pub(super) async fn run(
        &self,
        context: &Context,
        host: &NodeId,
        only: Option<&ModelName>,
    ) -> Result<Report, Failure> {
        let path = context.hosts_file()?;
        let file = HostsFile::load(&path).map_err(|e| Failure::new(Exit::Failed, e.to_string()))?;
        let host = report::find(&file, host.as_str()).map_err(|e| Failure::new(Exit::Failed, e.to_string()))?;
        if host.runs_daemon() {
            return Err(Failure::new(
                Exit::Failed,
                format!("{} runs the daemon, which fetches models by itself", host.id),
            )
            .advise("Leave --over-ssh out."));
        }
        let target = target(host)?;
        let client = context.client(None)?;
        let list: Fetched<ModelList> = client.get_json("/api/models").await?;
        let models: Vec<ModelEntry> =
            list.typed.models.into_iter().filter(|model| only.is_none_or(|only| *only == model.name)).collect();
        if models.is_empty() {
            return Err(
                Failure::new(Exit::Failed, "no such model was promoted").advise("`ringriftctl models list` shows all.")
            );
        }
        let key = host.ssh_key.as_deref();
        let (endpoint, ssh) = reach(host, key, &target).await?;
        let limit = file.auto_sync.limit_mbps(&host.id);
        let mut text = String::new();
        let mut rows: Vec<Value> = Vec::new();
        let mut exit = Exit::Ok;
        for model in &models {
            let copied = self.copy(model, &endpoint, &ssh, &target, limit).await;
            let message = match &copied {
                Ok(()) => format!("{} is {} on {} ({})", model.name, short(&model.sha256), host.id, bytes(model.size)),
                Err(why) => format!("{}: {why}", model.name),
            };
            exit = if copied.is_ok() { exit } else { Exit::Failed };
            text.push_str(&message);
            text.push('\n');
            rows.push(json!({ "name": model.name, "sha256": model.sha256, "ok": copied.is_ok(), "message": message }));
        }
        let json = json!({ "success": exit == Exit::Ok, "host": host.id, "over_ssh": true, "models": rows });
        Ok(Report::ok(text, json).exit(exit))
    }

    async fn copy(
        &self,
        model: &ModelEntry,
        (destination, _): &Endpoint,
        ssh: &[String],
        target: &str,
        limit_mbps: Option<u64>,
    ) -> Result<(), String> {
        let local = self.from.join(model.name.as_str());
        let found = digest_of(&local).map_err(|e| format!("cannot read {}: {e}", local.display()))?;
        if found != model.sha256 {
            return Err(format!(
                "{} is {}, and {} is current: run this on a node that has it",
                local.display(),
                short(&found),
                short(&model.sha256)
            ));
        }
        let temporary = format!(".{}.ringrift-new", model.name);
        let mut rsync = Command::new("rsync");
        rsync.args(["--times", "--partial", "--chmod=F644", "--rsh"]).arg(shell_words(ssh));
        if let Some(mbps) = limit_mbps.filter(|mbps| *mbps > 0) {
            // In units of 1024 bytes a second.
            rsync.arg(format!("--bwlimit={}", (mbps * 1_000_000 / 8 / 1024).max(1)));
        }
        rsync.arg("--").arg(&local).arg(format!("{destination}:{target}/{temporary}"));
        succeed("rsync", rsync).await?;
        run(ssh, destination, &install(model, target, &temporary)).await
    }
}

/// The folder on the host.
fn target(host: &Host) -> Result<String, Failure> {
    let own = host.storage_paths.as_ref().and_then(|paths| paths.models.clone());
    let usual = || host.ringrift_path.as_ref().map(|path| format!("{}/models", path.trim_end_matches('/')));
    own.or_else(usual).ok_or_else(|| {
        Failure::new(
            Exit::Failed,
            format!("{}: the hosts file has neither storage_paths.models nor ringrift_path", host.id),
        )
    })
}

/// The first endpoint that answers, and how ssh is called for it. The tailnet first, then the provider's address.
async fn reach(host: &Host, key: Option<&str>, target: &str) -> Result<(Endpoint, Vec<String>), Failure> {
    let user = host.ssh_user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    let tailnet = host.tailscale_ip.iter().map(|ip| (format!("{user}{ip}"), 22));
    let own = host.ssh_host.iter().map(|name| (format!("{user}{name}"), host.ssh_port));
    let mut failures = Vec::new();
    for endpoint in tailnet.chain(own) {
        let mut ssh = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-p"].map(str::to_owned).to_vec();
        ssh.push(endpoint.1.to_string());
        if let Some(key) = key {
            ssh.extend(["-i".to_owned(), key.to_owned()]);
        }
        match run(&ssh, &endpoint.0, &format!("mkdir -p -- {}", remote_path(target))).await {
            Ok(()) => return Ok((endpoint, ssh)),
            Err(why) => failures.push(format!("{} port {}: {why}", endpoint.0, endpoint.1)),
        }
    }
    let why = if failures.is_empty() { "the hosts file names no address".to_owned() } else { failures.join("; ") };
    Err(Failure::new(Exit::Unreachable, format!("{} is not reached over SSH: {why}", host.id)))
}

/// What is done there: the digest is compared, and only then the name changes.
fn install(model: &ModelEntry, target: &str, temporary: &str) -> String {
    let (name, hex) = (&model.name, model.sha256);
    let link = name.best_link().map(|link| format!(" && ln -sfn {name} {link}")).unwrap_or_default();
    format!(
        "cd -- {} && {{ test \"$(sha256sum < {temporary} | cut -c1-64)\" = {hex} || {{ rm -f {temporary}; echo 'other bytes arrived; \
         they were removed' >&2; exit 1; }}; }} && sync {temporary} && mv -f {temporary} {name} && \
         printf '%s  %s\\n' {hex} {name} > .{name}.sha256.new && mv -f .{name}.sha256.new {name}.sha256{link}",
        remote_path(target)
    )
}

async fn run(ssh: &[String], destination: &str, script: &str) -> Result<(), String> {
    let [program, options @ ..] = ssh else { return Err("no ssh".to_owned()) };
    let mut command = Command::new(program);
    command.args(options).arg("--").arg(destination).arg(script);
    succeed("ssh", command).await
}

async fn succeed(name: &str, mut command: Command) -> Result<(), String> {
    let output: Output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|e| format!("cannot run {name}: {e}; is it installed?"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim();
    Err(format!("{name}: {said} ({})", output.status))
}

/// Words as one text that rsync takes apart again, and a shell, too.
fn shell_words(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn digest_of(path: &Path) -> std::io::Result<Digest> {
    let mut hasher = BlobHasher::new(CHUNK);
    hasher.read_from(File::open(path)?, |_| {})?;
    Ok(hasher.finish().sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_apart_again_as_they_were() {
        let ssh = ["ssh", "-i", "/home/o p/key"].map(str::to_owned);
        assert_eq!(shell_words(&ssh), "ssh -i '/home/o p/key'");
    }
}
