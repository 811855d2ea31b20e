"""A bed of network namespaces with shaped links, and what is measured in it."""

import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
NODES = 42
SEED = "n00"


class Net:
    """Namespaces and links: this process's own namespace is the bridge."""

    def __init__(self, folder, program):
        self.folder = folder
        self.program = folder / "swarm_node"
        self.program.write_bytes(program)
        self.program.chmod(0o755)
        self.file = folder / "model.pth"
        self.nodes = [f"n{at:02}" for at in range(NODES + 1)]
        self.address = {node: f"10.42.0.{at + 1}" for at, node in enumerate(self.nodes)}
        self.members = folder / "members"
        run("ip", "link", "add", "hub", "type", "bridge")
        run("ip", "link", "set", "hub", "up")
        batch([f"netns add {node}" for node in self.nodes])
        for node in self.nodes:
            batch([
                f"link add hub-{node} type veth peer name eth0 netns {node}",
                f"link set hub-{node} master hub up",
            ])
            batch([f"address add {self.address[node]}/24 dev eth0", "link set eth0 up", "link set lo up"], node)
            enter(node, "sh", "-c", "echo reno > /proc/sys/net/ipv4/tcp_congestion_control").wait()

    def write(self, size):
        """The file that goes to all."""
        with self.file.open("wb") as file:
            for at in range(0, size, 1 << 24):
                file.write(os.urandom(min(1 << 24, size - at)))

    def shape(self, rates):
        """Both directions of each link, Mbit/s; only these nodes are members."""
        self.members.write_text("".join(f"{node} {self.address[node]}\n" for node in rates))
        for node, rate in rates.items():
            # A burst that lets segments pass that the kernel joined: a bucket that cuts them costs all the CPU. And 50 ms of queue.
            burst = max(70_000, round(rate * 1e6 / 8 * 0.002))
            bucket = ["root", "tbf", "rate", f"{rate:g}mbit", "burst", str(burst), "latency", "50ms"]
            run("tc", "qdisc", "replace", "dev", f"hub-{node}", *bucket)
            run("tc", "-n", node, "qdisc", "replace", "dev", "eth0", *bucket)

    def sent(self, node):
        return int(pathlib.Path(f"/sys/class/net/hub-{node}/statistics/rx_bytes").read_text())


def nginx(net, www):
    config = net.folder / "nginx.conf"
    temp = " ".join(f"{kind}_temp_path {net.folder}/t-{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config.write_text(f"""
        worker_processes 1; daemon off; user root; pid {net.folder}/nginx.pid; error_log {net.folder}/nginx.log;
        events {{ worker_connections 1024; }}
        http {{ sendfile on; tcp_nopush on; access_log off; root {www}; {temp}
                server {{ listen {net.address[SEED]}:8080; }} }}""")
    server = enter(SEED, "nginx", "-c", config, "-p", net.folder)
    url = f"http://{net.address[SEED]}:8080/"
    until(lambda: enter(SEED, "curl", "-s", "-o", "/dev/null", url).wait() == 0)
    return server


class Cpu:
    """How busy the machine is, as a share of all its cores."""

    def __init__(self, processes=()):
        self.processes = processes
        self.own = sum(cpu_seconds(process.pid) for process in processes)
        self.at = self.ticks()
        self.begun = time.monotonic()

    @staticmethod
    def ticks():
        line = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
        ticks = [int(word) for word in line]
        return sum(ticks), ticks[3] + ticks[4]

    def since(self):
        """As a share: the machine, and these processes with what the kernel did on their behalf."""
        total, idle_ticks = (now - then for now, then in zip(self.ticks(), self.at))
        own = sum(cpu_seconds(process.pid) for process in self.processes) - self.own
        return 1 - idle_ticks / total, own / (os.cpu_count() * (time.monotonic() - self.begun))


def cpu_seconds(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def load():
    return float(pathlib.Path("/proc/loadavg").read_text().split()[0])


def enter(node, *command, **settings):
    # nsenter becomes the command, so that the process here is the program itself.
    return subprocess.Popen(["nsenter", f"--net=/run/netns/{node}", *map(str, command)], **settings)


def until(done):
    deadline = time.monotonic() + 10
    while not done():
        if time.monotonic() > deadline:
            sys.exit("a server does not start")
        time.sleep(0.02)


def run(*command):
    subprocess.run([str(word) for word in command], check=True)


def batch(lines, node=None):
    command = ["ip", *(["-n", node] if node else []), "-batch", "-"]
    subprocess.run(command, input="\n".join(lines) + "\n", text=True, check=True)


def need(*programs):
    """Ends with a sentence if a program is missing."""
    places = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [program for program in programs if not shutil.which(program, path=places)]
    if missing:
        sys.exit(f"{', '.join(missing)}: not installed. apt-get install nginx curl rsync iproute2 util-linux aria2")


def build(package, names, debug):
    """Builds examples of a package. With `debug` quickly, to see that a benchmark runs; its figures are none then."""
    if debug:
        print("A DEBUG BUILD: what it measures says nothing", flush=True)
    command = ["cargo", "build", *([] if debug else ["--release"]), "--quiet", "--locked", "-p", package]
    for name in names:
        command += ["--example", name]
    subprocess.run(command, cwd=ROOT, check=True)


def example(name, debug):
    """Where an example lies that was built."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / ("debug" if debug else "release") / "examples" / name
