"""A rolling restart is noticed by nobody, and one that meets a node that does not come back stops there."""

# Not on NixOS: it is about the files that OpenSSH has on Debian.
MACHINES = {"alpha": "voter", "beta": "voter", "delta": "worker", "gamma": "voter"}

# Writes all the time, each with a budget of ten tries; what no try got through is noted.
WRITER = """
for verb in cordon uncordon; do
  tries=0
  until ringriftctl --api http://delta:8770 --timeout 3 nodes $verb alpha > /dev/null 2> /root/why; do
    tries=$((tries + 1))
    [ $tries -lt 10 ] || { cat /root/why >> /root/failed; break; }
    sleep 0.5
  done
  echo >> /root/written
done
"""

start_all()
for machine in machines:
    set_up(machine, DOZE)
wait_for_services(machines)
leader = wait_for_leader(machines)
wait_for_alive(machines)
open_ssh(delta, machines)
delta.succeed("ringriftctl ssh setup --yes")
voters = [alpha, beta, gamma]


def here():
    return [(job["job_id"], job["status"], job["pid"]) for job in json.loads(delta.succeed("ringriftctl --json jobs here"))["jobs"]]


delta.succeed("ringriftctl jobs submit doze")
wait_for(lambda: [status for _, status, _ in here()] == ["running"])
jobs = here()
before = {machine.name: began(machine) for machine in machines}

with subtest("the plan has the workers first and the leader last"):
    plan = delta.succeed("ringriftctl cluster restart --dry-run").splitlines()
    assert plan[0] == "1. restart the workers: delta", plan
    assert plan[-1] == f"4. restart the voter: {leader.name}", plan
    assert {machine.name: began(machine) for machine in machines} == before

with subtest("all are restarted under a load of writes, and none of them is lost"):
    with meanwhile(alpha, WRITER, "/root/written"):
        text = delta.succeed("ringriftctl cluster restart")
    assert "Summary: 4 running, 4 restarted" in text, text
    alpha.fail("test -e /root/failed")
    assert int(alpha.succeed("wc -l < /root/written")) >= 4

with subtest("each was restarted once, one voter after the other, and who led before was the last"):
    order = sorted(machines, key=began)
    assert all(began(machine) > before[machine.name] for machine in machines)
    assert order[0] is delta and order[-1] is leader, [machine.name for machine in order]
    without_restarts(machines)

with subtest("each was ready before the next was taken away, so that there was never less than a quorum"):
    for one, following in zip(order, order[1:]):
        assert int(shown(one, "ActiveEnterTimestampMonotonic")) < began(following), (one.name, following.name)

with subtest("the job ran on and was found again"):
    assert here() == jobs

with subtest("nothing is left to be resumed"):
    assert "no rolling restart to be resumed" in delta.execute("ringriftctl cluster restart --resume 2>&1")[1]

with subtest("it stops at a voter that does not come back, and touches no other"):
    leader = wait_for_leader(machines)
    victim = next(voter for voter in voters if voter is not leader)
    victim.succeed("mv /etc/ringrift-p2p/distributed_hosts.yaml /root/ && echo 'hosts: [' > /etc/ringrift-p2p/distributed_hosts.yaml")
    before = {machine.name: began(machine) for machine in machines}
    status_code, text = delta.execute("ringriftctl cluster restart 2> /dev/null")
    assert status_code == 1, text
    assert f"The rolling restart stopped: {victim.name}: failed" in text, text
    assert "ringriftctl cluster restart --resume" in text, text
    untouched = [voter for voter in voters if voter is not victim]
    assert [began(voter) for voter in untouched] == [before[voter.name] for voter in untouched]
    assert status(delta)["voter_quorum_ok"]

with subtest("with a voter missing no other may be taken away"):
    other = next(voter for voter in untouched if voter is not leader)
    status_code, text = delta.execute(f"ringriftctl cluster restart --resume --node {other.name} 2> /dev/null")
    assert status_code == 1 and f"missing already: {victim.name}" in text, text
    assert began(other) == before[other.name]

with subtest("once it is mended the restart is resumed where it stopped"):
    victim.succeed("mv /root/distributed_hosts.yaml /etc/ringrift-p2p/")
    worker = began(delta)
    text = delta.succeed("ringriftctl cluster restart --resume")
    assert "Summary: 4 running, 3 restarted" in text, text
    assert began(delta) == worker
    assert here() == jobs
    wait_for_leader(machines)

with subtest("a cluster that is stopped as a whole is started as a whole, and goes on"):
    delta.succeed("ringriftctl cluster stop --yes")
    assert [shown(machine, "ActiveState") for machine in machines] == ["inactive"] * 4
    code, text = delta.execute("ringriftctl cluster check")
    assert code == 1 and "Summary: 4 stopped" in text, text
    text = delta.succeed("ringriftctl cluster start")
    assert text.count(": Started (PID") == 4, text
    wait_for_leader(machines)
    wait_for_alive(machines)
