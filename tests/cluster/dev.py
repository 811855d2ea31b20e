#!/usr/bin/env python3
"""`ringrift-p2p dev` as a new user meets it, in a network namespace of its own.

Usage: tests/cluster/dev.py PATH-TO-ringrift-p2p [HOSTS-FILE]

With HOSTS-FILE it also forms the cluster of that file. Prints a line a test and ends with `N passed, N failed`.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
from pathlib import Path

PATIENCE = 180  # seconds; far above what anything here takes on a busy machine


def enter_namespace():
    """Runs this very script again in a fresh network namespace, where all of 127/8 is ours."""
    if os.environ.get("DEV_TEST_NAMESPACE") == "1":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    os.environ["DEV_TEST_NAMESPACE"] = "1"
    command = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    os.execvp(command[0], [*command, sys.executable, *sys.argv])


class Dev:
    """A running `ringrift-p2p dev`."""

    def __init__(self, program, *arguments, **options):
        self.output = tempfile.TemporaryFile(mode="w+")
        options = {"stdout": self.output, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL} | options
        self.process = subprocess.Popen([program, "dev", *arguments], **options)

    def text(self):
        self.output.seek(0)
        return self.output.read()

    def wait_for(self, needle):
        deadline = time.monotonic() + PATIENCE
        while needle not in self.text():
            if self.process.poll() is not None:
                raise AssertionError(f"dev ended with {self.process.returncode} before {needle!r}:\n{self.text()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"no {needle!r} within {PATIENCE} s:\n{self.text()}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.1)

    def end(self):
        """Waits for the end by itself, and returns the exit code."""
        return self.process.wait(PATIENCE)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        code = self.end()
        assert "did not stop within" not in self.text(), self.text()
        return code


def status(host):
    with urllib.request.urlopen(f"http://{host}:8770/status", timeout=10) as answer:
        return json.load(answer)


def everything():
    """All other processes of the namespace, which is ours alone."""
    mine = os.stat("/proc/self/ns/net").st_ino
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and int(entry.name) != os.getpid() and os.stat(entry / "ns/net").st_ino == mine:
                yield int(entry.name)


def leftovers(program):
    """Processes of this program that are still there."""
    found = []
    for pid in everything():
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/exe") == os.path.realpath(program):
                found.append(pid)
    return found


def jobs_here(host):
    with urllib.request.urlopen(f"http://{host}:8770/api/jobs/here", timeout=10) as answer:
        return json.load(answer)["jobs"]


def daemon_of(program, node):
    """The process of a node's daemon."""
    for pid in leftovers(program):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        if "run" in words and node in words:
            return pid
    raise AssertionError(f"no process of {node}")


def until(look):
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError):
            if found := look():
                return found
        assert time.monotonic() < deadline, look
        time.sleep(0.1)


def five_nodes_form_and_stop_on_ctrl_c(program, directory):
    dev = Dev(program, "--dir", directory)
    dev.wait_for("Ctrl-C stops the cluster.")
    text = dev.text()
    assert "Alive peers: 4" in text and "Total nodes: 5" in text, text
    leaders = set()
    for i in range(1, 6):
        seen = status(f"127.0.0.{i}")
        leaders.add(seen["leader_id"])
        assert seen["alive_peers"] == 4, seen["alive_peers"]
        assert len(seen["voter_node_ids"]) == 3
        assert Path(directory, f"node-{i}", "log").stat().st_size > 0
    assert len(leaders) == 1 and None not in leaders, leaders
    assert len(Path(directory, "token").read_text().strip()) >= 32
    assert dev.interrupt() == 0, dev.text()
    assert leftovers(program) == [], leftovers(program)
    # Started again on the same directory, the cluster goes on where it was.
    term = seen["term"]
    dev = Dev(program, "--dir", directory)
    dev.wait_for("Ctrl-C stops the cluster.")
    assert status("127.0.0.1")["term"] > term
    now = status("127.0.0.1")["cluster_id"]
    assert now == seen["cluster_id"], (now, seen["cluster_id"])
    assert dev.interrupt() == 0


def nothing_outlives_a_killed_launcher(program, directory):
    dev = Dev(program, "--dir", directory, "--nodes", "3")
    dev.wait_for("Ctrl-C stops the cluster.")
    dev.process.kill()
    dev.end()
    deadline = time.monotonic() + PATIENCE
    while leftovers(program):
        assert time.monotonic() < deadline, leftovers(program)
        time.sleep(0.1)


