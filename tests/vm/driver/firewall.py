"""A machine's firewall as the NixOS module renders it from the hosts file, for machines that are not NixOS."""

import json
import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(REPOSITORY / "tests/nix"))
from suite.nix import LIBRARY, evaluate  # noqa: E402

# The frame that NixOS puts extraInputRules into. What is refused is refused at once here, by a reset.
FRAME = """
table inet nixos-fw {
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ct state vmap {
      invalid : drop, established : accept, related : accept, new : jump input-allow, untracked : jump input-allow
    }
    meta l4proto tcp reject with tcp reset
  }
  chain input-allow {
    tcp dport { 22 } accept
    icmp type echo-request accept
    icmpv6 type != { nd-redirect, 139 } accept
    %s
  }
}
"""
# The ports that `openFirewall` opens to the cluster, with the module's defaults.
RULES = """
  let functions = import library; in
  functions.firewall.nftables {
    sources = functions.firewall.sources { cluster = functions.readHosts hosts; };
    ports = [ 8765 8767 8770 8080 ];
  }
"""
NFTABLES = "nftables"


def read_firewall(scenario: Path) -> str | None:
    """The scenario's `FIREWALL = "nftables"`, one line of JSON like `MACHINES`; none when there is no such line."""
    found = re.search(r"^FIREWALL = (.*)$", scenario.read_text(), re.MULTILINE)
    name: str | None = json.loads(found.group(1)) if found else None
    if name not in (None, NFTABLES):
        raise SystemExit(f"{scenario}: FIREWALL is `{name}`; expected {NFTABLES}")
    return name


def protect(root: Path, hosts: Path) -> None:
    """Lets the machine load the rules at boot, by Debian's own unit."""
    (root / "etc/nftables.conf").write_text(FRAME % evaluate(RULES, library=LIBRARY, hosts=hosts))
    wants = root / "etc/systemd/system/sysinit.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / "nftables.service").symlink_to("/usr/lib/systemd/system/nftables.service")
