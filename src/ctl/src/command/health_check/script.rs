//! What is looked at on a node, in POSIX shell, and what comes back: lines of `key=value`.

use std::fmt::Write as _;

use ringrift_config::Host;
use ringrift_fleet::{quoted, remote_path};

/// How long Python may take to load PyTorch, seconds: from a cold disk it takes many.
const PYTHON_SECONDS: u32 = 60;

const TORCH: &str = "import torch; print('torch=%s' % torch.__version__); \
                     print('torch_cuda=%s' % (torch.version.cuda or '')); \
                     print('gpus=%d' % (torch.cuda.device_count() if torch.cuda.is_available() else 0))";

/// The whole look.
pub(super) fn look(host: &Host, way_back: &str) -> String {
    let mut script = String::from("echo \"clock=$(date +%s.%N)\"\n");
    let games = host.storage_paths.as_ref().and_then(|paths| paths.games.as_deref());
    let place = games.or(host.ringrift_path.as_deref()).map_or_else(|| "/".to_owned(), remote_path);
    // Where the folder is not there yet, the disk it would lie on is meant.
    let _ = write!(
        script,
        "at={place}\nuntil [ -e \"$at\" ] || [ \"$at\" = / ] || [ \"$at\" = . ]; do at=$(dirname \"$at\"); done\n\
         df -Pk \"$at\" | awk 'NR == 2 {{ print \"free_kb=\" $4 }}'\n"
    );
    script.push_str(
        "if command -v nvidia-smi > /dev/null; then\n  \
         timeout 20 nvidia-smi --query-gpu=driver_version,name,memory.total,temperature.gpu --format=csv,noheader,nounits 2>&1 | sed 's/^/gpu=/'\n\
         fi\n",
    );
    if needs_torch(host) {
        let _ = writeln!(
            script,
            "if out=$({} 2>&1); then echo \"$out\"; else echo \"torch_error=$(echo \"$out\" | tail -n 1)\"; fi",
            in_venv(host, TORCH)
        );
    }
    script.push_str(
        "if command -v timedatectl > /dev/null; then echo \"ntp=$(timedatectl show -p NTP --value 2>/dev/null)\"; fi\n",
    );
    script.push_str("if command -v ufw > /dev/null; then as=; [ \"$(id -u)\" = 0 ] || as='sudo -n'; echo \"ufw=$($as ufw status 2>/dev/null | head -n 1)\"; fi\n");
    script.push_str(way_back);
    script
}

/// What `doctor` wants to know besides.
pub(super) const MORE: &str = "\
hosts=${RINGRIFT_HOSTS_FILE:-/etc/ringrift-p2p/distributed_hosts.yaml}
[ ! -r \"$hosts\" ] || echo \"hosts_file=$(sha256sum < \"$hosts\" | cut -c1-64)\"
if command -v journalctl > /dev/null; then
  echo \"warning=$(journalctl -q -u ringrift-p2p.service -p warning -n 1 -o cat --no-pager 2> /dev/null | tr '\\n' ' ')\"
fi
";

/// Whether jobs that load PyTorch can be placed there.
pub(crate) fn needs_torch(host: &Host) -> bool {
    use ringrift_config::Capability::{Selfplay, Training};
    host.ringrift_path.is_some()
        && host.capabilities().iter().any(|capability| matches!(capability, Selfplay | Training))
}

/// Python with this program, in the environment that the hosts file names. That is a fragment of bash.
fn in_venv(host: &Host, program: &str) -> String {
    let path = host.ringrift_path.as_deref().map_or_else(String::new, |path| format!("cd {} && ", remote_path(path)));
    let activate = host.venv_activate.as_deref().map_or_else(String::new, |fragment| format!("{fragment} && "));
    let python = format!("{activate}{path}exec python3 -c {}", quoted(program));
    format!("timeout {PYTHON_SECONDS} bash -c {}", quoted(&python))
}

/// Installs what the program needs into that environment; what was installed before is written down beside it.
pub(super) fn install_requirements(host: &Host) -> Option<String> {
    in_environment(
        host,
        "python3 -m pip freeze > requirements.before-ringriftctl.txt && python3 -m pip install -q -r requirements.txt",
    )
}

/// A command of bash in the folder of the Python program, in its environment; `None` for a host that has no such folder.
pub(crate) fn in_environment(host: &Host, command: &str) -> Option<String> {
    let path = remote_path(host.ringrift_path.as_deref()?);
    let activate = host.venv_activate.as_deref().map_or_else(String::new, |fragment| format!("{fragment} && "));
    Some(format!("bash -c {}", quoted(&format!("{activate}cd {path} && {command}"))))
}
