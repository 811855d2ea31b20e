"""Over round trips of 35 to 170 ms, with 1 % of the packets lost, a killed leader is replaced, and nobody who lives is called dead."""

import os
import re
import stat
from pathlib import Path

# Not on NixOS: the benchmark is in no package.
# On demand: it needs an optimized build, which is made by
#     cargo build --release -p ringrift-p2p --bin ringrift-p2p --bench cluster

MACHINES = {"alpha": "voter"}
BACKEND = "qemu"

RELEASE = Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release"
KILLS = int(os.environ.get("WAN_KILLS", "3"))


def newest(paths):
    """What was built last of these."""
    programs = [path for path in paths if path.suffix == "" and path.stat().st_mode & stat.S_IXUSR]
    assert programs, f"{RELEASE} has no optimized build: see the top of wan.py"
    return str(max(programs, key=lambda path: path.stat().st_mtime))


def figure(words):
    """The figure of the benchmark after these words."""
    found = re.search(rf"{words} ([\d.]+)", text)
    assert found, text
    return float(found[1])


daemon = newest(RELEASE.glob("ringrift-p2p"))
bench = newest(RELEASE.glob("deps/cluster-*"))
start_all()
# Four daemons of the benchmark's own run here, in a network namespace.
alpha.succeed("systemctl stop 'ringrift-p2p*'", timeout=120)
alpha.succeed("modprobe sch_netem && modprobe sch_prio && modprobe cls_u32")
alpha.copy_from_host(daemon, "/root/ringrift-p2p")
alpha.copy_from_host(bench, "/root/cluster")
text = alpha.succeed(f"TEST_DAEMON=/root/ringrift-p2p /root/cluster wan --kills {KILLS} 2>&1", timeout=300 + 60 * KILLS)
print(text, flush=True)

# The emulated processor has its share in these figures.
with subtest("a killed leader is replaced, and the next one takes a write"):
    assert figure(f"leader killed to a write accepted.* worst of {KILLS}") < 10

with subtest("nobody who lives is called dead"):
    assert figure("nodes called dead in a minute in which none was:") == 0

with subtest("a killed worker is seen dead by all others"):
    assert figure(r"a killed worker.* worst of \d+") < 10
