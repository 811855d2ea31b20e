"""A voter that is cut off promises nothing, and comes back without disturbing the others."""

MACHINES = {"alpha": "voter", "beta": "voter", "delta": "worker", "gamma": "voter"}

start_all()
wait_for_services(machines)
leader = wait_for_leader(machines)
wait_for_alive(machines)
wait_for(lambda: not status(leader)["voter_health"]["quorum_threatened"])
follower = next(machine for machine in (alpha, beta, gamma) if machine is not leader)

with subtest("a follower that is cut off knows that it has no quorum, and says so"):
    term = status(leader)["term"]
    follower.block()
    connected = [machine for machine in machines if machine is not follower]

    def alone():
        """the cut-off voter sees no quorum and no leader"""
        view = status(follower)
        return not view["voter_quorum_ok"] and view["leader_id"] is None and not view["is_leader"]

    wait_for(alone)
    for machine in connected:
        wait_for(lambda: follower.name in status(machine)["dead_peers_list"])

with subtest("what needs the leader is refused there, with a reason, and at once"):
    answer = follower.succeed(
        "curl --silent --max-time 5 --request POST --header \"Authorization: Bearer $(cat /etc/ringrift-p2p/token)\" "
        "--header 'Content-Type: application/json' --data '{}' --write-out '\\n%{http_code}' "
        "http://localhost:8770/api/nodes/delta/cordon"
    )
    body, code = answer.rsplit("\n", 1)
    assert code == "503", answer
    assert json.loads(body)["error_code"] == "NO_LEADER", body

with subtest("the others keep their leader and go on writing"):
    assert wait_for_leader(connected) is leader
    leader.succeed("ringriftctl nodes cordon delta --reason 'during the cut'")

with subtest("healed, it follows the same leader in the same term, and learns what it missed"):
    follower.unblock()
    assert wait_for_leader(machines) is leader
    assert status(leader)["term"] == term, "a voter that could win nothing must not raise the term"
    wait_for(lambda: eligibility(follower, "delta") == "cordoned")
    wait_for_alive(machines)

with subtest("a leader that is cut off steps down, and the majority elects another"):
    leader.block()
    connected = [machine for machine in machines if machine is not leader]
    successor = wait_for_leader(connected, timeout=15, other_than=leader)
    assert status(successor)["term"] > term

    def stepped_down():
        """the cut-off leader no longer leads"""
        view = status(leader)
        return not view["is_leader"] and not view["voter_quorum_ok"]

    wait_for(stepped_down)

with subtest("healed, it follows its successor"):
    leader.unblock()
    assert wait_for_leader(machines) is successor
    wait_for_alive(machines)

with subtest("no daemon was restarted for it"):
    without_restarts(machines)
