"""The cluster outlives its leader: its process, and its machine."""

MACHINES = {"alpha": "voter", "beta": "voter", "delta": "worker", "gamma": "voter"}

start_all()
wait_for_services(machines)
leader = wait_for_leader(machines)
wait_for_alive(machines)
term = status(leader)["term"]

with subtest("a leader killed by SIGKILL is started again, and one of a later term leads"):
    leader.succeed(f"systemctl kill --signal=KILL {SERVICE}")
    wait_for(lambda: shown(leader, "NRestarts") == "1" and shown(leader, "ActiveState") == "active")
    second = wait_for_leader(machines)
    assert status(second)["term"] > term
    wait_for_alive(machines)

with subtest("the others were not restarted"):
    without_restarts([machine for machine in machines if machine is not leader])

with subtest("a leader whose machine loses power is replaced within ten seconds"):
    term = status(second)["term"]
    survivors = [machine for machine in machines if machine is not second]
    second.crash()
    third = wait_for_leader(survivors, timeout=10, other_than=second)
    assert status(third)["term"] > term

with subtest("all survivors see it dead within eight seconds, and keep their quorum"):
    for machine in survivors:
        wait_for(lambda: second.name in status(machine)["dead_peers_list"], timeout=8)
        view = status(machine)
        assert (view["voters_alive"], view["voter_quorum_ok"]) == (2, True)
        assert view["voter_health"]["voters_offline"] == [second.name]
        assert view["voter_quorum_size"] == 2

with subtest("what was agreed before and after the crash is known to it when it comes back"):
    third.succeed("ringriftctl nodes cordon delta --reason 'while one was away'")
    second.start()
    second.wait_for_unit(SERVICE, timeout=60)
    wait_for_alive(machines)
    wait_for(lambda: eligibility(second, "delta") == "cordoned")

with subtest("and its return dethrones nobody"):
    assert wait_for_leader(machines) is third
