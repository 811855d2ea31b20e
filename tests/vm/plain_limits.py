"""The plain runner's limits bite in control groups that are its own: each of its tests has a unit to itself."""

# Not on NixOS: the test program is in no package.

MACHINES = {"alpha": "voter"}
BACKEND = "qemu"

FOLDER = "/usr/local/lib/ringrift-tests"
UNIT = f"systemd-run --quiet --wait --pipe --property=Delegate=yes --setenv=RINGRIFT_SHIM={FOLDER}/ringrift-shim"

start_all()
# It is not what is tested here.
alpha.succeed("systemctl stop 'ringrift-p2p*'", timeout=120)

listed = alpha.succeed(f"{FOLDER}/plain_cgroups --ignored --list").splitlines()
tests = [line.removesuffix(": test") for line in listed if line.endswith(": test")]
assert len(tests) >= 6, listed

for test in tests:
    with subtest(test.replace("_", " ")):
        said = alpha.succeed(f"{UNIT} {FOLDER}/plain_cgroups --ignored --exact {test} 2>&1", timeout=300)
        assert "1 passed" in said, said

with subtest("of all of them nothing is left"):
    alpha.fail("pgrep -f ringrift-shim")
    alpha.fail("find /sys/fs/cgroup -name 'ringrift-runs' | grep .")
