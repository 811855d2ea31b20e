"""A cluster's jobs are units of systemd: placed by the leader, kept through a crash of the daemon, stopped when nobody wants them."""

MACHINES = {"alpha": "voter", "beta": "worker"}
SUITES = ["trixie", "bookworm"]

CLASSES = """
job_classes:
  doze:
    kind: selfplay
    working_dir: /
    argv: [bash, -c, 'echo dozing; exec sleep "$1"', doze, "{seconds}"]
    params: {seconds: {type: integer, min: 0, max: 600, default: 600}}
    limits: {tasks_max: 40, memory_max: 64M}
    grace: 5s
"""

start_all()
for machine in machines:
    machine.succeed("sed -i 's/cpus: 1/max_parallel_jobs: 4/' /etc/ringrift-p2p/distributed_hosts.yaml")
    set_up(machine, CLASSES)
wait_for_services(machines)
wait_for_leader(machines)


with subtest("a job that is asked for on one machine runs as a unit on the other, inside its limits"):
    first = submitted(alpha, "doze")
    # Only the worker's role allows self-play.
    assert wait_for_status(alpha, first, "running")["node_id"] == "beta"
    unit = f"ringrift-selfplay@{first}.1.service"
    assert shown(beta, "ActiveState", unit) == "active"
    assert shown(beta, "TasksMax", unit) == "40"
    assert shown(beta, "MemoryMax", unit) == str(64 << 20)
    assert "/ringrift.slice/ringrift-selfplay.slice/" in shown(beta, "ControlGroup", unit)
    pid = shown(beta, "MainPID", unit)
    wait_for(lambda: "dozing" in alpha.succeed(f"ringriftctl jobs logs {first}"))

with subtest("what it uses is measured, its processes apart from its threads"):

    def measured():
        """its use is known"""
        usage = asked(beta, "/api/jobs/here")["jobs"][0]["usage"]
        return usage["processes"] is not None and usage

    usage = wait_for(measured)
    assert usage["processes"] == 1 and usage["cpu_ms"] is not None, usage

with subtest("its limits change while it runs"):
    alpha.succeed(f"ringriftctl jobs limits {first} memory_max=128M")
    wait_for(lambda: shown(beta, "MemoryMax", unit) == str(128 << 20))

with subtest("it outlives a restart and a crash of the daemon, and is found again"):
    beta.succeed(f"systemctl restart {SERVICE}")
    beta.succeed(f"systemctl kill --signal=KILL {SERVICE}")
    wait_for(lambda: shown(beta, "NRestarts") == "1" and shown(beta, "ActiveState") == "active")
    here = wait_for(lambda: json.loads(beta.succeed("ringriftctl --json jobs here"))["jobs"])
    assert [(one["job_id"], one["status"], str(one["pid"])) for one in here] == [(first, "running", pid)], here
    assert job(alpha, first)["attempts"] == 1

with subtest("a job that is cancelled ends as a unit, and leaves none behind"):
    alpha.succeed(f"ringriftctl jobs cancel {first} --wait")
    assert job(alpha, first)["status"] == "cancelled"
    wait_for(lambda: shown(beta, "LoadState", unit) != "loaded" or shown(beta, "ActiveState", unit) == "inactive")
    assert beta.succeed("systemctl --failed --no-legend") == ""

with subtest("the end of a job that nobody watched is known all the same"):
    second = submitted(alpha, "doze", "seconds=3")
    wait_for_status(alpha, second, "running")
    beta.succeed("systemctl stop 'ringrift-p2p*'")
    wait_for(lambda: shown(beta, "ActiveState", f"ringrift-selfplay@{second}.1.service") == "inactive")
    beta.succeed("systemctl start ringrift-p2p-api.socket ringrift-p2p-link.socket ringrift-p2p.service")
    ended = wait_for_status(alpha, second, "completed")
    assert (ended["attempts"], ended["ending"]["how"]) == (1, "exited"), ended

with subtest("a drained node gives its jobs back"):
    third = submitted(alpha, "doze")
    wait_for_status(alpha, third, "running")
    alpha.succeed("ringriftctl nodes drain beta")
    moved = wait_for_status(alpha, third, "pending")
    assert "beta" in alpha.succeed(f"ringriftctl jobs why {third}"), moved
    assert beta.succeed("systemctl list-units --no-legend --state=active 'ringrift-selfplay@*'") == ""

with subtest("a reload brings new classes without a restart, and leaves alone what runs"):
    alpha.succeed("ringriftctl nodes uncordon beta")
    wait_for_status(alpha, third, "running")
    unit = f"ringrift-selfplay@{third}.2.service"
    before = [shown(beta, name, unit) for name in ("MainPID", "TasksMax")] + [shown(machine, "MainPID") for machine in machines]
    changed = CLASSES.replace("tasks_max: 40", "tasks_max: 30").replace("doze:", "nap: {kind: selfplay, working_dir: /, argv: [sleep, '1']}\n  doze:", 1)
    for machine in machines:
        machine.succeed(f"printf '%s' {shlex.quote(changed)} > /etc/ringrift-p2p/settings.yaml", f"systemctl reload {SERVICE}")
    nap = submitted(alpha, "nap")
    wait_for_status(alpha, nap, "completed")
    assert [shown(beta, name, unit) for name in ("MainPID", "TasksMax")] + [shown(machine, "MainPID") for machine in machines] == before
    fourth = submitted(alpha, "doze")
    wait_for_status(alpha, fourth, "running")
    assert shown(beta, "TasksMax", f"ringrift-selfplay@{fourth}.1.service") == "30"
    alpha.succeed(f"ringriftctl jobs cancel {third} {fourth} --wait")

with subtest("a file that is wrong is refused with its line and key, and what was in force stays in force"):
    beta.succeed("sed -i 's/kind: selfplay, working_dir/kind: chess, working_dir/' /etc/ringrift-p2p/settings.yaml")
    code, said = beta.execute("ringriftctl reload 2>&1")
    assert code == 1 and "settings.yaml:3: job_classes.nap.kind" in said and "stays in force" in said, said
    assert "nap" in beta.succeed("ringriftctl --json jobs here")