def the_advice_can_be_copied_word_for_word(program, directory):
    dev = Dev(program, "--dir", directory)
    dev.wait_for("Ctrl-C stops the cluster.")
    leader = status("127.0.0.1")["leader_id"]
    of_leader, of_worker = re.findall(r"^  (kill -9 [0-9]+) +# (.*)'s process", dev.text(), re.MULTILINE)
    assert of_leader[1] == "the leader", dev.text()
    subprocess.run(of_leader[0], shell=True, check=True)
    dev.wait_for(f"{leader} was killed by signal 9")
    others = [f"127.0.0.{i}" for i in range(1, 6) if f"node-{i}" != leader]
    deadline = time.monotonic() + PATIENCE
    while (now := status(others[0])["leader_id"]) in (None, leader):
        assert time.monotonic() < deadline, now
        time.sleep(0.1)
    subprocess.run(of_worker[0], shell=True, check=True)
    dev.wait_for(f"{of_worker[1]} is started again; it adopts the jobs that run on")
    assert dev.interrupt() == 0, dev.text()
    assert leftovers(program) == []


def a_job_is_placed_outlives_its_daemon_and_ends_with_the_cluster(program, directory):
    dev = Dev(program, "--dir", directory)
    dev.wait_for("Ctrl-C stops the cluster.")
    tool = [str(Path(program).with_name("ringriftctl")), "--token-file", str(Path(directory, "token")), "--json"]
    submitted = subprocess.run(
        [*tool, "jobs", "submit", "selfplay", "--config", "hex8_2p", "num_games=3600"], check=True, stdout=subprocess.PIPE
    )
    job = json.loads(submitted.stdout)["job_id"]

    def runs():
        """Where it runs, and as which process."""
        for i in range(1, 6):
            for run in jobs_here(f"127.0.0.{i}"):
                if run["job_id"] == job and run["pid"]:
                    return i, run["pid"]
        return None

    place, pid = until(runs)
    os.kill(daemon_of(program, f"node-{place}"), signal.SIGKILL)
    dev.wait_for(f"node-{place} is started again")
    # Adopted: the same process under the same name.
    assert until(runs) == (place, pid)
    # Nor does it stay behind when the cluster is stopped while its daemon is away.
    os.kill(daemon_of(program, f"node-{place}"), signal.SIGKILL)
    until(lambda: dev.text().count(f"node-{place} was killed by signal 9") == 2)
    assert Path(f"/proc/{pid}").exists()
    assert dev.interrupt() == 0, dev.text()
    assert leftovers(program) == []
    until(lambda: not Path(f"/proc/{pid}").exists())


def one_node_is_a_cluster_without_spare_voters(program, directory):
    dev = Dev(program, "--dir", directory, "--nodes", "1")
    dev.wait_for("Ctrl-C stops the cluster.")
    text = dev.text()
    assert "Alive peers: 0" in text and "Total nodes: 1" in text, text
    assert "kill -9" not in text and "leader transfer" not in text, text
    assert dev.interrupt() == 0
    assert "Stopping 1 node …" in dev.text(), dev.text()


def a_closed_terminal_stops_it_and_leaves_nothing(program, directory):
    dev = Dev(program, "--nodes", "3", env=os.environ | {"TMPDIR": directory})
    dev.wait_for("Ctrl-C stops the cluster.")
    dev.process.send_signal(signal.SIGHUP)
    assert dev.end() == 0, dev.text()
    assert leftovers(program) == [], leftovers(program)
    assert list(Path(directory).iterdir()) == []


def it_stops_in_order_when_nobody_reads_what_it_says(program, directory):
    # `dev 2>&1 | tee log` and Ctrl-C: both get the signal, and tee is gone first.
    dev = Dev(program, "--nodes", "3", "--dir", directory, stdout=subprocess.PIPE)
    for line in dev.process.stdout:
        if b"Ctrl-C stops the cluster." in line:
            break
    dev.process.stdout.close()
    dev.process.send_signal(signal.SIGINT)
    assert dev.end() == 0
    assert leftovers(program) == [], leftovers(program)
    for log in Path(directory).glob("*/log"):
        assert "stopping" in log.read_text(), f"{log}: this node was not asked to stop"


