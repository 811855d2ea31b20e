"""The daemon where its limits are real: what it uses is counted, what it may not use kills it, and a reboot does not."""

MACHINES = {"alpha": "voter"}
BACKEND = "qemu"

CGROUP = f"/sys/fs/cgroup/system.slice/{SERVICE}"


def wait_until_leading():
    """Emulation is slow: what takes a second elsewhere may take ten here."""
    wait_for_services(machines, timeout=300)
    wait_for_leader(machines, timeout=120)


# Otherwise NixOS' machines are off where others would boot again.
alpha.start(allow_reboot=True)
wait_until_leading()

with subtest("it leads as the only voter, and needs far less than it may have"):
    unit = alpha.get_unit_info(SERVICE)
    assert 0 < int(unit["MemoryPeak"]) < int(unit["MemoryHigh"]) / 4, unit["MemoryPeak"]
    assert 0 < int(unit["TasksCurrent"]) < int(unit["TasksMax"]) / 4, unit["TasksCurrent"]
    assert int(unit["CPUUsageNSec"]) > 0

with subtest("the kernel was told the limits that the unit names"):
    told = alpha.succeed(f"cd {CGROUP} && cat memory.max memory.high pids.max").split()
    assert told == [unit[name] for name in ("MemoryMax", "MemoryHigh", "TasksMax")], told

with subtest("above MemoryMax it is killed, started again, and leads again"):
    before = unit["MainPID"]
    alpha.succeed(f"systemctl set-property --runtime {SERVICE} MemoryHigh=infinity MemoryMax=2M")
    wait_for(lambda: int(shown(alpha, "NRestarts")) > 0, timeout=120)
    # The kernel tells of such a kill at most every 10 ms, so one alone may reach systemd after the exit and pass for a
    # signal; and what is written to the journal is there a moment later. It is killed until it may have more.
    alpha.wait_until_succeeds(f"journalctl --unit {SERVICE} | grep \"Failed with result 'oom-kill'\"", timeout=120)
    alpha.succeed(f"systemctl set-property --runtime {SERVICE} MemoryHigh=1G MemoryMax=2G")
    wait_until_leading()
    assert shown(alpha, "MainPID") not in ("0", before)

with subtest("after a reboot it is back by itself, with what it knew, and leads"):
    alpha.succeed("ringriftctl nodes cordon alpha --reason 'before the reboot'")
    before = status(alpha)
    boot = alpha.succeed("cat /proc/sys/kernel/random/boot_id")
    alpha.reboot()
    wait_until_leading()
    assert alpha.succeed("cat /proc/sys/kernel/random/boot_id") != boot
    after = status(alpha)
    assert after["cluster_id"] == before["cluster_id"]
    assert after["term"] > before["term"]
    assert eligibility(alpha, "alpha") == "cordoned"
    without_restarts(machines)
