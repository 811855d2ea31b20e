"""The rendered rules, loaded into network namespaces, with connections of both families that must pass or fail."""

import json
import os
import subprocess
import sys
from pathlib import Path

from .claims import Failed, Tally, same
from .functions import CLUSTERS, CONTEXT
from .nix import LIBRARY, REPOSITORY, evaluate

sys.path.insert(0, str(REPOSITORY / "tests/vm"))
from driver.firewall import FRAME  # noqa: E402

# From whom, and whether the cluster's ports are open to it. The first four are hosts of the example.
SOURCES = {
    "100.64.0.11": True,
    "198.51.100.11": True,
    "2001:db8::21": True,
    "203.0.113.200": True,  # in a trusted network
    "2001:db8:ffff::1": True,
    "198.51.100.32": False,  # a host that is under maintenance
    "198.51.100.99": False,
    "100.64.0.99": False,
    "2001:db8::22": False,
    "203.0.114.1": False,
}
CLUSTER_PORTS = [8765, 8767, 8770]
# What NixOS opens to everybody by networking.firewall.allowedTCPPorts, and what nobody opens.
OPEN_PORT, CLOSED_PORT = 22, 8099
# The frame that NixOS puts extraCommands into; for extraInputRules it is `FRAME`.
IPTABLES = """
for iptables in iptables ip6tables; do
  $iptables -w -N nixos-fw-accept
  $iptables -w -A nixos-fw-accept -j ACCEPT
  $iptables -w -N nixos-fw
  $iptables -w -A nixos-fw -i lo -j nixos-fw-accept
  $iptables -w -A nixos-fw -m conntrack --ctstate ESTABLISHED,RELATED -j nixos-fw-accept
  $iptables -w -A nixos-fw -p tcp --dport 22 -j nixos-fw-accept
done
ip6tables -w -A nixos-fw -p icmpv6 -j nixos-fw-accept
%s
for iptables in iptables ip6tables; do
  $iptables -w -A nixos-fw -p tcp -j REJECT --reject-with tcp-reset
  $iptables -w -A INPUT -j nixos-fw
done
"""


def run(tally: Tally) -> None:
    expected = {
        f"{source} {port}": port == OPEN_PORT or (port != CLOSED_PORT and allowed)
        for source, allowed in SOURCES.items()
        for port in [*CLUSTER_PORTS, OPEN_PORT, CLOSED_PORT]
    }
    rules = {backend: rendered(backend) for backend in ("nftables", "iptables")}
    tally.claim("nft accepts the rules of every cluster", accepted)
    if os.geteuid() != 0:
        tally.note("network namespaces need root: no packet was sent")
        return
    tally.claim(
        "nftables lets in the cluster's packets and no others",
        same,
        packets("nft -f -", FRAME % rules["nftables"]),
        expected,
    )
    tally.claim(
        "iptables lets in the cluster's packets and no others",
        same,
        packets("sh -eu", IPTABLES % rules["iptables"]),
        expected,
    )
    tally.claim("without the rules nobody gets in, so that they are what opens", closed_without)


def rendered(backend: str, cluster: Path = CLUSTERS[0]) -> str:
    return evaluate(CONTEXT + f"lib.firewall.{backend} {{ inherit sources ports; }}", library=LIBRARY, file=cluster)


def accepted() -> None:
    for cluster in CLUSTERS:
        inside(["nft", "-c", "-f", "-"], FRAME % rendered("nftables", cluster))


def closed_without() -> None:
    found = packets("nft -f -", FRAME % "")
    same({attempt for attempt, passed in found.items() if passed}, {f"{source} {OPEN_PORT}" for source in SOURCES})


def packets(load: str, rules: str) -> dict[str, bool]:
    """Which connections pass, by "source port", behind a firewall that the command `load` makes of the rules."""
    command = [
        sys.executable,
        "-m",
        "suite.packets",
        load,
        json.dumps(list(SOURCES)),
        json.dumps([*CLUSTER_PORTS, OPEN_PORT, CLOSED_PORT]),
    ]
    return json.loads(inside(command, rules))


def inside(command: list[str], text: str) -> str:
    """Runs a command in namespaces of its own, which go when it ends."""
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
    if os.geteuid() != 0:
        unshare[1:1] = ["--user", "--map-root-user"]
    done = subprocess.run([*unshare, *command], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)[:200]}: {done.stderr}\n{text}")
    return done.stdout
