#!/usr/bin/env python3
"""The swarm over shaped links: nodes and a seed in network namespaces, the time to the last node as a ratio to the fluid limit.

    tests/bench/swarm.py [--rounds N] [--mbps 20] [--megabytes 32] [--chunk-kib 64] [--only NAME]… [--json FILE]

Also: --mbps 50 --megabytes 128 --chunk-kib 256. Each node runs the exchange and a store of its own on tmpfs (example swarm_node), and
is done when the store says that the whole is verified. A run begins without any connection, as a promotion does. Links are token
buckets at both ends, one namespace bridges them, congestion control is reno.

Cases, with 42 nodes and a seed unless it says otherwise:
  equal         all links the same
  slow-seed     the seed at a quarter
  slow-node     one node at a quarter
  mixed         5 to 100 Mbit/s: a tenth of 50 to 1000
  mixed-full    50 to 1000 Mbit/s
  relay-killed  one node is killed when it has half of the file
  late-join     one node begins when another has half of the file
  corrupt       one node says that it has the file, and sends other bytes
  fast          all links at 100 Mbit/s, 174 MB in chunks of 256 KiB
  gigabit       4 nodes and a seed at 1 Gbit/s, 174 MB in chunks of 256 KiB
  star, rsync   beside them: each node downloads from the seed (curl, nginx), and rsync to one node after the other
  idle          a node with twelve models and nothing to do

The fluid limit is max(S/Us, S/Dmin, N·S/(Us + ΣUi)) of the payload; headers of Ethernet, IP and TCP alone cost 1.045 of it. star and
rsync take so long that they run with a part of the work: nothing about them depends on how much there is. fast and gigabit have sizes
of their own; --short makes them as small as the others, to see that they run.

A run during which the machine was busy for more than 85 % of its time is marked CPU-bound: it says how fast this machine is, not how
good the plan is. Needs root, iproute2, curl, nginx, rsync, and a release build, which it makes. Everything lies in namespaces
of its own (network, mounts, processes), so that the kernel clears up however it ends.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import selectors
import signal
import statistics
import subprocess
import sys
import time

from bed import NODES, SEED, Cpu, Net, build, enter, example, load, need, nginx, run, until
from verdicts import report, verdict

# A run that takes longer has failed: so many times its limit, and a little.
PATIENCE = (6, 60)
# Must and ambitious, for what is beside the cases.
STAR = (30, 38)
IDLE_MS = (50, 5)
MODELS_MB = (15, 40, 60, 80, 90, 100, 100, 110, 120, 130, 153, 174)
CASES = (
    "equal", "slow-seed", "slow-node", "mixed", "mixed-full", "relay-killed", "late-join", "corrupt", "fast", "gigabit",
)  # fmt: skip
BESIDE = ("star", "rsync", "idle")


@dataclasses.dataclass
class Case:
    """What goes where, how fast, and who makes trouble."""

    name: str
    rates: dict
    size: int
    chunk: int
    killed: str | None = None
    late: str | None = None
    liar: str | None = None

    @classmethod
    def of(cls, name, net, options):
        size, chunk, mbps, nodes = round(options.megabytes * 1e6), options.chunk_kib << 10, options.mbps, net.nodes
        if name in ("fast", "gigabit"):
            mbps = {"fast": 100, "gigabit": 1000}[name]
            if not options.short:
                size, chunk = 174_000_000, 256 << 10
        if name == "gigabit":
            nodes = nodes[:5]
        case = cls(name, dict.fromkeys(nodes, mbps), size, chunk)
        last = nodes[-1]
        if name == "slow-seed":
            case.rates[SEED] = mbps / 4
        elif name == "slow-node":
            case.rates[last] = mbps / 4
        elif name.startswith("mixed"):
            # Full, together 15 Gbit/s, of which no more than the slowest leave over are ever asked at once.
            part = 10 if name == "mixed" else 1
            for at, node in enumerate(nodes):
                case.rates[node] = (1000, 50, 100, 200, 500)[at % 5] / part
        elif name == "relay-killed":
            case.killed = last
        elif name == "late-join":
            case.late = last
        elif name == "corrupt":
            case.liar = last
        return case

    @property
    def receivers(self):
        return [node for node in self.rates if node not in (SEED, self.liar)]

    @property
    def limit(self):
        """Seconds: of the seed alone, of the slowest alone, of all links together."""
        up = {node: rate * 1e6 / 8 for node, rate in self.rates.items() if node != self.liar}
        total = len(self.receivers) * self.size / sum(up.values())
        return max(self.size / up[SEED], self.size / min(up.values()), total)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="of the case with equal links; the others run once in three rounds")
    parser.add_argument("--mbps", type=float, default=20)
    parser.add_argument("--megabytes", type=float, default=32)
    parser.add_argument("--chunk-kib", type=int, default=64)
    parser.add_argument("--only", action="append", choices=CASES + BESIDE, metavar="NAME", help="this case, or several")
    parser.add_argument("--short", action="store_true", help="fast and gigabit are as small as the others")
    parser.add_argument("--debug", action="store_true", help="a debug build, to see that it runs; no figures")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        if os.geteuid() != 0:
            sys.exit("network namespaces need root")
        need("ip", "tc", "nsenter", "unshare", "curl", "nginx", "rsync")
        build("ringrift-exchange", ["swarm_node"], options.debug)
        spaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        os.execvp("unshare", ["unshare", *spaces, sys.executable, *sys.argv, "--inside"])
    # What is stopped by a signal ends like what is stopped by Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        measure(options)
    except KeyboardInterrupt:
        sys.exit("stopped")


def measure(options):
    folder = pathlib.Path("/tmp")
    for mount in ("/run/netns", "/tmp"):
        os.makedirs(mount, exist_ok=True)
    program = example("swarm_node", options.debug).read_bytes()
    run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")
    run("mount", "-t", "sysfs", "sysfs", "/sys")
    run("mount", "-t", "tmpfs", "-o", "size=90%", "tmpfs", "/tmp")
    net = Net(folder, program)
    print(
        f"{NODES} nodes and a seed, {options.mbps:g} Mbit/s, {options.megabytes:g} MB in chunks of {options.chunk_kib} KiB;"
        f" load {load()}", flush=True,
    )
    wanted = options.only or CASES + BESIDE
    results = {}
    for name in CASES:
        if name in wanted:
            rounds = options.rounds if name == "equal" else -(-options.rounds // 3)
            results[name] = swarm(Case.of(name, net, options), net, rounds)
    equal = Case.of("equal", net, options)
    for name, measured in (("star", star), ("rsync", rsync)):
        if name in wanted:
            results[name] = measured(net, equal, results.get("equal"))
    if "idle" in wanted:
        results["idle"] = idle(net)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def swarm(case, net, rounds):
    net.write(case.size)
    net.shape(case.rates)
    runs = [one(case, net) for _ in range(rounds)]
    middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    middle["spread"] = (min(run["last"] for run in runs), max(run["last"] for run in runs))
    middle["limit_s"] = case.limit
    middle["runs"] = runs
    report(case, middle)
    return middle


def one(case, net):
    """One promotion, from the first connection to the last node."""
    processes, selector = {}, selectors.DefaultSelector()
    for node in case.rates:
        home = net.folder / "nodes" / node
        home.mkdir(parents=True)
        role = {SEED: "seed", case.liar: "liar"}.get(node, "node")
        processes[node] = enter(
            node, net.program, "swarm", node, home, net.file, str(case.chunk), role, net.members,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )
        selector.register(processes[node].stdout, selectors.EVENT_READ, node)
    awaited = {node for node in case.receivers if node != case.killed}
    try:
        waiting = set(case.rates)
        heard(selector, time.monotonic() + 60, lambda node, words: (waiting.discard(node), not waiting)[1], lambda: waiting)
        begun, load_before, cpu, wire = {}, load(), Cpu(processes.values()), net.sent(SEED)

        def begin(node):
            begun[node] = time.monotonic()
            processes[node].stdin.write("\n")

        at_once = time.monotonic()
        for node in case.rates:
            if node != case.late:
                begin(node)
        facts = {key: {} for key in ("first", "half", "done")}
        sources, dropped = {}, []

        def line(node, words):
            if words[0] == "event":
                dropped.append(" ".join([node, *words[1:]]))
            else:
                facts[words[0]][node] = time.monotonic() - begun[node]
            if words[0] == "half":
                if case.late and case.late not in begun:
                    begin(case.late)
                if node == case.killed:
                    processes[node].kill()
                    selector.unregister(processes[node].stdout)
            if words[0] == "done":
                sources[node] = dict(word.split("=") for word in words[2:])
            return awaited <= sources.keys()

        heard(selector, at_once + case.limit * PATIENCE[0] + PATIENCE[1], line, lambda: awaited - sources.keys())
        busy, own = cpu.since()
        wire = net.sent(SEED) - wire
    finally:
        for process in processes.values():
            process.stdin.close()
        for process in processes.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
        run("rm", "-rf", net.folder / "nodes")
    named = {text.split()[0] for text in dropped if case.liar and case.liar in text}
    for text in dropped:
        if text.split()[0] not in named:
            print(f"  {text}")
    if case.liar:
        print(f"  {len(named)} nodes were lied to, and named {case.liar}; all {len(sources)} files were verified whole")
    done = {node: facts["done"][node] for node in awaited}
    came = sum(int(count) for each in sources.values() for count in each.values())
    seed = sum(int(each.get(SEED, 0)) for each in sources.values())
    mixed = len(set(case.rates.values())) > 2
    plain = max(case.rates.values()) if mixed else statistics.median(case.rates.values())
    others = [seconds for node, seconds in done.items() if case.rates[node] >= plain and node != case.late]
    return {
        "last": max(done.values()) / case.limit,
        "median": statistics.median(done.values()) / case.limit,
        "others": statistics.median(others or done.values()) / (case.size * 8 / 1e6 / plain),
        "first_s": statistics.median(facts["first"].values()),
        "half": statistics.median(facts["half"].values()) / case.limit,
        "copies": seed / case.size,
        "wire_copies": wire / case.size,
        "twice": came / (len(awaited) * case.size) - 1,
        "busy": busy,
        "own": own,
        "load": load_before,
        "seconds": max(done.values()),
    }


def heard(selector, deadline, line, missing):
    """Reads what the nodes say until `line` is satisfied, or else names those that are missing."""
    satisfied = False
    while not satisfied:
        left = deadline - time.monotonic()
        if left <= 0:
            sys.exit(f"not done in time: {' '.join(sorted(missing()))}")
        for key, _ in selector.select(left):
            # A line is one write of a few hundred bytes to a pipe: it comes whole.
            text = os.read(key.fd, 1 << 16).decode()
            if not text:
                sys.exit(f"{key.data} ended")
            for each in text.splitlines():
                satisfied |= bool(line(key.data, each.split()))


def star(net, case, equal):
    """All nodes at the same time from the seed; a tenth of the file, because time grows with it."""
    net.write(case.size)
    net.shape(case.rates)
    part = net.folder / "www" / "part"
    part.parent.mkdir()
    part.write_bytes(net.file.read_bytes()[: max(case.size // 10, 1_000_000)])
    server = nginx(net, part.parent)
    before, cpu = time.monotonic(), Cpu()
    url = f"http://{net.address[SEED]}:8080/part"
    clients = [enter(node, "curl", "-sf", "--retry", "3", "-o", "/dev/null", url) for node in net.nodes if node != SEED]
    if any(client.wait() for client in clients):
        sys.exit("curl failed")
    seconds = (time.monotonic() - before) * case.size / part.stat().st_size
    busy, _ = cpu.since()
    server.terminate()
    server.wait()
    return beside("star, curl", seconds, case, equal, f"measured with {part.stat().st_size / 1e6:.1f} MB and scaled; busy {busy:.0%}", STAR)


def rsync(net, case, equal):
    """Three nodes in turn stand for all."""
    net.write(case.size)
    net.shape(case.rates)
    config = net.folder / "rsyncd.conf"
    config.write_text(f"use chroot = no\nuid = 0\ngid = 0\n[m]\npath = {net.folder}\n")
    server = enter(SEED, "rsync", "--daemon", "--no-detach", f"--address={net.address[SEED]}", f"--config={config}")
    url = f"rsync://{net.address[SEED]}/m/{net.file.name}"
    until(lambda: enter(SEED, "rsync", "--list-only", url, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait() == 0)
    before = time.monotonic()
    for node in net.nodes[1:4]:
        if enter(node, "rsync", "--whole-file", url, net.folder / "copy").wait():
            sys.exit("rsync failed")
        (net.folder / "copy").unlink()
    seconds = (time.monotonic() - before) / 3 * NODES
    server.terminate()
    server.wait()
    return beside("rsync", seconds, case, equal, f"in sequence, 3 of {NODES} nodes measured; it verifies nothing", None)


def beside(name, seconds, case, equal, how, target):
    bound = case.limit
    text = f"{name:12} last {seconds / bound:.1f} of {bound:.1f} s ({how})"
    if equal:
        times = seconds / (equal["last"] * bound)
        text += f"; the swarm is {times:.1f} times as fast"
        if target:
            must, ambitious = target
            reached = "ambitious target reached" if times >= ambitious else "target reached" if times >= must else "MISS"
            text += f" (must {must}, ambitious {ambitious}): {reached}"
    print(text, flush=True)
    return {"seconds": seconds, "ratio": seconds / bound}


def idle(net):
    """Twelve models that are all here."""
    files = []
    for at, size in enumerate(MODELS_MB):
        files.append(net.folder / f"{at}.pth")
        files[-1].write_bytes(os.urandom(1_000_000) * size)
    home = net.folder / "idle"
    home.mkdir()
    out = subprocess.run([net.program, "idle", home, *files], check=True, capture_output=True, text=True).stdout
    found = {words[0]: [float(word) for word in words[1:]] for words in map(str.split, out.splitlines())}
    labels = {"start": "a start of store and exchange", "again": "wanted again", "idle": "10 s of nothing to do"}
    print(f"idle       a node with 12 complete models, {sum(MODELS_MB)} MB; load {load()}")
    for key, label in labels.items():
        milliseconds, cpu, read = found[key]
        print(f"  {label}: {milliseconds:.1f} ms, CPU {cpu:.2f} ms, {read / 1000:.1f} KB read")
    verdict("sync with nothing to do, ms", found["again"][0], IDLE_MS, "waits for the next publication of the progress")
    verdict("the same after a start, ms", found["start"][0], IDLE_MS, "the store's start")
    run("rm", "-rf", home, *files)
    return found



if __name__ == "__main__":
    main()
