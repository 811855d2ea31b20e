"""The command line: `PYTHONPATH=tests/nix python3 -m suite [PART…]`."""

import argparse
import json
import os
import sys
from pathlib import Path

from . import differential, firewall, flake, functions, module, nixos, reader, syntax
from .claims import Tally
from .nix import REPOSITORY

PARTS = {
    "syntax": lambda tally, options: syntax.run(tally, options.nixfmt),
    "reader": lambda tally, options: reader.run(tally),
    "functions": lambda tally, options: functions.run(tally, options.bless),
    "firewall": lambda tally, options: firewall.run(tally),
    "module": lambda tally, options: module.run(tally, options.bless, options.binaries / "ringrift-p2p"),
    "flake": lambda tally, options: flake.run(tally, options.binaries),
    "nixos": lambda tally, options: nixos.run(tally),
    "differential": lambda tally, options: differential.run(tally, options.binaries / "ringriftctl"),
}


def main() -> int:
    options = arguments()
    tally = Tally()
    for name in options.part or PARTS:
        PARTS[name](tally, options)
    print(f"{tally.passed} passed, {tally.failed} failed")
    if options.results is not None:
        options.results.write_text(json.dumps({"passed": tally.passed, "failed": tally.failed}))
    return 1 if tally.failed else 0


def arguments() -> argparse.Namespace:
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")).resolve()
    parser = argparse.ArgumentParser(prog="suite", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"what to try, of {', '.join(PARTS)}; everything when left out")
    parser.add_argument("--nixfmt", type=Path, default=target / "tools/bin/nixfmt", help="the formatter of Nix files")
    parser.add_argument("--binaries", type=Path, default=target / "debug", help="the folder of the built programs")
    parser.add_argument("--bless", action="store_true", help="write the golden files anew")
    parser.add_argument("--results", type=Path, help="write the counts to this file")
    options = parser.parse_args()
    for name in options.part:
        if name not in PARTS:
            parser.error(f"no part `{name}`; there are {', '.join(PARTS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
