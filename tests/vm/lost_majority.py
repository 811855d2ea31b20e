"""Two of three voters are lost for good: what docs/operations.md tells an operator to do then, done."""

MACHINES = {"alpha": "voter", "beta": "voter", "delta": "worker", "gamma": "voter"}

HOSTS = "/etc/ringrift-p2p/distributed_hosts.yaml"


def write_voters(machine, names):
    """Replaces `p2p_voters`, the last entry of the file."""
    lines = "".join(f"  - {name}\\n" for name in names)
    machine.succeed(
        f"{{ sed '/^p2p_voters:/,$d' {HOSTS}; printf 'p2p_voters:\\n{lines}'; }} > {HOSTS}.new",
        f"mv {HOSTS}.new {HOSTS}",
    )


start_all()
wait_for_services(machines)
wait_for_leader(machines)
wait_for_alive(machines)
gamma.succeed("ringriftctl nodes cordon delta --reason 'before the loss'")
wait_for(lambda: eligibility(gamma, "delta") == "cordoned")
before = status(gamma)

with subtest("without a majority the survivor answers, and promises nothing"):
    alpha.crash()
    beta.crash()

    def without_quorum():
        """the survivor knows that it is alone"""
        view = status(gamma)
        return not view["voter_quorum_ok"] and view["leader_id"] is None

    wait_for(without_quorum)
    gamma.fail("ringriftctl nodes uncordon delta")

with subtest("the way back asks for the word of who takes it, and then leads at once"):
    gamma.succeed("systemctl stop 'ringrift-p2p*'")
    as_daemon = "setpriv --reuid ringrift-p2p --regid ringrift-p2p --clear-groups"
    recover = f"{as_daemon} ringrift-p2p recover --node-id gamma --voters gamma"
    gamma.fail(recover)
    gamma.succeed(f"{recover} --the-majority-is-lost")
    write_voters(gamma, ["gamma"])
    gamma.succeed(f"systemctl start {SERVICE}")
    assert wait_for_leader([gamma, delta]) is gamma

with subtest("nothing that the survivor knew is lost, in a new generation of the cluster"):
    view = status(gamma)
    assert view["voter_node_ids"] == ["gamma"]
    assert view["cluster_id"] != before["cluster_id"]
    assert view["state_index"] > before["state_index"]
    assert eligibility(gamma, "delta") == "cordoned"
    gamma.succeed("ringriftctl nodes uncordon delta")
    wait_for(lambda: eligibility(delta, "delta") == "eligible")

with subtest("a voter of the old generation is refused by name, changes nothing, and follows the new one as a worker"):
    beta.start()
    wait_for_services([beta])
    beta.wait_until_succeeds(f"journalctl -u {SERVICE} | grep 'gamma answered: this voter belongs to cluster'", timeout=60)

    def follows():
        """the voter of the old generation is a worker in the new one"""
        view = status(beta)
        return view["role"] == "worker" and view["leader_id"] == "gamma"

    wait_for(follows)
    assert status(beta)["cluster_id"] == status(gamma)["cluster_id"]
    assert status(gamma)["is_leader"]
    assert status(gamma)["voter_node_ids"] == ["gamma"]

with subtest("with its old log put away and the new file it is a voter again"):
    beta.succeed("systemctl stop 'ringrift-p2p*'", "mv /var/lib/ringrift-p2p/consensus /root/old-consensus")
    for machine in (beta, gamma):
        write_voters(machine, ["beta", "gamma"])
    beta.succeed(f"systemctl start {SERVICE}")
    gamma.wait_until_succeeds("ringriftctl reload", timeout=60)

    def two_voters():
        """both vote"""
        view = status(gamma)
        health = view["voter_health"]["voter_status"]
        return sorted(view["voter_node_ids"]) == ["beta", "gamma"] and all(voter["votes"] for voter in health.values())

    wait_for(two_voters)
    wait_for_leader([beta, gamma, delta])
