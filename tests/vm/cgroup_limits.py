"""What a unit may use is enforced, and counted, on the kind of machine that has a kernel of its own."""

MACHINES = {"alpha": "bare"}
BACKEND = "qemu"

MIB = 1 << 20


def start_unit(name, command, *properties):
    """Starts a transient service with these properties."""
    options = " ".join(f"--property={each}" for each in properties)
    alpha.succeed(f"{RUN_UNIT} --unit={name} {options} {command}")


def counted(name, property):
    """A number from systemd's accounting of a service."""
    return int(shown(alpha, property, f"{name}.service"))


def event(name, file, key):
    """A count from a file of the service's cgroup."""
    text = alpha.succeed(f"cat /sys/fs/cgroup/system.slice/{name}.service/{file}")
    return int(dict(line.split() for line in text.splitlines())[key])


start_all()

with subtest("a service that wants more than MemoryMax is killed, and its result says why"):
    # tail keeps its input until a line ends, and none does.
    start_unit("greedy", "tail /dev/zero", "MemoryMax=32M", "MemorySwapMax=0")
    wait_for(lambda: shown(alpha, "Result", "greedy.service") == "oom-kill", timeout=120)
    assert 24 * MIB < counted("greedy", "MemoryPeak") <= 32 * MIB
    alpha.succeed("systemctl reset-failed greedy.service")

with subtest("one that keeps below it lives, and its peak can be read"):
    # The 16 MiB stay in tail, because nobody takes them off it.
    start_unit("modest", "sh -c 'head --bytes=16M /dev/zero | tail | sleep infinity'", "MemoryMax=48M", "MemorySwapMax=0")
    wait_for(lambda: counted("modest", "MemoryPeak") > 16 * MIB, timeout=120)
    assert counted("modest", "MemoryPeak") < 48 * MIB
    assert event("modest", "memory.events", "oom_kill") == 0
    alpha.require_unit_state("modest.service")
    alpha.succeed("systemctl stop modest.service")

with subtest("TasksMax stops a fork bomb, and the machine around it is well"):
    # Its processes are deaf to SIGTERM while they ask again for what they are refused.
    bomb = "bash -c 'bomb() { bomb | bomb & }; bomb & exec sleep infinity'"
    start_unit("bomb", bomb, "TasksMax=25", "KillSignal=SIGKILL", "SuccessExitStatus=SIGKILL")
    wait_for(lambda: event("bomb", "pids.events", "max") > 0, timeout=120)
    assert counted("bomb", "TasksCurrent") <= 25
    alpha.require_unit_state("bomb.service")
    alpha.succeed(f"{RUN_UNIT} --wait true", timeout=120)
    alpha.succeed("systemctl stop bomb.service")

with subtest("CPUQuota holds a busy loop down, beside one that is free"):
    busy = "bash -c 'while :; do :; done'"
    start_unit("held", busy, "CPUQuota=20%")
    start_unit("free", busy)
    wait_for(lambda: counted("free", "CPUUsageNSec") > 4_000_000_000, timeout=120)
    used = {name: counted(name, "CPUUsageNSec") for name in ("held", "free")}
    assert 0 < used["held"] < used["free"] / 2, used
    assert event("held", "cpu.stat", "nr_throttled") > 0
    alpha.succeed("systemctl stop held.service free.service")

with subtest("nothing else failed on the way"):
    assert alpha.succeed("systemctl --failed --no-legend") == ""
