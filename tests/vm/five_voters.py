"""A rolling restart of five voters stops at once at one that does not come back, and the quorum is never lost."""

# Not on NixOS: it is about the files that OpenSSH has on Debian.
MACHINES = {"alpha": "voter", "beta": "voter", "delta": "worker", "epsilon": "voter", "gamma": "voter", "zeta": "voter"}

# Asks all the time how many voters are alive.
WATCH = """
ringriftctl --json --timeout 20 voters > /root/voters && sed -n 's/^ *"voters_alive": \\([0-9]*\\).*/\\1/p' /root/voters >> /root/alive
! grep -q '"quorum_ok": false' /root/voters || cat /root/voters >> /root/lost
sleep 0.2
"""

start_all()
wait_for_services(machines)
leader = wait_for_leader(machines)
wait_for_alive(machines)
open_ssh(delta, machines)
delta.succeed("ringriftctl ssh setup --yes")
voters = [machine for machine in machines if machine is not delta]


def restart(*options):
    """A rolling restart of the voters, watched: its exit status, and what it said."""
    delta.succeed("rm -f /root/lost")
    with meanwhile(delta, WATCH, "/root/alive"):
        return delta.execute(f"ringriftctl cluster restart --role coordinator {' '.join(options)} 2> /dev/null")


def fewest():
    """How many voters were alive at least while it went on."""
    lost = delta.succeed("cat /root/lost || true")
    assert lost == "", lost
    return min(int(line) for line in delta.succeed("cat /root/alive").split())


plan = delta.succeed("ringriftctl cluster restart --role coordinator --dry-run").splitlines()
order = [next(voter for voter in voters if line.endswith(f": {voter.name}")) for line in plan]
assert len(order) == 5 and order[-1] is leader, plan
# Neither the first nor the last.
victim = order[2]
victim.succeed("mv /etc/ringrift-p2p/distributed_hosts.yaml /root/ && echo 'hosts: [' > /etc/ringrift-p2p/distributed_hosts.yaml")
before = {voter.name: began(voter) for voter in voters}

with subtest("those before it were restarted, it is named, and those after it are not touched"):
    status_code, text = restart()
    assert status_code == 1 and f"The rolling restart stopped: {victim.name}: failed" in text, text
    assert f"Not restarted: {order[3].name}, {order[4].name}\n" in text, text
    assert all(began(voter) > before[voter.name] for voter in order[:2])
    assert [began(voter) for voter in order[3:]] == [before[voter.name] for voter in order[3:]]
    without_restarts(order[:2] + order[3:])

with subtest("never was more than one voter missing, and the leader led on"):
    assert fewest() >= 4
    view = status(delta)
    assert view["voter_quorum_ok"] and view["voters_alive"] == 4 and view["leader_id"] == leader.name, view

with subtest("one more may be taken away from five, and is given back before the next"):
    # Four are alive and three are needed.
    status_code, text = delta.execute(f"ringriftctl cluster restart --resume --node {order[3].name} 2> /dev/null")
    assert status_code == 0, text
    assert began(order[3]) > before[order[3].name]
    assert status(delta)["voter_quorum_ok"]

with subtest("with two missing none is taken away"):
    order[0].succeed(f"systemctl stop {SERVICE} 'ringrift-p2p-*.socket'")
    wait_for(lambda: status(delta)["voters_alive"] == 3)
    kept = began(order[1])
    status_code, text = delta.execute(f"ringriftctl cluster restart --node {order[1].name} 2> /dev/null")
    assert status_code == 1 and "only 2 of 5 voters would be alive, and 3 are needed" in text, text
    assert began(order[1]) == kept

with subtest("once all are mended, a whole restart comes to its end"):
    victim.succeed("mv /root/distributed_hosts.yaml /etc/ringrift-p2p/")
    status_code, text = restart()
    assert status_code == 0 and "Summary: 5 running, 5 restarted" in text, text
    assert fewest() >= 3
    wait_for_leader(machines)
    wait_for_alive(machines)
