use std::process::Stdio;

use ringrift_config::Host;
use ringrift_fleet::{Ssh, quoted};
use tokio::process::Command;

use super::ran_well;
use crate::command::cluster::script::AS_ROOT;

/// Builds the host's system out of the flake on this machine, copies it there, and switches to it.
pub(super) async fn switch(ssh: &Ssh, host: &Host, flake: &str) -> Result<(), String> {
    let ((address, _), options) = ssh.way(host);
    let user = host.ssh_user.as_deref();
    let target = user.map_or_else(|| address.clone(), |user| format!("{user}@{address}"));
    let mut command = Command::new("nixos-rebuild");
    command.args(["switch", "--flake"]).arg(format!("{flake}#{}", host.id)).args(["--target-host", &target]);
    if user.is_some_and(|user| user != "root") {
        command.arg("--sudo");
    }
    let options: Vec<String> = options.iter().map(|option| option.to_string_lossy().into_owned()).collect();
    if let Some(option) = options.iter().find(|option| option.contains(char::is_whitespace)) {
        return Err(format!("nixos-rebuild cannot be given ssh's option `{option}`: it has a blank in it"));
    }
    command.env("NIX_SSHOPTS", options.join(" "));
    // A Ctrl-C is ours to answer.
    command.process_group(0).kill_on_drop(true);
    let ran = command.stdin(Stdio::null()).output().await.map_err(|error| {
        format!("nixos-rebuild does not run here: {error}; a machine with Nix updates nodes of NixOS")
    })?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    // Nix tells what is wrong, and then at length where.
    let why = lines.clone().find(|line| line.starts_with("error:")).or_else(|| lines.next_back());
    Err(format!("nixos-rebuild: {} ({})", why.unwrap_or("it said nothing"), ran.status))
}

/// Switches the node to a system that it had before.
pub(super) async fn go_back(ssh: &Ssh, host: &Host, system: &str) -> Result<(), String> {
    let script = format!(
        "{AS_ROOT}system={}\n\
         trap '' HUP\n\
         [ -x \"$system/bin/switch-to-configuration\" ] || {{ echo \"$system is not there any more\" >&2; exit 1; }}\n\
         log=$(mktemp) || exit 1\n\
         as_root nix-env --profile /nix/var/nix/profiles/system --set \"$system\" > \"$log\" 2>&1 < /dev/null &&\n  \
           as_root \"$system/bin/switch-to-configuration\" switch > \"$log\" 2>&1 < /dev/null\n\
         status=$?\n\
         [ $status = 0 ] || tail -n 1 \"$log\" >&2\n\
         rm \"$log\"\n\
         exit $status\n",
        quoted(system)
    );
    ran_well(ssh.run(host, &script).await)
}
