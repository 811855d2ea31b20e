"""Jobs that misbehave where limits are real: each ends as it must, and is told of; the daemon and the others stay well."""

MACHINES = {"alpha": "voter"}
BACKEND = "qemu"

SETTINGS = """
jobs_fill: false
job_classes:
  doze:
    kind: selfplay
    working_dir: /
    argv: [sleep, "{seconds}"]
    params: {seconds: {type: integer, min: 0, max: 3600, default: 3600}}
    limits: {memory_max: 64M}
  greedy:
    kind: selfplay
    working_dir: /
    argv: [tail, /dev/zero]
    limits: {memory_max: 32M}
    attempts: 1
  hungry:
    kind: selfplay
    working_dir: /
    # The 16 MiB stay in tail, because nobody takes them off it.
    argv: [bash, -c, 'head --bytes=16M /dev/zero | tail | sleep infinity']
    limits: {memory_max: 64M}
    attempts: 1
  busy:
    kind: selfplay
    working_dir: /
    argv: [bash, -c, 'while :; do :; done']
    grace: 5s
  bomb:
    kind: selfplay
    working_dir: /
    # Braces stand twice: alone they are a value's place.
    argv: [bash, -c, 'bomb() {{ bomb | bomb & }}; bomb & exec sleep infinity']
    limits: {tasks_max: 25, cpu_quota: 50%}
    grace: 5s
  late:
    kind: selfplay
    working_dir: /
    argv: [sleep, infinity]
    deadline: 5s
    attempts: 1
  deaf:
    kind: selfplay
    working_dir: /
    argv: [bash, -c, 'trap "" TERM; while :; do sleep 1; done']
    grace: 4s
  crash:
    kind: selfplay
    working_dir: /
    argv: [bash, -c, 'exit 3']
    attempts: 4
"""

# Everything takes ten times as long here, and a busy host makes that more.
SLOW = 180


def unit_of(name, attempt=1):
    return f"ringrift-selfplay@{name}.{attempt}.service"


def counted(unit, file, key):
    """A count from a file of the unit's cgroup; 0 while the kernel does not count it there."""
    text = alpha.succeed(f"cat /sys/fs/cgroup{shown(alpha, 'ControlGroup', unit)}/{file}")
    return int(dict(line.split() for line in text.splitlines()).get(key, 0))


def uptime():
    """Seconds, by the machine's own clock."""
    return float(alpha.succeed("cat /proc/uptime").split()[0])


def events(kind):
    return asked(alpha, f"/api/events?type={kind}")["events"]


def caught(net):
    """How often the safety net has caught something, as metrics tell."""
    text = alpha.succeed("curl --silent --fail http://localhost:8770/metrics")
    found = [line for line in text.splitlines() if line.startswith(f'ringrift_job_safety_net{{net="{net}"}}')]
    return float(found[0].split()[-1]) if found else 0


start_all()
# One machine is all: it leads, and works.
alpha.succeed("sed -i 's/role: coordinator/role: mixed/; s/cpus: 1/max_parallel_jobs: 6/' /etc/ringrift-p2p/distributed_hosts.yaml")
set_up(alpha, SETTINGS)
# Otherwise the first job starts it, which on a busy host takes longer than the bus lets the daemon wait.
alpha.succeed("systemctl start polkit.service", timeout=SLOW)
wait_for_services(machines, timeout=300)
wait_for_leader(machines, timeout=SLOW)
daemon = shown(alpha, "MainPID")

bystander = submitted(alpha, "doze")
wait_for_status(alpha, bystander, "running", timeout=SLOW)
bystander_pid = shown(alpha, "MainPID", unit_of(bystander))

with subtest("a job that uses up its memory is killed for it, and is told from one that fails"):
    greedy = submitted(alpha, "greedy")
    ended = wait_for_status(alpha, greedy, "failed", timeout=SLOW)
    assert ended["ending"]["how"] == "out_of_memory", ended
    assert 16 << 20 < ended["ending"]["usage"]["memory_peak"] <= 32 << 20, ended
    assert "its memory was used up" in ended["error"], ended

with subtest("limits that are lowered while it runs bite at once: memory"):
    hungry = submitted(alpha, "hungry")
    wait_for_status(alpha, hungry, "running", timeout=SLOW)
    wait_for(lambda: int(shown(alpha, "MemoryCurrent", unit_of(hungry))) > 16 << 20, timeout=SLOW)
    alpha.succeed(f"ringriftctl jobs limits {hungry} memory_max=8M")
    ended = wait_for_status(alpha, hungry, "failed", timeout=SLOW)
    assert ended["ending"]["how"] == "out_of_memory", ended

