"""A machine is added by one command and ends with every model, and is removed by one; every node's hosts file says so."""

import random
import tempfile
import zipfile
from pathlib import Path

# Not on NixOS: there the hosts file is a part of the system.
MACHINES = {"alpha": "voter", "beta": "voter", "delta": "bare", "gamma": "voter"}
SUITES = ["trixie", "bookworm"]

HOSTS = "/etc/ringrift-p2p/distributed_hosts.yaml"
TOKEN = "/etc/ringrift-p2p/token"
MODEL = "/var/lib/ringrift/models/canonical_hex8_2p.pth"
ADD = (
    "ringriftctl hosts add delta ssh_host={address} tailscale_ip={address} ssh_user=root"
    " ringrift_path=/var/lib/ringrift role=cpu_selfplay cpus=1 memory_gb=1"
)

start_all()
voters = [alpha, beta, gamma]
wait_for_services(voters)
wait_for_leader(voters)
wait_for_alive(voters)
open_ssh(alpha, machines)
alpha.succeed("ringriftctl ssh setup --yes")
address = delta.succeed("hostname --all-ip-addresses").split()[0]
add = ADD.format(address=address)


def files(nodes):
    """The different hosts files that these have."""
    return {node.succeed(f"sha256sum {HOSTS}").split()[0] for node in nodes}


def known(node):
    """The nodes of the hosts file that is in force there."""
    # One that has left is told of for a while.
    return sorted(entry["node_id"] for entry in asked(node, "/api/nodes")["nodes"] if entry["host_status"] is not None)


with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "model.pth")
    # What PyTorch writes: a zip archive whose members are stored as they are.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("archive/data/0", random.Random(1).randbytes(3 << 20))
    alpha.copy_from_host(str(path), "/root/model.pth")
alpha.succeed("ringriftctl models promote /root/model.pth --config hex8_2p")

with subtest("a machine without the program is named, and the file has it all the same"):
    alpha.succeed(f"ssh-keyscan {address} >> /root/.ssh/known_hosts 2> /dev/null")
    code, text = alpha.execute(f"{add} --wait-limit 2 2>&1")
    assert code == 1, (code, text)
    assert "delta: there is no ringrift-p2p in the path" in text and "gave up waiting for delta to join" in text, text
    assert known(alpha) == ["alpha", "beta", "delta", "gamma"], known(alpha)
    assert len(files(voters)) == 1

with subtest("with the package and the token there, it gets the file and joins"):
    delta.copy_from_host(package(), "/root/package.deb")
    delta.succeed("DEBIAN_FRONTEND=noninteractive dpkg --force-unsafe-io --install /root/package.deb")
    alpha.succeed(f"scp -q {TOKEN} root@{address}:{TOKEN}")
    text = alpha.succeed("ringriftctl hosts distribute")
    assert "in force on 4 of 4 nodes" in text, text
    assert len(files(machines)) == 1
    alpha.succeed("ringriftctl cluster start --node delta")
    wait_for_alive(machines)

with subtest("a removed node is drained and stopped, and no file names it"):
    text = alpha.succeed("ringriftctl hosts remove delta --yes")
    assert "Deleted delta." in text, text
    assert shown(delta, "ActiveState") == "inactive"
    assert len(files(voters)) == 1 and known(beta) == ["alpha", "beta", "gamma"], known(beta)
    wait_for_alive(voters)

with subtest("one command brings it back: file, daemon, models, all of them verified"):
    delta.succeed(f"rm -f {MODEL} {MODEL}.sha256")
    text = alpha.succeed(add)
    assert "delta is a part of the cluster." in text and "delta has 1 of 1" in text, text
    assert "1 files of delta are right" in text, text
    assert len(files(machines)) == 1
    assert delta.succeed(f"sha256sum < {MODEL}") == alpha.succeed("sha256sum < /root/model.pth")
    wait_for_alive(machines)
    wait_for(lambda: eligibility(beta, "delta") == "eligible")

with subtest("a third voter cannot be removed"):
    before = files(machines)
    code, text = alpha.execute("ringriftctl hosts remove gamma --yes 2>&1")
    assert code == 1 and "without gamma there would be 2 voters, of whom none could be lost" in text, text
    assert files(machines) == before

with subtest("a node that was away when the file changed is named, and gets it later"):
    gamma.block()
    code, text = alpha.execute("ringriftctl --timeout 3 hosts remove delta --yes 2>&1")
    assert code == 1 and "These do not have the file: gamma" in text, text
    gamma.unblock()
    wait_for_alive(voters)
    assert len(files(voters)) == 2
    assert "in force on 3 of 3 nodes" in alpha.succeed("ringriftctl hosts distribute")
    assert len(files(voters)) == 1
    wait_for(lambda: known(gamma) == ["alpha", "beta", "gamma"])
    without_restarts(voters)
