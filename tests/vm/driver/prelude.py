"""What the scenarios have in common. It is read before each of them, here and on NixOS alike, into the same names."""

import json
import shlex
from contextlib import contextmanager

SERVICE = "ringrift-p2p.service"
# Starts a transient unit. Its program finds others as this shell does; systemd's own path is empty of them on NixOS.
RUN_UNIT = 'systemd-run --quiet --setenv=PATH="$PATH"'
# Settings with a class of jobs that run on and on.
DOZE = """
job_classes:
  doze:
    kind: selfplay
    working_dir: /
    argv: [bash, -c, 'exec sleep 600']
    limits: {tasks_max: 40}
    grace: 5s
"""


def asked(machine, path):
    """What the machine's daemon answers to a GET."""
    return json.loads(machine.succeed(f"curl --silent --show-error --fail --max-time 5 'http://localhost:8770{path}'"))


def status(machine):
    """What the machine's daemon says on /status."""
    return asked(machine, "/status")


def eligibility(machine, node):
    """Whether `node` is given work, as this machine knows it from the agreed state."""
    listed = asked(machine, "/api/nodes")
    return next(entry["eligibility"]["state"] for entry in listed["nodes"] if entry["node_id"] == node)


def shown(machine, name, unit=SERVICE):
    """One property from systemd's own accounting."""
    return machine.get_unit_property(unit, name)


def began(machine):
    """When the daemon that runs now began, in microseconds since boot; 0 while none runs."""
    return int(shown(machine, "ExecMainStartTimestampMonotonic"))


def wait_for(claim, timeout=30):
    """Waits until the function returns something true, and returns that. What it raises counts as not yet."""
    found = None
    reason = None

    def attempt(last):
        nonlocal found, reason
        try:
            found = claim()
        except Exception as error:
            found, reason = None, error
        if last and not found:
            raise Exception(f"not true after {timeout} s: {claim.__doc__ or claim.__name__}; {reason or found}")
        return bool(found)

    retry(attempt, timeout)
    return found


def wait_for_services(nodes, timeout=60):
    """Waits until systemd has heard READY=1 on every node."""
    for node in nodes:
        node.wait_for_unit(SERVICE, timeout=timeout)


def wait_for_leader(nodes, timeout=30, other_than=None):
    """Waits until all these nodes name the same leader, which itself says that it leads, and returns its machine."""

    def agreed():
        """all nodes name one leader, and it leads"""
        views = [status(node) for node in nodes]
        leaders = {view["leader_id"] for view in views}
        terms = {view["term"] for view in views}
        if len(leaders) != 1 or len(terms) != 1 or leaders == {None} or not all(v["voter_quorum_ok"] for v in views):
            return None
        leader = leaders.pop()
        if other_than is not None and leader == other_than.name:
            return None
        leading = [view["node_id"] for view in views if view["is_leader"]]
        assert len(leading) <= 1, f"{leading} lead at the same time"
        return leader if leading == [leader] else None

    name = wait_for(agreed, timeout)
    return next(node for node in machines if node.name == name)


def wait_for_alive(nodes, timeout=30):
    """Waits until each of these nodes counts exactly the others of them as alive."""
    for node in nodes:
        others = sorted(other.name for other in nodes if other is not node)

        def counted():
            """exactly the others are alive"""
            return sorted(status(node)["alive_peers_list"]) == others

        wait_for(counted, timeout)


def without_restarts(nodes):
    """Asserts that systemd never had to restart the daemon."""
    for node in nodes:
        assert shown(node, "NRestarts") == "0", f"{node.name}: NRestarts={shown(node, 'NRestarts')}"
        assert shown(node, "Result") == "success", f"{node.name}: Result={shown(node, 'Result')}"


def configure_service(machine, text):
    """Adds a drop-in to the service; an empty text takes it away again."""
    folder = f"/run/systemd/system/{SERVICE}.d"
    if text:
        machine.succeed(f"mkdir -p {folder} && printf '%s\\n' '[Service]' '{text}' > {folder}/scenario.conf")
    else:
        machine.succeed(f"rm -r {folder}")
    machine.succeed("systemctl daemon-reload")


def set_up(machine, settings):
    """Gives the daemon these settings and starts it anew."""
    machine.succeed(f"printf '%s' {shlex.quote(settings)} > /etc/ringrift-p2p/settings.yaml")
    machine.succeed(f"systemctl restart {SERVICE}")


def job(machine, name):
    """A job as the machine's daemon knows it. By curl: where the processor is emulated, the tool takes seconds to start."""
    return asked(machine, f"/api/jobs/{name}")["job"]