with subtest("… and processor time"):
    busy = submitted(alpha, "busy")
    wait_for_status(alpha, busy, "running", timeout=SLOW)
    assert counted(unit_of(busy), "cpu.stat", "nr_throttled") == 0
    alpha.succeed(f"ringriftctl jobs limits {busy} cpu_quota=10%")
    wait_for(lambda: counted(unit_of(busy), "cpu.stat", "nr_throttled") > 0, timeout=SLOW)
    alpha.succeed(f"ringriftctl jobs cancel {busy} --wait", timeout=SLOW)

with subtest("a fork bomb stays below TasksMax, and next to it the daemon and other jobs are well"):
    bomb = submitted(alpha, "bomb")
    wait_for_status(alpha, bomb, "running", timeout=SLOW)
    wait_for(lambda: counted(unit_of(bomb), "pids.events", "max") > 0, timeout=SLOW)
    assert int(shown(alpha, "TasksCurrent", unit_of(bomb))) <= 25
    # A job that is asked for now is placed, started, and ends.
    other = submitted(alpha, "doze", "seconds=1")
    wait_for_status(alpha, other, "completed", timeout=SLOW)
    assert shown(alpha, "MainPID", unit_of(bystander)) == bystander_pid
    assert status(alpha)["is_leader"]
    alpha.succeed(f"ringriftctl jobs cancel {bomb} --wait", timeout=SLOW)
    assert job(alpha, bomb)["status"] == "cancelled"
    alpha.succeed("test ! -e /sys/fs/cgroup/ringrift.slice/ringrift-selfplay.slice/" + unit_of(bomb))

with subtest("a job that overruns its deadline is stopped, and is told from one that was cancelled"):
    late = submitted(alpha, "late")
    ended = wait_for_status(alpha, late, "timeout", timeout=SLOW)
    assert ended["ending"]["how"] == "timed_out" and ended["ending"]["ran_ms"] >= 5000, ended

with subtest("a job that ignores SIGTERM is killed after its grace period, and not before"):
    deaf = submitted(alpha, "deaf")
    wait_for_status(alpha, deaf, "running", timeout=SLOW)
    # Deaf is what the program is once it has said so.
    sigterm = 1 << 14
    pid = shown(alpha, "MainPID", unit_of(deaf))
    wait_for(lambda: int(alpha.succeed(f"sed -n 's/^SigIgn:\\t//p' /proc/{pid}/status"), 16) & sigterm, timeout=SLOW)
    before = uptime()
    alpha.succeed(f"ringriftctl jobs cancel {deaf} --wait", timeout=SLOW)
    assert uptime() - before >= 4
    assert job(alpha, deaf)["ending"]["how"] == "stopped", job(alpha, deaf)
    said = alpha.succeed(f"journalctl --sync && journalctl --unit {unit_of(deaf)} --output=cat")
    assert "code=killed, status=9/KILL" in said, said

with subtest("a job that crashes again and again waits twice as long each time, and its class is seen to pause"):
    crash = submitted(alpha, "crash")

    def pausing():
        """the class pauses after three failures"""
        here = asked(alpha, "/api/jobs/here")["backing_off"]
        return [pause for pause in here if pause["class"] == "crash" and pause["failures"] >= 3]

    (pause,) = wait_for(pausing, timeout=SLOW)
    assert "exited with status 3" in pause["reason"], pause
    ended = wait_for_status(alpha, crash, "failed", timeout=SLOW)
    assert ended["attempts"] == 4 and "exited with status 3" in ended["error"], ended
    history = asked(alpha, f"/api/jobs/{crash}")["history"]
    ends = [attempt["at"] for attempt in reversed(history)]
    pauses = [later - earlier for earlier, later in zip(ends, ends[1:])]
    assert len(pauses) == 3 and all(pause >= least for pause, least in zip(pauses, (5, 10, 20))), pauses
    (told,) = [event for event in events("JOB_SAFETY_NET") if event["details"]["net"] == "crash_loop"][:1]
    assert "crash failed 3 times in a row" in told["message"], told
    assert caught("crash_loop") >= 1

with subtest("all the while nothing happened to the daemon, nor to the job beside"):
    assert shown(alpha, "MainPID") == daemon
    without_restarts(machines)
    assert shown(alpha, "MainPID", unit_of(bystander)) == bystander_pid
    assert job(alpha, bystander)["status"] == "running" and job(alpha, bystander)["attempts"] == 1
    assert alpha.succeed("systemctl --failed --no-legend") == ""
