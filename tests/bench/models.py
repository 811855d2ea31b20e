#!/usr/bin/env python3
"""The model server beside nginx (sendfile on, one worker): CPU seconds per GB, throughput, memory.

    tests/bench/models.py [--rounds N] [--only NAME]… [--seconds N] [--json FILE]

Parts: "whole file" (174 MB), "ranges" (of 1 MiB over 64 connections), and "cold": how late a task of the control plane wakes while files
are served that are not in memory, beside how late it wakes without (example cold; two clients, files on the disk of /tmp).

Runs alternate, medians and ratios are printed. Server on CPU 0, client on CPU 1, over the loopback of a network namespace of its
own with reno: with bbr the congestion control is what one measures. The client discards bytes in the kernel (MSG_TRUNC). A figure
is no verdict when two halves of one server's own runs differ by more than 15 %. Needs root, nginx, curl, and a release build, which it
makes.
"""

import argparse
import json
import os
import pathlib
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from bed import build, example, need

NAME = "canonical_square19_4p.pth"
SIZE = 174_000_000
MIB = 1 << 20
RANGES = 1024  # of 1 MiB each, over 64 connections
CONNECTIONS = 64
WHOLE = 6  # downloads in a run
SPREAD = 0.15
# Must / ambitious, from the goals for models; CPU per GB relative to nginx, throughput relative to nginx.
TARGETS = {"whole file": (1.25, 1.1), "ranges": (1.15, 1.0), "throughput": (0.80, 0.95)}
COLD_MS = (50, 10)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", action="append", choices=("whole file", "ranges", "cold"))
    parser.add_argument("--seconds", type=int, default=30, help="of the part cold")
    parser.add_argument("--debug", action="store_true", help="a debug build, to see that it runs; no figures")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        if os.geteuid() != 0:
            sys.exit("a network namespace needs root")
        need("ip", "unshare", "nginx", "curl")
        build("ringrift-models", ["serve", "cold"], options.debug)
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv, "--inside"])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").write_text("reno")
    wanted = options.only or ["whole file", "ranges", "cold"]
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        if wanted != ["cold"]:
            results = measure(pathlib.Path(folder), options, wanted)
    if "cold" in wanted:
        os.sched_setaffinity(0, range(os.cpu_count()))
        with tempfile.TemporaryDirectory() as folder:
            results["cold"] = cold(pathlib.Path(folder), options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def measure(folder, options, wanted):
    os.sched_setaffinity(0, {0})  # inherited by the servers
    file = folder / "www" / NAME
    file.parent.mkdir()
    file.write_bytes(os.urandom(SIZE))
    servers = {"ringrift": ringrift(folder, file, options.debug), "nginx": nginx(folder, file.parent)}
    os.sched_setaffinity(0, {1})
    loads = {name: load for name, load in (("whole file", whole), ("ranges", ranges)) if name in wanted}
    results = {}
    try:
        for load_name, load in loads.items():
            runs = {name: [] for name in servers}
            for server in servers.values():
                load(server)  # warms caches and connections
            for _ in range(options.rounds):
                for name, server in servers.items():
                    runs[name].append(run(server, load))
            results[load_name] = report(load_name, runs, servers)
    finally:
        for server in servers.values():
            server["stop"]()
    return results


def cold(folder, options):
    files = []
    for at in range(2):
        files.append(folder / f"{at}.pth")
        files[-1].write_bytes(os.urandom(SIZE))
    out = subprocess.run(
        [example("cold", options.debug), folder, str(options.seconds), *files], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    found = {words[0]: [float(word) for word in words[1:] if not word.isalpha()] for words in map(str.split, out.splitlines())}
    served, disk = found["served"]
    load = pathlib.Path("/proc/loadavg").read_text().split()[0]
    print(f"cold: {served / 1e6:.0f} MB served, {disk / 1e6:.0f} MB of them read from the disk; load {load}")
    for name, label in (("quiet", "without"), ("cold", "with")):
        median, most, worst, beats = found[name]
        print(f"  {label:8} late by {median:.2f} ms (median), {most:.2f} ms (99 %), {worst:.2f} ms (worst of {beats:.0f})")
    worst, quiet = found["cold"][2], found["quiet"][2]
    must, ambitious = COLD_MS
    if disk < served / 2:
        verdict = "no verdict, the files stayed in memory"
    elif worst <= ambitious:
        verdict = "ambitious target reached"
    elif worst <= must:
        verdict = "target reached"
    elif quiet > must:
        verdict = f"no verdict, it is {quiet:.0f} ms without any client: the machine is too busy"
    else:
        verdict = f"MISS: {quiet:.1f} ms come from the machine, the rest from the disk or from sharing its cores"
    print(f"  worst delay of the control plane while cold files are served: {worst:.1f} ms (must {must}, ambitious {ambitious}): {verdict}")
    return found


def ringrift(folder, file, debug):
    process = subprocess.Popen(
        [example("serve", debug), folder / "data", "1", file],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    for line in process.stdout:
        if line.startswith("listening "):
            host, port = line.split()[1].rsplit(":", 1)
            address = (host, int(port))
            return {"pid": process.pid, "address": address, "path": f"/models/{NAME}", "stop": process.stdin.close}
    sys.exit("the model server does not start")


def nginx(folder, www):
    config = folder / "nginx.conf"
    config.write_text(f"""
        worker_processes 1; daemon off; user root; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
        events {{ worker_connections 1024; }}
        http {{
          sendfile on; tcp_nopush on; access_log off; keepalive_requests 1000000; root {www};
          client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
          uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
          server {{ listen 127.0.0.1:8080; }}
        }}""")
    process = subprocess.Popen(["nginx", "-c", config, "-p", folder])
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        try:
            socket.create_connection(("127.0.0.1", 8080)).close()
        except OSError:
            continue
        if children:
            return {"pid": int(children[0]), "address": ("127.0.0.1", 8080), "path": f"/{NAME}", "stop": process.terminate}
    sys.exit("nginx does not start")


def run(server, load):
    cpu, begun = cpu_seconds(server["pid"]), time.monotonic()
    bytes_read = load(server)
    seconds = time.monotonic() - begun
    return {"cpu": (cpu_seconds(server["pid"]) - cpu) / (bytes_read / 1e9), "mb_s": bytes_read / 1e6 / seconds}


def cpu_seconds(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def memory_mib(pid):
    """Memory of its own: pages of the file that it maps are the page cache's."""
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024, int(fields["RssAnon"].split()[0]) / 1024


class Connection:
    """One request after the other on one connection; bodies are dropped inside the kernel."""

    scratch = bytearray(4 * MIB)

    def __init__(self, server):
        self.socket = socket.create_connection(server["address"])
        self.head = f"GET {server['path']} HTTP/1.1\r\nHost: bench\r\n"
        self.left = None

    def ask(self, first=None):
        extra = "" if first is None else f"Range: bytes={first}-{first + MIB - 1}\r\n"
        self.socket.sendall((self.head + extra + "\r\n").encode())
        self.left = None

    def read(self):
        """Reads once. Bytes of bodies, and whether the answer is complete."""
        if self.left is None:
            begin = self.socket.recv(2048)
            head, _, body = begin.partition(b"\r\n\r\n")
            status = head.split(b" ", 2)[1]
            assert status in (b"200", b"206"), head
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            self.left = int(length.split(b":")[1]) - len(body)
            count = len(body)
        else:
            count = self.socket.recv_into(self.scratch, min(self.left, len(self.scratch)), socket.MSG_TRUNC)
            assert count > 0, "the connection ended early"
            self.left -= count
        return count, self.left == 0


def whole(server):
    total = 0
    connection = Connection(server)
    for _ in range(WHOLE):
        connection.ask()
        done = False
        while not done:
            count, done = connection.read()
            total += count
    connection.socket.close()
    return total


def ranges(server):
    poll = select.epoll()
    connections = {}
    starts = iter([(n * 7919 % (SIZE // MIB - 1)) * MIB for n in range(RANGES)])
    for _ in range(CONNECTIONS):
        connection = Connection(server)
        connections[connection.socket.fileno()] = connection
        poll.register(connection.socket, select.EPOLLIN)
        connection.ask(next(starts))
    total, open_answers = 0, CONNECTIONS
    while open_answers:
        for descriptor, _ in poll.poll():
            connection = connections[descriptor]
            count, done = connection.read()
            total += count
            if done:
                first = next(starts, None)
                if first is None:
                    open_answers -= 1
                    poll.unregister(descriptor)
                else:
                    connection.ask(first)
    for connection in connections.values():
        connection.socket.close()
    return total


def report(load, runs, servers):
    median = {name: {key: statistics.median(r[key] for r in found) for key in ("cpu", "mb_s")} for name, found in runs.items()}
    # Of neighbouring runs: what else the machine does meanwhile meets both.
    pairs = list(zip(runs["ringrift"], runs["nginx"], strict=True))
    cpu = statistics.median(ours["cpu"] / theirs["cpu"] for ours, theirs in pairs)
    throughput = statistics.median(ours["mb_s"] / theirs["mb_s"] for ours, theirs in pairs)
    print(f"{load}:")
    for name, server in servers.items():
        rss, own = memory_mib(server["pid"])
        print(
            f"  {name:9} {median[name]['cpu']:.3f} CPU s/GB, {median[name]['mb_s']:6.0f} MB/s,"
            f" RSS {rss:.1f} MiB, {own:.1f} of its own"
        )
    spread = max(abs(half_ratio(found) - 1) for found in runs.values())
    for what, value, key, better in (("CPU per GB", cpu, load, "below"), ("throughput", throughput, "throughput", "above")):
        must, ambitious = TARGETS[key]
        reached = (lambda limit: value <= limit) if better == "below" else (lambda limit: value >= limit)
        verdict = "ambitious target reached" if reached(ambitious) else "target reached" if reached(must) else "MISS"
        if spread > SPREAD:
            verdict = f"no verdict, one server's own runs differ by {spread:.0%}"
        print(f"  {what} relative to nginx: {value:.2f} (must {must}, ambitious {ambitious}): {verdict}")
    return {"median": median, "cpu_ratio": cpu, "throughput_ratio": throughput, "spread": spread, "runs": runs}


def half_ratio(found):
    cpu = [r["cpu"] for r in found]
    return statistics.median(cpu[::2]) / statistics.median(cpu[1::2])


if __name__ == "__main__":
    main()