def submitted(machine, name, *values):
    """Asks for a job of a class by the operator's tool, and returns the job's name."""
    return json.loads(machine.succeed(f"ringriftctl --json jobs submit {name} {' '.join(values)}"))["job_id"]


def wait_for_status(machine, name, wanted, timeout=60):
    """Waits until the job is so, and returns it."""
    return wait_for(lambda: job(machine, name)["status"] == wanted and job(machine, name), timeout)


@contextmanager
def meanwhile(machine, script, begun):
    """Runs a shell script on the machine again and again for as long as the block, from when it has made the file `begun`."""
    again = f"rm -f /root/enough /root/ended {begun}; (while [ ! -e /root/enough ]; do {script}\ndone; touch /root/ended)"
    machine.succeed(f"bash -c {shlex.quote(again)} > /dev/null 2>&1 &")
    machine.wait_for_file(begun, timeout=30)
    yield
    machine.succeed("touch /root/enough")
    machine.wait_for_file("/root/ended", timeout=60)


def open_ssh(operator, nodes):
    """Starts SSH servers, and lets the operator's machine in by a key of its own, as a provider's console would."""
    operator.succeed("test -e /root/.ssh/id_ed25519 || ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519")
    key = operator.succeed("cat /root/.ssh/id_ed25519.pub").strip()
    for node in nodes:
        node.succeed(
            "ssh-keygen -A && mkdir -p /root/.ssh && chmod 700 /root/.ssh",
            f"echo {shlex.quote(key)} >> /root/.ssh/authorized_keys",
            "systemctl start ssh.service",
        )


class Jobs:
    """The systemd runner of one machine, which `ringrift-runner` drives in the daemon's place and with the daemon's rights."""

    DATA = "/var/lib/ringrift/data"
    # For `configure_service`: the daemon's unit with all that it says about rights, and another program in it.
    UNIT = "Type=exec\nExecStart=\nExecStart=/usr/local/bin/ringrift-runner serve\nWatchdogSec=0"

    def __init__(self, machine):
        self.machine = machine
        configure_service(machine, self.UNIT)
        machine.succeed(f"systemctl restart {SERVICE}")
        machine.wait_for_file("/run/ringrift-p2p/runner.socket", timeout=30)

    def order(self, **order):
        """Gives the runner an order, and returns its answer."""
        return json.loads(self.machine.succeed(f"ringrift-runner {shlex.quote(json.dumps(order))}"))

    def obeyed(self, **order):
        answer = self.order(**order)
        assert answer == {"ok": True}, answer

    def refused(self, because, **order):
        """The order fails, and the sentence names what is to be done."""
        answer = self.order(**order)
        assert because in answer.get("error", ""), answer

    def unit(self, job, kind="selfplay"):
        return f"ringrift-{kind}@{job}.1.service"

    def launch(self, job, argv, kind="selfplay", limits=None, grace=60, working_dir=DATA):
        command = {"argv": argv, "env": {"COLOUR": "blue"}, "working_dir": working_dir}
        run = {"kind": kind, "job": job, "attempt": 1}
        grace = {"secs": grace, "nanos": 0}
        return {"run": run, "class": kind, "command": command, "limits": limits or {}, "gpus": [], "grace": grace}

    def start(self, job, script, **how):
        """Starts a job that runs this shell script, or this list of arguments, and returns its unit."""
        argv = ["bash", "-c", script] if isinstance(script, str) else script
        self.obeyed(do="start", launch=self.launch(job, argv, **how))
        return self.unit(job, how.get("kind", "selfplay"))

    def list(self):
        """How the runner finds each run, by its unit."""
        found = self.order(do="list")
        assert "error" not in found, found
        return found

    def state(self, unit):
        return self.list().get(unit, {"state": "gone"})

    def wait_for_state(self, unit, wanted):
        return wait_for(lambda: self.state(unit)["state"] == wanted and self.state(unit))

    def ending(self, unit):
        """Waits for the end of the run: `how` it ended, with what, and what it used."""
        return self.wait_for_state(unit, "ended")["ending"]

    def forget(self, *units):
        for unit in units:
            self.obeyed(do="forget", unit=unit)
            assert self.state(unit)["state"] == "gone", self.state(unit)

    def in_daemons_unit(self, *argv):
        """Runs a program as a child of the daemon, with everything that the daemon may do: its status, and what it said."""
        answer = self.order(do="run", argv=list(argv))
        return answer["status"], answer["stdout"] + answer["stderr"]
