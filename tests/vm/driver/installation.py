"""Puts the program on the machines: its Debian package, and a cluster's configuration."""

import json
import re
import shutil
import subprocess
from pathlib import Path

from .network import Network
from .sandbox import run
from .tree import Suite, mark_updated

# What the package is made of.
PROGRAMS = ["ringrift-p2p", "ringriftctl", "ringrift-launch"]
# The tests' own, and where each goes: one drives the systemd runner in place of the daemon, the others are the plain runner's tests and
# what these start.
TEST_PROGRAMS = {
    "examples/ringrift-runner": "usr/local/bin/ringrift-runner",
    "tests/plain_cgroups": "usr/local/lib/ringrift-tests/plain_cgroups",
    "ringrift-shim": "usr/local/lib/ringrift-tests/ringrift-shim",
}
SERVICE = "ringrift-p2p.service"
ETC = "etc/ringrift-p2p"
# 64 hexadecimal digits, as `ringriftctl token new` prints them. It protects nothing but a test.
TOKEN = "5a" * 32

# What an operator puts in force where polkit cannot tell one unit from another.
BEFORE_POLKIT_106 = "/usr/share/ringrift-p2p/before-polkit-106"

# What a machine can be in a scenario.
BARE = "bare"  # nothing is installed
VOTER = "voter"
WORKER = "worker"
DIAL_OUT = "dial-out"  # a worker that nobody can connect to
ROLES = [BARE, VOTER, WORKER, DIAL_OUT]


class Packages:
    """The Debian package of these programs, by the command that makes it for everybody. Each version is built when it is asked for."""

    def __init__(self, repository: Path, binaries: Path, folder: Path) -> None:
        self._command = [str(repository / "packaging/deb/build"), "--programs", str(binaries), "--output", str(folder)]
        self._built: dict[str | None, str] = {}

    def package(self, version: str | None = None) -> str:
        """The path of the package on the host; without a version that of the workspace."""
        if version not in self._built:
            # Compressing takes longer than all the rest.
            command = [*self._command, "--compression", "none", *(["--version", version] if version else [])]
            self._built[version] = run(*command).splitlines()[-1]
        return self._built[version]


def lacks(base: Path, package: str) -> str | None:
    """Which newer C library the package needs than the tree has, where it was built on a newer system."""
    needed = re.search(r"libc6 \(>= ([^)]+)\)", run("dpkg-deb", "--field", package, "Depends"))
    there = run("chroot", str(base), "dpkg-query", "--show", "--showformat=${Version}", "libc6")
    if needed is None or subprocess.run(["dpkg", "--compare-versions", there, "ge", needed.group(1)]).returncode == 0:
        return None
    return f"the programs were built for libc6 {needed.group(1)}, and it has {there}"


def program_layer(base: Path, layer: Path, binaries: Path, package: str, suite: Suite) -> Path:
    """A layer above the base tree with the package installed and its units enabled, shared by all machines of a run."""
    for part in ("upper", "work", "root"):
        (layer / part).mkdir(parents=True)
    root = layer / "root"
    options = f"lowerdir={base},upperdir={layer}/upper,workdir={layer}/work"
    run("mount", "-t", "overlay", "-o", options, "vm-program", str(root))
    try:
        shutil.copy(package, root / "tmp/package.deb")
        run("chroot", str(root), "env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--force-unsafe-io", "--install", "/tmp/package.deb")
        (root / "tmp/package.deb").unlink()
        for program, place in TEST_PROGRAMS.items():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(binaries / program, root / place)
        if suite.polkit == "policykit-1":
            run("chroot", str(root), "cp", "--recursive", f"{BEFORE_POLKIT_106}/localauthority", "/etc/polkit-1/")
        run("chroot", str(root), "env", "SYSTEMD_OFFLINE=1", "systemctl", "enable", SERVICE)
        mark_updated(root)
    finally:
        run("umount", str(root))
    return layer / "upper"


def missing_programs(binaries: Path) -> list[str]:
    return [program for program in [*PROGRAMS, *TEST_PROGRAMS] if not (binaries / program).exists()]


def configure(root: Path, name: str, roles: dict[str, str], network: Network) -> None:
    """Writes `/etc/ringrift-p2p` of one machine."""
    etc = root / ETC
    etc.mkdir(parents=True, exist_ok=True)
    (etc / "distributed_hosts.yaml").write_text(hosts_file(roles, network))
    (etc / "environment").write_text(f"RINGRIFT_NODE_ID={name}\n")
    token = etc / "token"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o600)


def be_patient(root: Path) -> None:
    """Gives the daemon of an emulated machine ten times as long as its unit does; a busy host needs that."""
    folder = root / "etc/systemd/system/ringrift-p2p.service.d"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "emulated.conf").write_text("[Service]\nTimeoutStartSec=10min\nTimeoutStopSec=5min\nWatchdogSec=5min\n")


def hosts_file(roles: dict[str, str], network: Network) -> str:
    """A cluster of these machines, in the shape of contract section 3."""
    lines = ["hosts:"]
    for name, role in roles.items():
        if role == BARE:
            continue
        lines += [
            f"  {name}:",
            f"    ssh_host: {network.addresses[name]}",
            f"    tailscale_ip: {network.addresses[name]}",
            "    ssh_user: root",
            "    ringrift_path: /var/lib/ringrift",
            "    status: ready",
            f"    role: {'coordinator' if role == VOTER else 'cpu_selfplay'}",
            "    cpus: 1",
            "    memory_gb: 1",
        ]
        if role == DIAL_OUT:
            lines.append("    nat_blocked: true")
    voters = [name for name, role in roles.items() if role == VOTER]
    lines += ["p2p_voters:"] + [f"  - {name}" for name in voters]
    return "\n".join(lines) + "\n"


def read_roles(scenario: Path) -> dict[str, str]:
    """The scenario's `MACHINES = {…}`: one line of JSON, so that Nix can read it too, from a name to a role."""
    found = re.search(r"^MACHINES = (\{.*\})$", scenario.read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit(f"{scenario}: has no line `MACHINES = {{…}}`")
    roles: dict[str, str] = json.loads(found.group(1))
    for name, role in roles.items():
        if role not in ROLES:
            raise SystemExit(f"{scenario}: {name} is a `{role}`; expected one of {', '.join(ROLES)}")
    return roles
