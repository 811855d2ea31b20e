"""A machine with another token is no member, whatever its hosts file says."""

MACHINES = {"alpha": "voter", "beta": "voter", "gamma": "voter"}

TOKEN = "/etc/ringrift-p2p/token"
members = [alpha, beta]

start_all()
gamma.succeed(
    "systemctl stop 'ringrift-p2p*'",
    "rm -rf /var/lib/ringrift-p2p/*",
    f"cp --preserve {TOKEN} /root/right",
    f"ringriftctl token new > {TOKEN}",
    "systemctl start ringrift-p2p",
)
wait_for_services(members)

with subtest("the others lead on without it"):
    leader = wait_for_leader(members)
    for machine in members:
        wait_for(lambda: status(machine)["voters_alive"] == 2)
        assert status(machine)["voter_quorum_ok"]

with subtest("nobody counts it as alive, and it sees no quorum and no leader"):
    for machine in members:
        assert "gamma" not in status(machine)["alive_peers_list"]
    view = status(gamma)
    assert view["alive_peers_list"] == []
    assert (view["leader_id"], view["voter_quorum_ok"]) == (None, False)

with subtest("both sides name the peer in their journals"):
    for machine, peer in [(alpha, "gamma|192\\.168\\.1\\.3"), (gamma, "alpha|beta")]:
        machine.wait_until_succeeds(
            f"journalctl --unit {SERVICE} --priority warning --output cat | grep --extended-regexp '{peer}'",
            timeout=30,
        )

with subtest("its token opens no door of the others' API either"):
    code = gamma.succeed(
        f"curl --silent --output /dev/null --write-out '%{{http_code}}' --request POST "
        f"--header \"Authorization: Bearer $(cat {TOKEN})\" http://alpha:8770/api/nodes/beta/cordon"
    )
    assert code == "401", code

with subtest("with the right token it is a member like the others"):
    gamma.succeed(f"cp /root/right {TOKEN}", f"systemctl restart {SERVICE}")
    wait_for_alive(machines)
    assert wait_for_leader(machines) is leader

with subtest("without any token it does not serve the sockets that systemd opened to everybody, and says why"):
    gamma.succeed(f": > {TOKEN}")
    gamma.execute(f"systemctl restart {SERVICE}")
    wait_for(lambda: shown(gamma, "Result") == "exit-code")
    gamma.wait_until_succeeds(
        f"journalctl --unit {SERVICE} --output cat | grep --ignore-case 'error: .*token'", timeout=30
    )
    gamma.fail("curl --silent --fail --max-time 2 http://localhost:8770/status")
