"""A daemon in which one part is stuck is found out, and started again."""

MACHINES = {"alpha": "voter"}

start_all()
wait_for_services(machines)
wait_for_leader(machines)

with subtest("a stuck subsystem is named in the status line while the rest still answers"):
    # Shorter than in the unit only so that the test is; the daemon reads it from systemd.
    configure_service(alpha, "WatchdogSec=10\nEnvironment=RINGRIFT_FAULT_HANG=publisher:3")
    alpha.succeed(f"systemctl restart {SERVICE}")
    first = shown(alpha, "MainPID")
    wait_for(lambda: "stuck: publisher for " in shown(alpha, "StatusText"), timeout=60)
    assert shown(alpha, "MainPID") == first
    assert status(alpha)["node_id"] == "alpha"

with subtest("systemd ends it for its silence and starts it again"):
    wait_for(lambda: shown(alpha, "NRestarts") == "1", timeout=60)
    alpha.wait_for_unit(SERVICE, timeout=30)
    assert shown(alpha, "MainPID") != first
    alpha.succeed(f"journalctl --unit {SERVICE} | grep 'Watchdog timeout'")
    alpha.succeed(f"journalctl --unit {SERVICE} | grep 'stuck: no progress'")

with subtest("without the fault it leads again, and the status line tells of nothing stuck"):
    configure_service(alpha, "")
    alpha.succeed(f"systemctl restart {SERVICE}")
    wait_for_leader(machines)
    wait_for(lambda: "leading" in shown(alpha, "StatusText"))
    assert "stuck" not in shown(alpha, "StatusText")

with subtest("a daemon that is frozen as a whole is ended too"):
    configure_service(alpha, "WatchdogSec=4")
    alpha.succeed(f"systemctl restart {SERVICE}")
    first = shown(alpha, "MainPID")
    alpha.succeed(f"systemctl kill --signal=STOP {SERVICE}")
    wait_for(lambda: shown(alpha, "NRestarts") == "1" and shown(alpha, "MainPID") not in ("0", first), timeout=60)
    wait_for_leader(machines)
