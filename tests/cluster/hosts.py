#!/usr/bin/env python3
"""Nodes come to a running cluster and go from it by the operator's tool, in a network namespace of its own.

Usage: tests/cluster/hosts.py PATH-TO-ringrift-p2p PATH-TO-ringriftctl

Prints a line a test and ends with `N passed, N failed`.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
import zipfile
from pathlib import Path

from dev import PATIENCE, enter_namespace

VOTERS = ["v1", "v2", "v3", "v4", "v5"]


class Cluster:
    """Five voters and room for a worker, each at 127.0.0.N; all read one hosts file, so it is copied to none of them."""

    def __init__(self, daemon, tool, directory):
        self.daemon, self.tool, self.directory = daemon, tool, Path(directory)
        self.hosts = self.directory / "hosts.yaml"
        self.processes = {}
        lines = ["# Ours.", f"p2p_voters: [{', '.join(VOTERS)}]   # odd", "hosts:"]
        for number, name in enumerate(VOTERS, 1):
            lines.append(f"  {name}: {{ssh_host: 127.0.0.{number}, role: selfplay, status: ready}}   # voter {number}")
        self.hosts.write_text("\n".join(lines) + "\n")
        (self.directory / "token").write_text("0123456789abcdef" * 4)
        (self.directory / "settings.yaml").write_text(
            "heartbeat: 50ms\nelection_timeout_min: 300ms\nelection_timeout_max: 600ms\nrunner: none\n"
        )

    def address(self, name):
        return f"127.0.0.{6 if name == 'w1' else int(name[1:])}"

    def start(self, name):
        state = self.directory / name
        state.mkdir(exist_ok=True)
        address = self.address(name)
        command = [self.daemon, "run", "--stop-on-eof", "--node-id", name, "--hosts", self.hosts]
        command += ["--settings", self.directory / "settings.yaml", "--token-file", self.directory / "token"]
        command += ["--state-dir", state, "--bind-addr", address, "--advertise-host", address]
        with open(state / "log", "a", encoding="utf-8") as log:
            self.processes[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)

    def stop(self, name, how=signal.SIGTERM):
        process = self.processes.pop(name)
        process.send_signal(how)
        process.wait(PATIENCE)

    def tool_at(self, name, *arguments):
        """The tool, begun and asking the daemon of a node."""
        command = [self.tool, "--api", self.address(name), "--token-file", self.directory / "token"]
        command += ["--hosts", self.hosts, "--timeout", "30", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, name, *arguments):
        """The same to its end: exit code, what it said, and what it complained of."""
        return ended(self.tool_at(name, *arguments))

    def get(self, name, path):
        with urllib.request.urlopen(f"http://{self.address(name)}:8770{path}", timeout=30) as answer:
            return json.load(answer)

    def voters(self):
        return sorted(voter["node_id"] for voter in self.get("v1", "/api/voters")["voters"])

    def formed(self):
        for name in VOTERS:
            self.start(name)

        def votes():
            status = self.get("v1", "/status")
            voters = status["voter_health"]["voter_status"].values()
            return status["leader_id"] and len(voters) == 5 and all(voter["alive"] and voter["votes"] for voter in voters)

        until("a cluster of five voters", votes)

    def promote(self):
        model = self.directory / "best.pth"
        with zipfile.ZipFile(model, "w") as archive:
            archive.writestr("data.pkl", os.urandom(200_000))
        code, out, err = self.run("v1", "models", "promote", str(model), "--config", "hex8_2p")
        assert code == 0, (code, out, err)

    def end(self):
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()

    def logs(self):
        tails = []
        for log in sorted(self.directory.glob("*/log")):
            tails.append(f"--- {log.parent.name}\n" + "\n".join(log.read_text().splitlines()[-15:]))
        return "\n".join(tails)


def ended(process):
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def until(what, condition):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if condition():
                return
        time.sleep(0.1)
    raise AssertionError(f"waited {PATIENCE} s for {what}")


def steps(out):
    return [step["step"] for step in json.loads(out)["steps"]]


def a_node_is_added_with_every_model_and_removed_again(cluster):
    cluster.formed()
    cluster.promote()
    before = cluster.hosts.read_text()
    adding = cluster.tool_at("v1", "hosts", "add", "w1", "ssh_host=127.0.0.6", "role=selfplay", "--no-ssh", "--json")
    until("the host in the file", lambda: "  w1:" in cluster.hosts.read_text())
    cluster.start("w1")
    code, out, err = ended(adding)
    assert (code, steps(out)) == (0, ["reload", "joined", "models", "verified"]), (code, out, err)
    assert before in cluster.hosts.read_text(), "what was there stays as it was"

    def told():
        # 1, since nobody has played yet.
        code, out, _ = cluster.run("v1", "health", "components", "--all-nodes", "--json")
        if code != 1:
            return False
        nodes = {node["node_id"]: node["report"] for node in json.loads(out)["nodes"]}
        return sorted(nodes) == sorted([*VOTERS, "w1"]) and all(nodes.values())

    until("the components of all six", told)

    removing = cluster.tool_at("v1", "hosts", "remove", "w1", "--yes", "--no-ssh", "--json")
    until("the host marked", lambda: "status: disabled" in cluster.hosts.read_text())
    cluster.stop("w1")
    code, out, err = ended(removing)
    assert (code, steps(out)) == (0, ["reload", "marked", "drained", "stopped", "reload"]), (code, out, err)
    assert cluster.hosts.read_text() == before, "it is as if nothing had been"


def a_voter_leaves_only_while_the_others_are_enough(cluster):
    cluster.formed()
    before = cluster.hosts.read_text()
    code, out, err = cluster.run("v1", "hosts", "remove", "v1", "--yes")
    assert code == 1 and "v1 itself" in err, (code, out, err)

    removing = cluster.tool_at("v1", "hosts", "remove", "v5", "--yes", "--no-ssh", "--json")
    until("four voters", lambda: cluster.voters() == VOTERS[:4])
    cluster.stop("v5")
    code, out, err = ended(removing)
    assert code == 0 and steps(out)[-3:] == ["left", "stopped", "reload"], (code, out, err)
    expected = before.replace(", v5]", "]")
    expected = "".join(line for line in expected.splitlines(keepends=True) if not line.startswith("  v5:"))
    assert cluster.hosts.read_text() == expected

    for name in ["v3", "v4"]:
        cluster.stop(name, signal.SIGKILL)

    until("the two that are gone to be missed", lambda: cluster.get("v1", "/status")["voters_alive"] == 2)
    code, out, err = cluster.run("v1", "hosts", "remove", "v2", "--yes")
    assert code == 5 and "1 of them alive" in err, (code, out, err)
    assert cluster.hosts.read_text() == expected, "nothing was begun"


def main():
    enter_namespace()
    daemon, tool = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    passed = failed = 0
    for test in [a_node_is_added_with_every_model_and_removed_again, a_voter_leaves_only_while_the_others_are_enough]:
        directory = tempfile.mkdtemp(prefix="ringrift-test-")
        cluster = Cluster(daemon, tool, directory)
        try:
            test(cluster)
            passed += 1
            print(f"ok {test.__name__.replace('_', ' ')}", flush=True)
        except Exception:  # noqa: BLE001 (a test may fail in any way, and the others still run)
            failed += 1
            name = test.__name__.replace("_", " ")
            print(f"FAILED {name}\n{traceback.format_exc()}\n{cluster.logs()}", flush=True)
        finally:
            cluster.end()
            shutil.rmtree(directory, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
