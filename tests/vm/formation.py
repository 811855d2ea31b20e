"""A cluster forms by itself out of one hosts file and one token."""

MACHINES = {"alpha": "voter", "beta": "voter", "delta": "worker", "gamma": "voter"}
SUITES = ["trixie", "bookworm"]

start_all()
wait_for_services(machines)

with subtest("all nodes name one leader, a voter, which leads"):
    leader = wait_for_leader(machines)
    assert leader is not delta

with subtest("every node counts the three others as alive"):
    wait_for_alive(machines)
    for machine in machines:
        view = status(machine)
        assert (view["alive_peers"], view["total_peers"], view["dead_peers"]) == (3, 3, 0), view
        assert len(view["nodes"]) == 4

with subtest("the voters are those of the hosts file, and two of three are the quorum"):
    for machine in machines:
        view = status(machine)
        assert sorted(view["voter_node_ids"]) == ["alpha", "beta", "gamma"]
        assert (view["voter_quorum_size"], view["voters_alive"], view["voter_quorum_ok"]) == (2, 3, True)

with subtest("all nodes are in the same cluster"):
    assert len({status(machine)["cluster_id"] for machine in machines}) == 1

with subtest("systemctl status names the leader"):
    for machine in machines:
        expected = "leading" if machine is leader else leader.name

        def told():
            """the status line tells who leads"""
            return expected in shown(machine, "StatusText")

        wait_for(told)

with subtest("health and readiness are served on their own port"):
    for machine in machines:
        machine.succeed("curl --silent --fail --max-time 5 http://localhost:8080/ready")
        machine.succeed("curl --silent --fail --max-time 5 http://localhost:8080/health | jq --exit-status .healthy")

with subtest("ringriftctl prints the runbook's healthy view"):
    for machine in machines:
        text = machine.succeed("ringriftctl status")
        assert f"Leader: {leader.name}" in text, text
        assert "Alive peers: 3" in text, text
        assert "Total nodes: 4" in text, text

with subtest("a leader's route asked of a worker is answered by the leader"):
    delta.succeed("ringriftctl nodes cordon delta --reason 'a test'")
    wait_for(lambda: eligibility(alpha, "delta") == "cordoned")
    delta.succeed("ringriftctl nodes uncordon delta")

with subtest("what changes the cluster needs the token"):
    code = alpha.succeed(
        "curl --silent --output /dev/null --write-out '%{http_code}' --request POST "
        "http://localhost:8770/api/nodes/delta/cordon"
    )
    assert code == "401", code
    assert eligibility(alpha, "delta") != "cordoned"

with subtest("the journal finds entries by node, by peer and by term, and the token is in none of them"):
    for machine in machines:
        machine.wait_until_succeeds(f"journalctl --quiet --unit {SERVICE} RINGRIFT_NODE={machine.name} | grep .")
        for other in machines:
            if other is not machine:
                machine.wait_until_succeeds(f"journalctl --quiet --unit {SERVICE} RINGRIFT_PEER={other.name} | grep 'link is up'")
        term = status(machine)["term"]
        machine.wait_until_succeeds(f"journalctl --quiet --unit {SERVICE} RINGRIFT_TERM={term} | grep 'lead'")
        machine.wait_until_succeeds("journalctl --quiet SYSLOG_IDENTIFIER=ringrift-p2p | grep .")
        machine.fail(f"journalctl --output=json --unit {SERVICE} | grep --fixed-strings \"$(cat /etc/ringrift-p2p/token)\"")

with subtest("the state belongs to the daemon's user alone"):
    for machine in machines:
        assert machine.succeed("stat --format '%U %a' /var/lib/ringrift-p2p").split() == ["ringrift-p2p", "700"]

with subtest("nobody was restarted on the way"):
    without_restarts(machines)
