"""A machine that is rebooted is a member again by itself, with what it knew, behind the firewall that the kernel has loaded."""

MACHINES = {"alpha": "voter", "beta": "worker"}
FIREWALL = "nftables"
BACKEND = "qemu"


def wait_until_joined():
    """Emulation is slow: what takes a second elsewhere may take ten here."""
    wait_for_services(machines, timeout=300)
    wait_for_leader(machines, timeout=120)
    wait_for_alive(machines, timeout=120)


for machine in machines:
    # Otherwise NixOS' machines are off where others would boot again.
    machine.start(allow_reboot=True)
wait_until_joined()

with subtest("a worker that was rebooted is alive to the voter again, which never stopped leading"):
    alpha.succeed("ringriftctl nodes cordon beta --reason 'a reboot'")
    wait_for(lambda: eligibility(beta, "beta") == "cordoned", timeout=60)
    leading = (status(alpha)["term"], shown(alpha, "MainPID"))
    cluster, boot = status(beta)["cluster_id"], beta.succeed("cat /proc/sys/kernel/random/boot_id")
    beta.reboot()
    wait_until_joined()
    assert beta.succeed("cat /proc/sys/kernel/random/boot_id") != boot
    assert (status(alpha)["term"], shown(alpha, "MainPID")) == leading
    assert status(beta)["cluster_id"] == cluster
    without_restarts(machines)

with subtest("what was agreed before is in force"):
    wait_for(lambda: eligibility(beta, "beta") == "cordoned", timeout=60)

with subtest("the rules were loaded by that boot, before the daemon was started"):
    assert "nodes of the ringrift cluster" in beta.succeed("nft list ruleset")
    loaded = int(shown(beta, "ActiveEnterTimestampMonotonic", "nftables.service"))
    assert 0 < loaded < int(shown(beta, "ExecMainStartTimestampMonotonic"))
