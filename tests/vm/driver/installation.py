"""Puts the program on the machines: its files at the paths where a package installs them, and a cluster's configuration."""

import json
import re
import shutil
from pathlib import Path

from .network import Network
from .sandbox import run

PROGRAMS = ["ringrift-p2p", "ringriftctl"]
UNITS = ["ringrift-p2p.service", "ringrift-p2p-api.socket", "ringrift-p2p-link.socket", "ringrift-p2p-health.socket"]
ETC = "etc/ringrift-p2p"
# 64 hexadecimal digits, as `ringriftctl token new` prints them. It protects nothing but a test.
TOKEN = "5a" * 32

# What a machine can be in a scenario.
BARE = "bare"  # nothing is installed
VOTER = "voter"
WORKER = "worker"
DIAL_OUT = "dial-out"  # a worker that nobody can connect to
ROLES = [BARE, VOTER, WORKER, DIAL_OUT]


def program_layer(base: Path, layer: Path, binaries: Path, units: Path) -> Path:
    """A layer above the base tree with the program installed and its user made, shared by all machines of a run."""
    for part in ("upper", "work", "root"):
        (layer / part).mkdir(parents=True)
    root = layer / "root"
    options = f"lowerdir={base},upperdir={layer}/upper,workdir={layer}/work"
    run("mount", "-t", "overlay", "-o", options, "vm-program", str(root))
    try:
        for program in PROGRAMS:
            if (binaries / program).exists():
                shutil.copy2(binaries / program, root / "usr/bin" / program)
        shutil.copytree(units, root, dirs_exist_ok=True)
        run("chroot", str(root), "systemd-sysusers")
        run("chroot", str(root), "systemd-tmpfiles", "--create", "--prefix=/etc/ringrift-p2p", check=False)
        for unit in UNITS:
            run("chroot", str(root), "env", "SYSTEMD_OFFLINE=1", "systemctl", "enable", unit)
    finally:
        run("umount", str(root))
    return layer / "upper"


def missing_programs(binaries: Path) -> list[str]:
    return [program for program in PROGRAMS if not (binaries / program).exists()]


def configure(root: Path, name: str, roles: dict[str, str], network: Network) -> None:
    """Writes `/etc/ringrift-p2p` of one machine."""
    etc = root / ETC
    etc.mkdir(parents=True, exist_ok=True)
    (etc / "distributed_hosts.yaml").write_text(hosts_file(roles, network))
    (etc / "environment").write_text(f"RINGRIFT_NODE_ID={name}\n")
    token = etc / "token"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o600)


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
