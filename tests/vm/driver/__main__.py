"""The command line: `PYTHONPATH=tests/vm python3 -m driver [SCENARIO…]`."""

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import NamedTuple

from . import installation, sandbox, tree
from .backend import NSPAWN, QEMU, Backend, Nspawn, Qemu, read_backend
from .scenario import Outcome, play

REPOSITORY = Path(__file__).resolve().parents[3]
SCENARIOS = REPOSITORY / "tests/vm"


class Play(NamedTuple):
    """A scenario on one suite's machines."""

    scenario: Path
    suite: str

    def name(self) -> str:
        """What it is called where there is one more of the same scenario."""
        return self.scenario.stem if self.suite == tree.DEFAULT_SUITE else f"{self.scenario.stem}-{self.suite}"

    def needs_program(self) -> bool:
        return set(installation.read_roles(self.scenario).values()) != {installation.BARE}


def main() -> int:
    options = arguments()
    if options.list:
        print("\n".join(path.stem for path in all_scenarios()))
        return 0
    chosen = [scenario(name) for name in options.scenario] or [path for path in all_scenarios() if not is_on_demand(path)]
    if options.backend is not None:
        chosen = [path for path in chosen if read_backend(path) == options.backend]
    plays = [Play(path, suite) for path in chosen for suite in options.suite or tree.read_suites(path)]
    if not plays:
        report([], options.results)
        return 0
    if sandbox.outside():
        missing = installation.missing_programs(options.binaries)
        if missing and any(play.needs_program() for play in plays):
            raise SystemExit(f"{options.binaries} has no {' and no '.join(missing)}: build them first (cargo build)")
        # Built outside: there is no network inside.
        for suite in {play.suite for play in plays}:
            tree.base_tree(options.cache, tree.SUITES[suite])
        return sandbox.enter(sys.argv[1:])
    return perform(plays, options)


def perform(plays: list[Play], options: argparse.Namespace) -> int:
    cgroup = sandbox.prepare()
    work = Path("/run/ringrift-vm")
    work.mkdir()
    packages = installation.Packages(REPOSITORY, options.binaries, work / "packages")
    outcomes = []
    # Suite by suite: each has a layer with the program.
    for suite in sorted({play.suite for play in plays}, key=list(tree.SUITES).index):
        base = tree.base_tree(options.cache, tree.SUITES[suite])
        here = [play for play in plays if play.suite == suite]
        program = base
        if any(play.needs_program() for play in here):
            lack = installation.lacks(base, packages.package())
            if lack is not None:
                print(f"note: nothing is run on {suite}: {lack}", flush=True)
                continue
            layer = work / f"program-{suite}"
            program = installation.program_layer(base, layer, options.binaries, packages.package(), tree.SUITES[suite])
        backends: dict[str, Backend] = {NSPAWN: Nspawn(base, program, cgroup)}
        wanted = {play: read_backend(play.scenario) for play in here}
        if QEMU in wanted.values():
            if suite != tree.KERNEL_SUITE:
                raise SystemExit(f"QEMU machines boot {tree.KERNEL_SUITE}, not {suite}")
            backends[QEMU] = Qemu(base, program, options.cache, work)
        for each, backend in wanted.items():
            print(f"scenario {each.name()} ({backend})", flush=True)
            run_it = partial(play, each.scenario, each.name(), backends[backend], packages)
            outcome = run_it(work / each.name(), options.logs, options.verbose)
            if (reason := reason_for_another(outcome, options.retry)) is not None:
                tell(outcome)
                print(f"  once more: {reason}", flush=True)
                first, outcome = outcome, run_it(work / f"{each.name()}-again", options.logs, options.verbose)
                if outcome.error is None and not first.kernel_faulted:
                    with options.retry.open("a") as unsteady:
                        unsteady.write(f"scenario {outcome.name}\n")
            outcomes.append(outcome)
            tell(outcome)
    report(outcomes, options.results)
    return 0 if all(outcome.error is None for outcome in outcomes) else 1


def reason_for_another(outcome: Outcome, retry: Path | None) -> str | None:
    """Why a scenario is played a second time; `None` where its outcome stands."""
    if outcome.kernel_faulted:
        # Nothing that is tested here can do that; an emulated processor that trips over its kernel's own patches can.
        return f"the kernel of {', '.join(outcome.kernel_faulted)} stopped at a fault of its own"
    return "it failed" if outcome.error is not None and retry is not None else None


def tell(outcome: Outcome) -> None:
    if outcome.error is not None:
        print(f"  FAILED: {outcome.name}\n{outcome.error}", flush=True)


def report(outcomes: list[Outcome], results: Path | None) -> None:
    if outcomes:
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
    parser.add_argument("scenario", nargs="*", help="the name of a file in tests/vm, without .py; when left out all but those on demand")
    suites = list(tree.SUITES)
    parser.add_argument("--suite", action="append", choices=suites, help="run on this one, whatever the scenarios say; may be repeated")
    parser.add_argument("--backend", choices=[NSPAWN, QEMU], help="leave out those that run on other machines")
    parser.add_argument("--list", action="store_true", help="print the names of the scenarios")
    parser.add_argument("--binaries", type=Path, default=target / "debug", help="the folder of the built programs")
    parser.add_argument("--cache", type=Path, default=target / "vm", help="where the base tree is kept")
    parser.add_argument("--logs", type=Path, default=target / "vm/logs", help="where journals and consoles go")
    parser.add_argument("--results", type=Path, help="write the counts to this file")
    retry_help = "play a scenario that fails once more, and add its name to this file if it does not fail then"
    parser.add_argument("--retry", type=Path, metavar="FILE", help=retry_help)
    parser.add_argument("--verbose", action="store_true", help="print every command that runs on a machine")
    return parser.parse_args()


def all_scenarios() -> list[Path]:
    return sorted(SCENARIOS.glob("*.py"))


def is_on_demand(path: Path) -> bool:
    """Whether it runs only when it is named: it needs what `tests/run` does not make."""
    return "\n# On demand: " in path.read_text()


def scenario(name: str) -> Path:
    path = SCENARIOS / f"{name}.py"
    if not path.exists():
        known = ", ".join(path.stem for path in all_scenarios())
        raise SystemExit(f"no scenario `{name}`; there are {known}")
    return path


if __name__ == "__main__":
    sys.exit(main())
