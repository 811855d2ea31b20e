"""An update by package keeps quorum and job; a package that is broken ends it at the first node, and a rollback goes back."""

# Not on NixOS: it is about Debian packages.
MACHINES = {"alpha": "voter", "beta": "voter", "delta": "worker", "gamma": "voter"}

# Asks the voters all the time whether there is a quorum, and notes when none of them says so. One that has just begun does not know it yet.
WATCH = """
for voter in alpha beta gamma; do ringriftctl --json --api http://$voter:8770 --timeout 5 voters; done > /root/voters 2>&1
echo >> /root/asked
grep -q '"quorum_ok": true' /root/voters || cat /root/voters >> /root/lost
sleep 0.2
"""
# The same program under another version, whose daemon ends at once.
BREAK = """
rm -rf /root/tree && dpkg-deb --raw-extract {package} /root/tree
printf '%s\\n' '#!/bin/sh' 'echo it is broken >&2' 'exit 1' > /root/tree/usr/bin/ringrift-p2p
sed -i 's/^Version: .*/Version: 2000.0/' /root/tree/DEBIAN/control
dpkg-deb --root-owner-group -Znone --build /root/tree {broken} > /dev/null
"""

start_all()
for machine in machines:
    set_up(machine, DOZE)
wait_for_services(machines)
wait_for_leader(machines)
wait_for_alive(machines)
open_ssh(delta, machines)
delta.succeed("ringriftctl ssh setup --yes")
voters = [alpha, beta, gamma]


def began_by_name():
    return {machine.name: began(machine) for machine in machines}


def version(machine):
    return machine.succeed("dpkg-query --show --showformat='${Version} ${db:Status-Status}' ringrift-p2p")


def here():
    return [(job["job_id"], job["status"], job["pid"]) for job in json.loads(delta.succeed("ringriftctl --json jobs here"))["jobs"]]


def given(path):
    """Puts a package on the operator's machine, under its own name."""
    target = f"/root/{path.rpartition('/')[2]}"
    delta.copy_from_host(path, target)
    return target


old = version(alpha)
newer = given(package("1000.0"))
broken = newer.replace("1000.0", "2000.0")
delta.succeed(BREAK.format(package=newer, broken=broken))
delta.succeed("ringriftctl jobs submit doze")
wait_for(lambda: [status for _, status, _ in here()] == ["running"])
jobs = here()
before = began_by_name()

with subtest("a dry run says which version each node would get, and changes nothing"):
    plan = delta.succeed(f"ringriftctl update --package {newer} --dry-run")
    assert plan.startswith("1. update together: delta\n"), plan
    assert f"alpha: {old.split()[0]} → 1000.0 of {newer} (Debian package)\n" in plan, plan
    assert began_by_name() == before and [version(machine) for machine in machines] == [old] * 4

with subtest("every node gets the package, the leader last, one voter after the other, and the quorum is never lost"):
    leader = wait_for_leader(machines)
    with meanwhile(delta, WATCH, "/root/asked"):
        text = delta.succeed(f"ringriftctl update --package {newer}")
    assert "Summary: 4 updated" in text and f"✓ beta: {old.split()[0]} → 1000.0\n" in text, text
    assert (lost := delta.succeed("cat /root/lost || true")) == "", lost
    assert [version(machine) for machine in machines] == ["1000.0 installed"] * 4
    order = sorted(machines, key=began)
    assert all(began(machine) > before[machine.name] for machine in machines)
    assert order[0] is delta and order[-1] is leader, [machine.name for machine in order]
    for one, following in zip(order, order[1:]):
        assert int(shown(one, "ActiveEnterTimestampMonotonic")) < began(following), (one.name, following.name)
    without_restarts(machines)

with subtest("the job ran on in the same process, and was found again"):
    assert here() == jobs

with subtest("once more there is nothing to do"):
    before = began_by_name()
    assert "Summary: 4 unchanged" in delta.succeed(f"ringriftctl update --package {newer}")
    assert began_by_name() == before

with subtest("a rollback installs what was packed on each node, whole, and the job runs on"):
    text = delta.succeed("ringriftctl update --rollback")
    assert "Summary: 4 rolled back" in text, text
    assert [version(machine) for machine in machines] == [old] * 4
    for machine in machines:
        # All files have the sums that the package has of them.
        assert machine.succeed("dpkg --verify ringrift-p2p") == ""
        assert shown(machine, "UnitFileState") == "enabled"
    wait_for_services(machines)
    assert here() == jobs
    wait_for_leader(machines)

with subtest("a broken package ends the walk at the first node"):
    before = began_by_name()
    status_code, text = delta.execute(f"ringriftctl update --package {broken} 2> /dev/null")
    assert status_code == 1 and text.startswith("The update stopped: delta: failed ("), text
    assert f"✗ delta: {old.split()[0]} → 2000.0, " in text and "Summary: 1 failed, 3 not begun" in text, text
    assert [version(voter) for voter in voters] == [old] * 3
    assert [began(voter) for voter in voters] == [before[voter.name] for voter in voters]
    delta.require_unit_state(f"ringrift-selfplay@{jobs[0][0]}.1.service")

with subtest("it is rolled back although the daemon that is asked is the one that is broken"):
    text = delta.succeed("ringriftctl update --rollback")
    assert f"✓ delta: 2000.0 → {old.split()[0]}\n" in text, text
    assert version(delta) == old
    wait_for_services([delta])
    wait_for_alive(machines)
    wait_for(lambda: here() == jobs)

with subtest("a voter that it breaks is missed, the others keep the quorum, no other is taken away, and it comes back"):
    leader = wait_for_leader(machines)
    victim = next(voter for voter in voters if voter is not leader)
    others = [voter for voter in voters if voter is not victim]
    before = began_by_name()
    status_code, text = delta.execute(f"ringriftctl update --package {broken} --role coordinator 2> /dev/null")
    assert status_code == 1 and text.startswith(f"The update stopped: {victim.name}: failed ("), text
    assert [began(voter) for voter in others] == [before[voter.name] for voter in others]
    assert status(delta)["voter_quorum_ok"]
    status_code, text = delta.execute(f"ringriftctl update --package {newer} --node {others[0].name} {others[1].name} 2> /dev/null")
    assert status_code == 1 and f"missing already: {victim.name}" in text, text
    assert [version(voter) for voter in others] == [old] * 2
    text = delta.succeed("ringriftctl update --rollback")
    assert f"✓ {victim.name}: 2000.0 → {old.split()[0]}\n" in text, text
    wait_for_leader(machines)
    wait_for_alive(machines)
    assert here() == jobs
