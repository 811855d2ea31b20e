"""The command line: `PYTHONPATH=tests/vm python3 -m driver [SCENARIO…]`."""

import argparse
import json
import os
import sys
from pathlib import Path

from . import installation, sandbox, tree
from .scenario import Outcome, play

REPOSITORY = Path(__file__).resolve().parents[3]
SCENARIOS = REPOSITORY / "tests/vm"


def main() -> int:
    options = arguments()
    if options.list:
        print("\n".join(path.stem for path in all_scenarios()))
        return 0
    chosen = [scenario(name) for name in options.scenario] or all_scenarios()
    if sandbox.outside():
        needs_program = any(set(installation.read_roles(path).values()) - {installation.BARE} for path in chosen)
        missing = installation.missing_programs(options.binaries)
        if needs_program and missing:
            raise SystemExit(f"{options.binaries} has no {' and no '.join(missing)}: build them first (cargo build)")
        # Built outside: there is no network inside.
        tree.base_tree(options.cache)
        return sandbox.enter(sys.argv[1:])
    return perform(chosen, options)


def perform(chosen: list[Path], options: argparse.Namespace) -> int:
    cgroup = sandbox.prepare()
    work = Path("/run/ringrift-vm")
    base = tree.base_tree(options.cache)
    program = installation.program_layer(base, work / "program", options.binaries, REPOSITORY / "systemd")
    outcomes = []
    for path in chosen:
        print(f"scenario {path.stem}", flush=True)
        outcome = play(path, [program, base], work / path.stem, cgroup, options.logs, options.verbose)
        outcomes.append(outcome)
        if outcome.error is not None:
            print(f"  FAILED: {path.stem}\n{outcome.error}", flush=True)
    report(outcomes, options.results)
    return 0 if all(outcome.error is None for outcome in outcomes) else 1


def report(outcomes: list[Outcome], results: Path | None) -> None:
    print("scenarios:")
    for outcome in outcomes:
        verdict = "ok    " if outcome.error is None else "FAILED"
        print(f"  {verdict} {outcome.name}: {len(outcome.claims)} claims, {outcome.seconds:.1f} s")
    if results is not None:
        failed = sum(outcome.error is not None for outcome in outcomes)
        results.write_text(json.dumps({"passed": len(outcomes) - failed, "failed": failed}))


def arguments() -> argparse.Namespace:
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")).resolve()
    parser = argparse.ArgumentParser(prog="driver", description=__doc__)
    parser.add_argument("scenario", nargs="*", help="the name of a file in tests/vm, without .py; all when left out")
    parser.add_argument("--list", action="store_true", help="print the names of the scenarios")
    parser.add_argument("--binaries", type=Path, default=target / "debug", help="the folder of the built programs")
    parser.add_argument("--cache", type=Path, default=target / "vm", help="where the base tree is kept")
    parser.add_argument("--logs", type=Path, default=target / "vm/logs", help="where journals and consoles go")
    parser.add_argument("--results", type=Path, help="write the counts to this file")
    parser.add_argument("--verbose", action="store_true", help="print every command that runs on a machine")
    return parser.parse_args()


def all_scenarios() -> list[Path]:
    return sorted(SCENARIOS.glob("*.py"))


def scenario(name: str) -> Path:
    path = SCENARIOS / f"{name}.py"
    if not path.exists():
        known = ", ".join(path.stem for path in all_scenarios())
        raise SystemExit(f"no scenario `{name}`; there are {known}")
    return path


if __name__ == "__main__":
    sys.exit(main())
