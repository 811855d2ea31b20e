"""A changed hosts file becomes a change of voters, by reload, without a restart; a bad one changes nothing."""

MACHINES = {"alpha": "voter", "beta": "voter", "delta": "worker", "epsilon": "worker", "gamma": "voter"}
SUITES = ["trixie", "bookworm"]

HOSTS = "/etc/ringrift-p2p/distributed_hosts.yaml"
THREE = ["alpha", "beta", "gamma"]
OTHER_THREE = ["alpha", "beta", "delta"]
FIVE = ["alpha", "beta", "delta", "epsilon", "gamma"]


def write_voters(machine, names):
    """Replaces `p2p_voters`, the last entry of the file, by rename as an operator's tool would."""
    lines = "".join(f"  - {name}\\n" for name in names)
    machine.succeed(
        f"{{ sed '/^p2p_voters:/,$d' {HOSTS}; printf 'p2p_voters:\\n{lines}'; }} > {HOSTS}.new",
        f"mv {HOSTS}.new {HOSTS}",
    )


def wait_for_voters(names, quorum):
    for machine in machines:

        def in_force():
            """the voters are in force"""
            view = status(machine)
            return sorted(view["voter_node_ids"]) == names and view["voter_quorum_size"] == quorum

        wait_for(in_force)


start_all()
wait_for_services(machines)
wait_for_leader(machines)
wait_for_alive(machines)
wait_for_voters(THREE, 2)
processes = {machine.name: shown(machine, "MainPID") for machine in machines}

with subtest("two new voters are taken in while the cluster serves"):
    for machine in machines:
        write_voters(machine, FIVE)
    for machine in machines:
        machine.succeed(f"systemctl reload {SERVICE}")
    wait_for_voters(FIVE, 3)
    wait_for_leader(machines)

with subtest("a new voter takes part, and can lead"):
    for machine in (delta, epsilon):
        wait_for(lambda: status(machine)["role"] == "follower")
    alpha.succeed("ringriftctl leader transfer --to delta")
    assert wait_for_leader(machines, other_than=alpha) is delta

with subtest("with five voters the cluster outlives two"):
    alpha.block()
    beta.block()
    assert wait_for_leader([gamma, delta, epsilon], timeout=15) is delta
    gamma.succeed("ringriftctl nodes cordon alpha --reason 'two are away'")
    alpha.unblock()
    beta.unblock()
    wait_for_leader(machines)
    wait_for_alive(machines)

with subtest("a file with a voter that is no host is refused with file and line, and the old voters stay"):
    write_voters(gamma, [*FIVE, "nobody"])
    gamma.succeed(f"systemctl reload {SERVICE}")
    gamma.wait_until_succeeds(
        f"journalctl --unit {SERVICE} --priority err --output cat | grep 'distributed_hosts.yaml:[0-9]*:.*nobody'",
        timeout=10,
    )
    wait_for_voters(FIVE, 3)
    wait_for(lambda: "the last reload was REFUSED: " in shown(gamma, "StatusText"))
    gamma.fail("ringriftctl reload")

with subtest("a copy of the file from before is told from a change, and refused"):
    write_voters(alpha, THREE)
    alpha.fail("ringriftctl reload")
    wait_for_voters(FIVE, 3)

with subtest("two voters can be taken out again, an old one among them"):
    for machine in machines:
        write_voters(machine, OTHER_THREE)
    for machine in machines:
        # Who has just been taken out looks for a voter to follow first, and says so with "try again".
        machine.wait_until_succeeds("ringriftctl reload", timeout=10)
    wait_for_voters(OTHER_THREE, 2)
    assert wait_for_leader(machines).name in OTHER_THREE
    wait_for(lambda: status(gamma)["role"] not in ("leader", "follower", "candidate"))

with subtest("all of it in the same processes"):
    for machine in machines:
        assert shown(machine, "MainPID") == processes[machine.name]
    without_restarts(machines)
