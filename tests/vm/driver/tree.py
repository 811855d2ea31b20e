"""The base trees: a minimal system of each suite with systemd, built once and then only read, as the lowest layer of every machine.

That of `KERNEL_SUITE` has a kernel in `/boot`, with its modules. Only QEMU machines boot that.
"""

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Suite:
    """A release of a distribution."""

    name: str
    # Where others than Debian's are, and who signs them. Debian's are where this machine's own packages come from.
    mirror: str | None = None
    keyring: str | None = None
    components: str = "main"
    # What the package of polkit is called; the old name is that of 0.105, which reads no rules.
    polkit: str = "polkitd"


UBUNTU = "http://archive.ubuntu.com/ubuntu"
UBUNTU_KEYRING = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
SUITES = {
    suite.name: suite
    for suite in [
        Suite("trixie"),
        Suite("bookworm"),
        Suite("jammy", UBUNTU, UBUNTU_KEYRING, "main,universe", polkit="policykit-1"),
        Suite("noble", UBUNTU, UBUNTU_KEYRING, "main,universe"),
    ]
}
# What a scenario runs on when it does not say.
DEFAULT_SUITE = "trixie"
# The one that QEMU machines boot.
KERNEL_SUITE = "trixie"
PACKAGES = [
    "busybox-static",
    "ca-certificates",
    "curl",
    "dbus",
    "iproute2",
    "iputils-ping",
    "jq",
    "kmod",
    "nftables",
    "openssh-client",
    "openssh-server",
    "procps",
    "systemd",
    "systemd-sysv",
]
# Unpacked and not installed: its scripts would want an initrd of Debian's and a boot loader.
KERNEL = "linux-image-cloud-amd64"
# `$1` is the tree. The package itself is empty and depends on the kernel of the day.
UNPACK_KERNEL = f"""
set -e
cd "$1/tmp"
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
apt-get download $(apt-cache depends {KERNEL} | sed -n 's/^ *Depends: //p')
dpkg-deb --extract linux-image-*.deb "$1"
rm linux-image-*.deb
chroot "$1" depmod $(ls "$1/usr/lib/modules")
"""
# What a scenario starts that wants it: its links are taken away. Host keys go too, so that each machine makes its own.
NOT_ENABLED = ["ssh.service", "ssh.socket", "sshd.service"]
# What only costs time at boot, or would act by itself in the middle of a test.
MASKED = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "console-getty.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty.target",
    "systemd-firstboot.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-update-utmp.service",
]
# A change of how the tree is built must build it anew.
RECIPE = 3


def read_suites(scenario: Path) -> list[str]:
    """The scenario's `SUITES = […]`, one line of JSON like `MACHINES`; the default suite when there is none."""
    found = re.search(r"^SUITES = (\[.*\])$", scenario.read_text(), re.MULTILINE)
    names: list[str] = json.loads(found.group(1)) if found else [DEFAULT_SUITE]
    for name in names:
        if name not in SUITES:
            raise SystemExit(f"{scenario}: SUITES has `{name}`; expected some of {', '.join(SUITES)}")
    return names


def base_tree(cache: Path, suite: Suite) -> Path:
    """The path of the tree; builds it when it is not there yet. Concurrent runs wait for each other."""
    hook = UNPACK_KERNEL if suite.name == KERNEL_SUITE else ""
    key = hashlib.sha256(repr((RECIPE, suite, PACKAGES, hook, MASKED, NOT_ENABLED)).encode()).hexdigest()[:12]
    tree = cache / f"{suite.name}-{key}"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.exists():
            build(tree, suite, hook)
    return tree


def build(tree: Path, suite: Suite, hook: str) -> None:
    started = time.monotonic()
    print(f"building a tree of {suite.name} for the machines (once, about a minute) …", flush=True)
    if suite.keyring is not None and not Path(suite.keyring).exists():
        raise SystemExit(f"{suite.keyring} is not there: install ubuntu-archive-keyring, which Debian has since trixie")
    unfinished = tree.with_suffix(".unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    command = [
        "mmdebstrap",
        "--variant=minbase",
        "--quiet",
        f"--components={suite.components}",
        f"--include={','.join([*PACKAGES, suite.polkit])}",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        *([f"--keyring={suite.keyring}"] if suite.keyring is not None else []),
        *([f"--customize-hook={hook}"] if hook else []),
        suite.name,
        str(unfinished),
        *([suite.mirror] if suite.mirror is not None else []),
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        print(done.stdout, file=sys.stderr)
        raise SystemExit(f"mmdebstrap could not build the tree (exit status {done.returncode})")
    # mmdebstrap leaves the builder's name here; every machine has its own.
    (unfinished / "etc/hostname").unlink(missing_ok=True)
    units = unfinished / "etc/systemd/system"
    for name in NOT_ENABLED:
        for folder in [units, *units.glob("*.wants")]:
            (folder / name).unlink(missing_ok=True)
    for key in (unfinished / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for unit in MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    mark_updated(unfinished)
    unfinished.rename(tree)
    print(f"built {tree.name} in {time.monotonic() - started:.0f} s", flush=True)


def mark_updated(tree: Path) -> None:
    """Otherwise every boot would be the first after an update, and rebuild caches. Debian 12 has nothing of the kind."""
    program = "/usr/lib/systemd/systemd-update-done"
    if (tree / program.lstrip("/")).exists():
        subprocess.run(["chroot", str(tree), program], check=True)
