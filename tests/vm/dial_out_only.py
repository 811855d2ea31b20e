"""A node behind an address translator is an ordinary node: it dials out, and requests to it travel over its own links."""

MACHINES = {"alpha": "voter", "beta": "voter", "delta": "dial-out", "gamma": "voter"}

voters = [alpha, beta, gamma]

start_all()
wait_for_services(machines)

with subtest("nobody can connect to it"):
    for machine in voters:
        for port in (8765, 8770, 8080):
            status_code, _ = machine.execute(f"timeout 2 bash -c ': < /dev/tcp/delta/{port}'")
            assert status_code == 124, f"{machine.name} reached {port}"

with subtest("it is alive to everybody, and they are to it"):
    wait_for_alive(machines)
    leader = wait_for_leader(machines)

with subtest("everybody knows that it cannot be dialled, and through whom it is reached"):
    for machine in voters:
        wait_for(lambda: status(machine)["peers"]["delta"]["relay_via"] in ("alpha", "beta", "gamma"))
        assert status(machine)["peers"]["delta"]["nat_blocked"] is True

with subtest("a request to it, asked of any node, is answered by it"):
    for machine in voters:
        answer = machine.succeed("curl --silent --show-error --fail --max-time 10 http://localhost:8770/api/node/delta/status")
        assert json.loads(answer)["node_id"] == "delta"
        assert "delta" in machine.succeed("ringriftctl status delta")

with subtest("it loses nothing when a node that it was reached through loses power"):
    relay = next(machine for machine in voters if machine.name == status(leader)["peers"]["delta"]["relay_via"])
    others = [machine for machine in machines if machine is not relay]
    relay.crash()
    wait_for_leader(others, timeout=15)
    asker = next(machine for machine in voters if machine is not relay)
    asker.wait_until_succeeds("curl --silent --fail --max-time 5 http://localhost:8770/api/node/delta/status", timeout=30)
    wait_for_alive(others)

with subtest("and it was never taken for dead"):
    for machine in others:
        if machine is not delta:
            machine.fail("ringriftctl events --type NODE_DEAD --json | grep delta")
    without_restarts(others)
