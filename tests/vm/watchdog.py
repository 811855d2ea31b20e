"""A daemon in which one part is stuck is found out, and started again, whichever part it is."""

MACHINES = {"alpha": "voter", "beta": "voter", "delta": "worker", "epsilon": "worker", "gamma": "voter", "zeta": "worker"}

# Each on a machine of its own, so that they hang at the same time.
HANGS = {
    "alpha": "publisher",
    "beta": "gossip",
    "delta": "follower",
    "epsilon": "http",
    "gamma": "consensus",
    "zeta": "links",
}

start_all()
wait_for_services(machines)
wait_for_leader(machines)
first = {}

with subtest("a stuck subsystem is named in the status line, in the same process"):
    for machine in machines:
        # Shorter than in the unit only so that the test is; the daemon reads it from systemd.
        configure_service(machine, f"WatchdogSec=10\nEnvironment=RINGRIFT_FAULT_HANG={HANGS[machine.name]}:3")
        machine.succeed(f"systemctl restart {SERVICE}")
        first[machine.name] = shown(machine, "MainPID")
    for machine in machines:
        wait_for(lambda: f"stuck: {HANGS[machine.name]} for " in shown(machine, "StatusText"), timeout=60)
        assert shown(machine, "MainPID") == first[machine.name], machine.name

with subtest("systemd ends each of them for its silence and starts it again"):
    for machine in machines:
        wait_for(lambda: shown(machine, "NRestarts") == "1", timeout=60)
        machine.wait_for_unit(SERVICE, timeout=30)
        assert shown(machine, "MainPID") != first[machine.name], machine.name
        machine.wait_until_succeeds(f"journalctl --unit {SERVICE} | grep 'Watchdog timeout'")
        machine.wait_until_succeeds(f"journalctl --unit {SERVICE} RINGRIFT_SUBSYSTEM={HANGS[machine.name]} | grep 'stuck: no progress'")

with subtest("without the fault they form a cluster again, and no status line tells of anything stuck"):
    for machine in machines:
        configure_service(machine, "")
        machine.succeed(f"systemctl restart {SERVICE}")
    leader = wait_for_leader(machines)
    wait_for(lambda: "leading" in shown(leader, "StatusText"))
    for machine in machines:
        assert "stuck" not in shown(machine, "StatusText")

with subtest("a daemon that is frozen as a whole is ended too"):
    configure_service(delta, "WatchdogSec=4")
    delta.succeed(f"systemctl restart {SERVICE}")
    frozen = shown(delta, "MainPID")
    delta.succeed(f"systemctl kill --signal=STOP {SERVICE}")
    wait_for(lambda: shown(delta, "NRestarts") == "1" and shown(delta, "MainPID") not in ("0", frozen), timeout=60)
    wait_for_leader(machines)
