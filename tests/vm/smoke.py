"""The driver keeps its word: machines boot, reach each other by name, and a blocked one falls silent."""

MACHINES = {"alpha": "bare", "beta": "bare", "gamma": "bare"}

start_all()

with subtest("every machine reaches every other by name"):
    for machine in machines:
        machine.wait_for_unit("multi-user.target", timeout=30)
        for other in machines:
            machine.succeed(f"ping -c 1 -W 2 {other.name}")

with subtest("no unit failed at boot"):
    for machine in machines:
        assert machine.succeed("systemctl --failed --no-legend") == ""

with subtest("a blocked machine falls silent, and the others still hear each other"):
    beta.block()
    alpha.fail("ping -c 1 -W 1 beta")
    beta.fail("ping -c 1 -W 1 alpha")
    alpha.succeed("ping -c 1 -W 2 gamma")
    beta.unblock()
    alpha.wait_until_succeeds("ping -c 1 -W 1 beta", timeout=10)

with subtest("a connection to a blocked machine gets no answer at all"):
    beta.block()
    # 124 is timeout's; a refusal would end at once with 1.
    code, _ = alpha.execute("timeout 2 bash -c ': < /dev/tcp/beta/22'")
    assert code == 124, code
    beta.unblock()
    alpha.fail("timeout 2 bash -c ': < /dev/tcp/beta/22' || { test $? != 124 && false; }")

with subtest("what was written before a crash is there after it"):
    gamma.succeed("echo kept > /var/kept; sync /var/kept")
    boot = gamma.succeed("cat /proc/sys/kernel/random/boot_id; systemctl show -P UserspaceTimestampMonotonic")
    gamma.crash()
    alpha.fail("ping -c 1 -W 1 gamma")
    gamma.start()
    gamma.wait_for_unit("multi-user.target", timeout=30)
    assert gamma.succeed("cat /var/kept") == "kept\n"
    assert boot != gamma.succeed("cat /proc/sys/kernel/random/boot_id; systemctl show -P UserspaceTimestampMonotonic")
    gamma.succeed("ping -c 1 -W 2 alpha")
