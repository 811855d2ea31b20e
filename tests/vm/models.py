"""A model that is promoted on one machine gets to all of them, byte for byte, and a fetch that is interrupted goes on."""

import hashlib
import random
import tempfile
import zipfile
from pathlib import Path

MACHINES = {"alpha": "voter", "beta": "voter", "gamma": "voter"}

MODELS = "/var/lib/ringrift/models"
HOSTS = "/etc/ringrift-p2p/distributed_hosts.yaml"
MIB = 1 << 20


def make_model(path, size, seed):
    """What PyTorch writes: a zip archive whose members are stored as they are. Returns its digest."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("archive/data/0", random.Random(seed).randbytes(size))
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def get(machine, path):
    return json.loads(machine.succeed(f"curl --silent --show-error --fail --max-time 5 http://localhost:8770{path}"))


def record(name):
    return next(model for model in get(alpha, "/api/models")["models"] if model["name"] == name)


def has_model(machine, name, digest):
    """the model, its sidecar and its link are right"""
    config = name.removeprefix("canonical_").removesuffix(".pth")
    machine.succeed(f"cd {MODELS} && sha256sum --check --status {name}.sha256")
    assert machine.succeed(f"sha256sum {MODELS}/{name}").split()[0] == digest
    assert machine.succeed(f"readlink {MODELS}/ringrift_best_{config}.pth").strip() == name
    return True


def on_all(name, digest):
    """every machine has it, and the leader has said so"""
    return record(name)["distribution"]["state"] == "complete" and all(
        has_model(machine, name, digest) for machine in machines
    )


start_all()
wait_for_services(machines)
wait_for_leader(machines)
wait_for_alive(machines)
scratch = tempfile.TemporaryDirectory()

with subtest("promoted on one machine, it is on all three, with its sidecar and its link"):
    file = f"{scratch.name}/hex8.pth"
    first = make_model(file, 4 * MIB, 1)
    beta.copy_from_host(file, "/root/hex8.pth")
    beta.succeed("ringriftctl models promote /root/hex8.pth --config hex8_2p --elo 1500")
    wait_for(lambda: on_all("canonical_hex8_2p.pth", first))
    for machine in machines:
        # Programs of any user read it, and nobody but the daemon writes it.
        assert machine.succeed(f"stat --format '%U %a' {MODELS}/canonical_hex8_2p.pth").split() == ["ringrift-p2p", "644"]

with subtest("the events tell the story"):
    kinds = [event["type"] for event in get(gamma, "/api/events?since=0")["events"]]
    story = ["MODEL_PROMOTED", "MODEL_DISTRIBUTION_STARTED", "MODEL_DISTRIBUTION_COMPLETE"]
    assert [kind for kind in kinds if kind in story] == story, kinds

with subtest("a machine that loses its daemon in the middle of a fetch goes on where it was"):
    for machine in machines:
        machine.succeed(f"printf 'auto_sync:\\n  bandwidth_limit_mbps: 40\\n' >> {HOSTS}", "ringriftctl reload")
    file = f"{scratch.name}/square19.pth"
    second = make_model(file, 48 * MIB, 2)
    alpha.copy_from_host(file, "/root/square19.pth")
    alpha.succeed("ringriftctl models promote /root/square19.pth --config square19_2p --no-wait")

    def fetched(machine):
        """bytes of the second model that the machine has said to have"""
        model = next(m for m in get(machine, "/api/models/progress")["models"] if m["name"] == "canonical_square19_2p.pth")
        return next(node["have_bytes"] for node in model["nodes"] if node["node_id"] == machine.name)

    wait_for(lambda: fetched(gamma) > 8 * MIB)
    gamma.succeed(f"systemctl kill --signal=KILL {SERVICE}")
    gamma.fail(f"test -e {MODELS}/canonical_square19_2p.pth")
    wait_for(lambda: on_all("canonical_square19_2p.pth", second), timeout=60)
    # What had come before was not fetched again.
    counted = gamma.succeed(
        f"journalctl --sync && journalctl --unit {SERVICE} --output cat | sed -n 's/^fetched {second}.*bytes by node: \\(.*\\) sha256=.*/\\1/p'"
    )
    sent = sum(int(part.split()[-1]) for part in counted.split(","))
    assert 0 < sent < 44 * MIB, counted

with subtest("without the token nobody gets a model or leaves one"):
    for request in ("", "--request PUT"):
        code = alpha.succeed(
            f"curl --silent --output /dev/null --write-out '%{{http_code}}' {request} "
            "http://localhost:8767/models/canonical_hex8_2p.pth"
        )
        assert code in ("401", "405"), code
    alpha.succeed(
        "curl --silent --fail --output /root/copy.pth --header \"Authorization: Bearer $(cat /etc/ringrift-p2p/token)\" "
        "http://localhost:8767/models/canonical_hex8_2p.pth"
    )
    assert alpha.succeed("sha256sum /root/copy.pth").split()[0] == first

with subtest("somebody spoils a published file; a fresh hash finds it, and it is set right"):
    gamma.succeed(f"printf spoiled | dd of={MODELS}/canonical_hex8_2p.pth bs=1 seek=100000 conv=notrunc status=none")
    gamma.fail("ringriftctl models verify --model canonical_hex8_2p.pth")
    wait_for(lambda: has_model(gamma, "canonical_hex8_2p.pth", first))
    gamma.wait_until_succeeds("ringriftctl models verify --all-nodes", timeout=30)

with subtest("a rollback moves no byte"):
    file = f"{scratch.name}/hex8-next.pth"
    third = make_model(file, 4 * MIB, 3)
    alpha.copy_from_host(file, "/root/hex8-next.pth")
    alpha.succeed("ringriftctl models promote /root/hex8-next.pth --config hex8_2p")
    wait_for(lambda: on_all("canonical_hex8_2p.pth", third))
    alpha.succeed("ringriftctl models rollback hex8_2p")
    wait_for(lambda: on_all("canonical_hex8_2p.pth", first))
    for machine in machines:
        fetches = machine.succeed(f"journalctl --sync && journalctl --unit {SERVICE} --output cat | grep -c '^fetched {first}' || true").strip()
        assert fetches == ("0" if machine is beta else "1"), f"{machine.name}: {fetches}"

with subtest("the daemon was restarted by nobody but this test"):
    without_restarts([alpha, beta])
