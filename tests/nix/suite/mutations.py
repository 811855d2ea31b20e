"""What can be wrong with a node's configuration: one change of the example each, and the sentence that must name it."""

from dataclasses import dataclass

OPTION = "services.ringrift-p2p"
FILE = f"{OPTION}.hostsFile (hosts.yaml)"
VOTERS = "p2p_voters:\n  - backbone-1\n  - backbone-2\n  - cpu-1\n"
NO_VOTER = (
    f"{FILE}: p2p_voters names no voter; "
    'the host "gpu-1" would start without a cluster. List 3 to 9 stable hosts'
)  # fmt: skip
IN_STORE = (
    'is in the Nix store, which every user of the host "gpu-1" can read; '
    "name a file outside it, as a text in quotes"
)  # fmt: skip
BOTH = "belongs to hosts.backbone-1 and hosts.backbone-2; two nodes cannot be dialled at one address"


@dataclass
class Mutation:
    """One thing that is wrong, and the only complaint that it may give; none where nothing is wrong."""

    name: str
    message: str | None
    old: str = ""
    new: str = ""
    node: str = "gpu-1"
    token: str = '"/run/secrets/token"'


MUTATIONS = [
    Mutation("nothing", None),
    Mutation(
        "an unknown node",
        f'{OPTION}.nodeName: hosts.yaml has no host "gpu-9"; it has backbone-1, backbone-2, cpu-1, gpu-1, gpu-2',
        node="gpu-9",
    ),
    Mutation(
        "a node that is not ready",
        f'{OPTION}.nodeName: the host "gpu-2" of hosts.yaml is not ready but "maintenance": '
        "set `status: ready` when it is to be a node",
        node="gpu-2",
    ),
    Mutation(
        "a node without a daemon",
        f'{OPTION}.nodeName: the host "gpu-1" of hosts.yaml has `p2p_enabled: false`, so no daemon is expected there',
        "nat_blocked: true",
        "p2p_enabled: false",
    ),
    Mutation("no voters", NO_VOTER, VOTERS, "p2p_voters: []\n"),
    Mutation("no list of voters", NO_VOTER, VOTERS, ""),
    Mutation(
        "an even number of voters",
        f"{FILE}: p2p_voters has 4 voters (backbone-1, backbone-2, gpu-1, cpu-1), "
        "which survive no more losses than 3: drop one or add one",
        "  - cpu-1\n",
        "  - gpu-1\n  - cpu-1\n",
    ),
    Mutation(
        "two nodes with one address in the tailnet",
        f"{FILE}: the address 100.64.0.11 {BOTH}",
        "100.64.0.12",
        "100.64.0.11",
    ),
    Mutation(
        "two nodes with one public address",
        f"{FILE}: the address 198.51.100.11 {BOTH}",
        "198.51.100.12",
        "198.51.100.11",
    ),
    Mutation("an address that a host under maintenance has too", None, "198.51.100.32", "198.51.100.12"),
    Mutation(
        "a token in the store",
        f"{OPTION}.tokenFile: /nix/store/x-token {IN_STORE}",
        token='"/nix/store/x-token"',
    ),
    Mutation(
        "a token that would be copied to the store",
        f"{OPTION}.tokenFile: /etc/token {IN_STORE}",
        token="/etc/token",
    ),
]
