"""The place where the machines live: own mount, network and process namespaces, and a cgroup of their own.

The driver restarts itself inside. Whatever ends it, Ctrl-C or a SIGKILL, ends every machine, because they are processes of
a namespace whose first process is the driver; mounts, bridges and firewalls go with their namespaces. Only the
cgroup directories remain, and the outer process, or the next run, removes those.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

INSIDE = "RINGRIFT_VM_SANDBOX"
PREFIX = "ringrift-vm-"
CGROUPS = Path("/sys/fs/cgroup")


def outside() -> bool:
    return INSIDE not in os.environ


def enter(argv: list[str]) -> int:
    """Runs this program again inside, and returns its exit status once nothing of it is left."""
    if os.geteuid() != 0:
        raise SystemExit("the machines need root: run it by sudo")
    # Where the host has only the legacy hierarchies in /sys/fs/cgroup, cgroup2 can still be mounted elsewhere: here.
    root = cgroup_root()
    remove_stale(root)
    own = root / f"{PREFIX}{os.getpid()}"
    own.mkdir()
    command = ["unshare", "--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
    environment = {**os.environ, INSIDE: own.name}
    process = subprocess.Popen([*command, sys.executable, "-m", "driver", *argv], env=environment)
    # The terminal sends Ctrl-C to the inner process as well, which tidies up and ends; SIGTERM must be passed on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: end_inside(process.pid))
    try:
        return process.wait()
    finally:
        remove(own)


def end_inside(unshare: int) -> None:
    for child in Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split():
        os.kill(int(child), signal.SIGTERM)


def prepare() -> Path:
    """Called inside: makes the mounts private and returns this run's cgroup."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run("mount", "--make-rprivate", "/")
    # /run becomes ours: ip-netns and nspawn keep their state there, and the host's stays untouched.
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    run("umount", "--recursive", str(CGROUPS), check=False)
    run("mount", "-t", "cgroup2", "cgroup2", str(CGROUPS))
    return CGROUPS / os.environ[INSIDE]


def run(*command: str, check: bool = True, text: str | None = None) -> str:
    """Runs a host command; its standard error becomes part of the exception."""
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def cgroup_root() -> Path:
    """Where the host has cgroup2 mounted."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, source = line.partition(" - ")
        if source.startswith("cgroup2 "):
            return Path(fields.split()[4])
    raise SystemExit("no cgroup2 hierarchy is mounted here; systemd in the machines needs one")


def remove_stale(root: Path) -> None:
    for old in root.glob(f"{PREFIX}*"):
        if not Path(f"/proc/{old.name.removeprefix(PREFIX)}").exists():
            remove(old)


def remove(cgroup: Path) -> None:
    """Removes a cgroup with all below it. Its processes ended with their namespace."""
    for path, _, _ in os.walk(cgroup, topdown=False):
        try:
            os.rmdir(path)
        except OSError as error:
            print(f"{path}: {error.strerror}", file=sys.stderr)