def a_table_that_cannot_be_written_is_a_failure_that_leaves_nothing(program, directory):
    with open("/dev/full", "w") as full:
        dev = Dev(program, "--nodes", "3", "--dir", directory, stdout=full, stderr=subprocess.PIPE)
        text = dev.process.communicate(timeout=PATIENCE)[1].decode()
    assert dev.process.returncode == 1 and "cannot write the output" in text, text
    assert leftovers(program) == [], leftovers(program)


def a_taken_port_is_one_clear_sentence(program, directory):
    with socket.create_server(("127.0.0.2", 8770)):
        dev = Dev(program, "--dir", directory)
        assert dev.end() == 1
    text = dev.text()
    assert "port 8770 on 127.0.0.2 is already taken" in text, text
    assert leftovers(program) == []


def a_bad_file_is_named_with_its_line(program, directory):
    path = Path(directory, "hosts.yaml")
    path.write_text("p2p_voters: [a]\nhosts:\n  a:\n    ssh_host: h\n    ssh_port: many\n    status: ready\n")
    dev = Dev(program, "--hosts", str(path))
    assert dev.end() == 1
    assert "hosts.yaml:5: hosts.a.ssh_port:" in dev.text(), dev.text()
    dev = Dev(program, "--hosts", str(path) + ".missing")
    assert dev.end() == 1
    assert "hosts.yaml.missing" in dev.text(), dev.text()
    assert leftovers(program) == []


def a_real_clusters_file_forms(program, directory, hosts_file):
    began = time.monotonic()
    dev = Dev(program, "--hosts", hosts_file, "--dir", directory)
    dev.wait_for("Ctrl-C stops the cluster.")
    took = time.monotonic() - began
    nodes = sorted(p.parent.name for p in Path(directory).glob("*/log"))
    addresses = [line.split()[1] for line in dev.text().splitlines() if " 127.0.0." in line and line.split()[0] in nodes]
    assert len(addresses) == len(nodes), dev.text()
    leaders = set()
    for address in addresses:
        seen = status(address)
        leaders.add(seen["leader_id"])
        assert seen["alive_peers"] == len(nodes) - 1, (address, seen["alive_peers"])
        assert set(seen["alive_peers_list"]) == set(nodes) - {seen["node_id"]}
        assert len(seen["nodes"]) > len(nodes), "hosts that stay down are shown too"
    assert len(leaders) == 1 and None not in leaders, leaders
    rss = []
    for pid in leftovers(program):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                rss.append(int(line.split()[1]) / 1024)
    print(f"    {len(nodes)} nodes formed in {took:.1f} s; largest process {max(rss):.0f} MiB")
    assert dev.interrupt() == 0
    assert leftovers(program) == []


def main():
    enter_namespace()
    program = os.path.abspath(sys.argv[1])
    tests = [
        (five_nodes_form_and_stop_on_ctrl_c, ()),
        (nothing_outlives_a_killed_launcher, ()),
        (the_advice_can_be_copied_word_for_word, ()),
        (a_job_is_placed_outlives_its_daemon_and_ends_with_the_cluster, ()),
        (one_node_is_a_cluster_without_spare_voters, ()),
        (a_closed_terminal_stops_it_and_leaves_nothing, ()),
        (it_stops_in_order_when_nobody_reads_what_it_says, ()),
        (a_table_that_cannot_be_written_is_a_failure_that_leaves_nothing, ()),
        (a_taken_port_is_one_clear_sentence, ()),
        (a_bad_file_is_named_with_its_line, ()),
    ]
    if len(sys.argv) > 2:
        tests.append((a_real_clusters_file_forms, (os.path.abspath(sys.argv[2]),)))
    passed = failed = 0
    for test, more in tests:
        directory = tempfile.mkdtemp(prefix="ringrift-test-")
        try:
            test(program, directory, *more)
            passed += 1
            print(f"ok {test.__name__.replace('_', ' ')}", flush=True)
        except Exception:  # noqa: BLE001 (a test may fail in any way, and the others still run)
            failed += 1
            print(f"FAILED {test.__name__.replace('_', ' ')}\n{traceback.format_exc()}", flush=True)
        finally:
            for pid in everything():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            shutil.rmtree(directory, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
