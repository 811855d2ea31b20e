"""What a node needs of a hosts file, against golden files: `clusters/NAME.yaml` becomes `clusters/NAME/*`."""

import json
import tempfile
from pathlib import Path

from .claims import Failed, Tally, same
from .nix import LIBRARY, REPOSITORY, EvaluationError, evaluate
from .reader import HERE

CLUSTERS = [REPOSITORY / "nixos-modules/example/distributed_hosts.yaml", HERE / "clusters/quirks.yaml"]
# What a file of the golden tree holds. The ports are the contract's.
RENDERED = {
    "firewall.nft": "lib.firewall.nftables { inherit sources ports; }",
    "firewall.iptables": "lib.firewall.iptables { inherit sources ports; }",
    "unknowable.json": "lib.firewall.unknowable cluster",
    "etc-hosts.json": "lib.etcHosts cluster",
    "known-hosts.json": "lib.knownHosts cluster",
    "nodes.json": "map lib.node cluster.hosts",
}
CONTEXT = """
  let
    lib = import library;
    cluster = lib.readHosts file;
    ports = [ 8765 8767 8770 ];
    trusted = [ "203.0.113.0/24" "203.0.113.128/25" "2001:db8:ffff::/48" ];
    sources = lib.firewall.sources { inherit cluster trusted; };
  in
"""
ADDRESSES = {
    "v4": ["10.0.0.1", "255.255.255.255", "10.0.0.0/8", "0.0.0.0/0"],
    "v6": ["::", "::1", "fd7a::1", "2001:db8:1:2:3:4:5:6", "::ffff:10.0.0.1", "fe80::/10", "1::", "fd00::/8"],
    None: [
        "", "10.0.0", "10.0.0.256", "01.2.3.4", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.1/", "relay.example.net",
        "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "fd7a::g", "12345::", "::/129", "::1%eth0",
    ],
}  # fmt: skip


def run(tally: Tally, bless: bool) -> None:
    for file in CLUSTERS:
        name = file.stem if file.parent.name == "clusters" else "example"
        for output, expression in RENDERED.items():
            golden = HERE / "clusters" / name / output
            tally.claim(f"{name} gives {output}", renders, file, expression, golden, bless)
    for family, texts in ADDRESSES.items():
        for text in texts:
            tally.claim(f"{text!r} is an address of family {family}", is_of_family, text, family)
    tally.claim("a trusted network that is none is refused by name", strange_network)
    tally.claim("the accounts and units of systemd/ are found by listing it", units)
    tally.claim("templates, slices, accounts and memberships are told apart", tree_of_jobs)
    tally.claim("a line of sysusers.d that is none is named", strange_account)
    tally.claim("the rules of a thousand hosts are rendered", thousand)


def renders(file: Path, expression: str, golden: Path, bless: bool) -> None:
    value = evaluate(CONTEXT + expression, library=LIBRARY, file=file)
    text = value if isinstance(value, str) else json.dumps(value, indent=2, sort_keys=True) + "\n"
    if bless:
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text)
    if not golden.exists():
        raise Failed(f"{golden} is missing; --bless writes it")
    same(text, golden.read_text())


def is_of_family(text: str, family: str | None) -> None:
    same(evaluate('(import (library + "/address.nix")).family text', library=LIBRARY, text=text), family)


def strange_network() -> None:
    try:
        evaluate(
            '(import library).firewall.sources { cluster.hosts = [ ]; trusted = [ "10.0.0.0/33" ]; }', library=LIBRARY
        )
    except EvaluationError as error:
        same(str(error), '"10.0.0.0/33" is no IP address or network such as 10.0.0.0/8')
    else:
        raise Failed("it was taken")


def units() -> None:
    """By what the folders hold, so that a unit that is added is asked for too."""
    tree = REPOSITORY / "systemd"
    found = evaluate("(import library).units tree", library=LIBRARY, tree=tree)
    names = {file.name for file in (tree / "usr/lib/systemd/system").iterdir()}
    listed = {name for kind in ("services", "templates", "sockets", "slices", "timers") for name in found[kind]}
    endings = (".service", ".socket", ".slice", ".timer")
    same(sorted(listed), sorted(name for name in names if name.endswith(endings)))
    lines = [
        line.split() for conf in (tree / "usr/lib/sysusers.d").glob("*.conf") for line in conf.read_text().splitlines()
    ]
    accounts = [line for line in lines if line and line[0] in ("u", "u!")]
    same(sorted(user["name"] for user in found["users"]), sorted(line[1] for line in accounts))
    daemon = next(user for user in found["users"] if user["name"] == "ringrift-p2p")
    same([daemon["description"], daemon["home"]], ["RingRift cluster daemon", "/var/lib/ringrift-p2p"])


JOBS = HERE / "module/jobs-tree"


def tree_of_jobs() -> None:
    found = evaluate("(import library).units tree", library=LIBRARY, tree=JOBS)
    same(found["templates"], ["ringrift-play@.service"])
    same(found["slices"], ["ringrift-play.slice", "ringrift.slice"])
    same(
        [(user["name"], user["home"]) for user in found["users"]],
        [("ringrift-p2p", "/var/lib/ringrift-p2p"), ("players", None)],
    )
    same([group["name"] for group in found["groups"]], ["watchers"])
    same(found["memberships"], [{"user": "players", "group": "watchers"}])


def strange_account() -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "usr/lib/sysusers.d").mkdir(parents=True)
        (Path(folder) / "usr/lib/sysusers.d/x.conf").write_text("x what is this\n")
        try:
            evaluate("(import library).units tree", library=LIBRARY, tree=Path(folder))
        except EvaluationError as error:
            same(str(error), 'sysusers.d/x.conf: cannot read "x what is this"')
        else:
            raise Failed("it was read")


THOUSAND = """
  builtins.genList (i: {
    tailscale_ip = "10.${toString (i / 250)}.0.${toString (i - i / 250 * 250 + 1)}";
    own_ssh_host = null;
    status = "ready";
    p2p_enabled = true;
  }) 1000
"""


def thousand() -> None:
    for backend in ("nftables", "iptables"):
        sources = f"lib.firewall.sources {{ cluster.hosts = {THOUSAND}; }}"
        expression = f"let lib = import library; in lib.firewall.{backend} {{ sources = {sources}; ports = [ 8765 ]; }}"
        same(evaluate(expression, library=LIBRARY).count("10."), 1000)
