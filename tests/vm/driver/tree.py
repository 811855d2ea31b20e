"""The base tree: a minimal Debian with systemd, built once and then only read, as the lowest layer of every machine."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

SUITE = "trixie"
PACKAGES = [
    "ca-certificates",
    "curl",
    "dbus",
    "iproute2",
    "iputils-ping",
    "jq",
    "nftables",
    "polkitd",
    "procps",
    "systemd",
    "systemd-sysv",
]
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
RECIPE = 1


def base_tree(cache: Path) -> Path:
    """The path of the tree; builds it when it is not there yet. Concurrent runs wait for each other."""
    key = hashlib.sha256(repr((RECIPE, SUITE, PACKAGES, MASKED)).encode()).hexdigest()[:12]
    tree = cache / f"{SUITE}-{key}"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.exists():
            build(tree)
    return tree


def build(tree: Path) -> None:
    started = time.monotonic()
    print(f"building a Debian {SUITE} tree for the machines (once, about a minute) …", flush=True)
    unfinished = tree.with_suffix(".unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    command = [
        "mmdebstrap",
        "--variant=minbase",
        "--quiet",
        f"--include={','.join(PACKAGES)}",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        SUITE,
        str(unfinished),
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        print(done.stdout, file=sys.stderr)
        raise SystemExit(f"mmdebstrap could not build the tree (exit status {done.returncode})")
    # mmdebstrap leaves the builder's name here; every machine has its own.
    (unfinished / "etc/hostname").unlink(missing_ok=True)
    units = unfinished / "etc/systemd/system"
    for unit in MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    # Otherwise every boot would be the first after an update, and rebuild caches.
    subprocess.run(["chroot", str(unfinished), "/usr/lib/systemd/systemd-update-done"], check=True)
    unfinished.rename(tree)
    print(f"built {tree.name} in {time.monotonic() - started:.0f} s", flush=True)
