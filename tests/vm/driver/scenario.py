"""Runs one scenario file on fresh machines and tells how it went."""

import shutil
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import installation
from .backend import Backend
from .firewall import protect, read_firewall
from .machine import Machine, MachineError, retry
from .network import Network
from .sandbox import run

# Lines of a failed machine's journal that are printed; all of it is kept in the log folder.
JOURNAL_LINES = 80
KERNEL_FAULT = b"Kernel panic - not syncing: Fatal exception"
PRELUDE = Path(__file__).parent / "prelude.py"


@dataclass
class Outcome:
    """What became of a scenario."""

    name: str
    seconds: float = 0.0
    boot_seconds: float = 0.0
    claims: list[str] = field(default_factory=list)
    error: str | None = None
    # Machines whose kernel stopped at a fault of its own.
    kernel_faulted: list[str] = field(default_factory=list)


class OutOfTime(BaseException):
    """The scenario ran too long. Not an Exception: those a scenario may catch, and wait on."""


class Stage:
    """The machines of one scenario, and the names that its text finds."""

    def __init__(
        self,
        roles: dict[str, str],
        has_firewall: bool,
        backend: Backend,
        packages: installation.Packages,
        home: Path,
        verbose: bool,
    ) -> None:
        self.network = Network(list(roles), [name for name, role in roles.items() if role == installation.DIAL_OUT])
        self.packages = packages
        self.claims: list[str] = []
        self.machines: list[Machine] = []
        for name, role in roles.items():
            machine = backend.machine(name, role, home / name, self.network, verbose)
            self.machines.append(machine)
            if role != installation.BARE:
                installation.configure(machine.root, name, roles, self.network)
                if has_firewall:
                    protect(machine.root, machine.root / installation.ETC / "distributed_hosts.yaml")

    def names(self) -> dict[str, object]:
        """What a scenario can use without importing it, as in the NixOS driver, which knows all of it but `package`."""
        return {
            **{machine.name.replace("-", "_"): machine for machine in self.machines},
            "machines": self.machines,
            "start_all": self.start_all,
            "subtest": self.subtest,
            "retry": retry,
            "package": self.packages.package,
        }

    def start_all(self) -> None:
        for machine in self.machines:
            machine.start()

    @contextmanager
    def subtest(self, claim: str) -> Iterator[None]:
        started = time.monotonic()
        print(f"  {claim} …", flush=True)
        yield
        print(f"  ok: {claim} ({time.monotonic() - started:.1f} s)", flush=True)
        self.claims.append(claim)


def play(
    scenario: Path, name: str, backend: Backend, packages: installation.Packages, home: Path, logs: Path, verbose: bool
) -> Outcome:
    """Boots fresh machines, runs the scenario on them, and clears them away."""
    outcome = Outcome(name)
    started = time.monotonic()
    home.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(home))
    roles, has_firewall = installation.read_roles(scenario), read_firewall(scenario) is not None
    stage = Stage(roles, has_firewall, backend, packages, home, verbose)
    signal.signal(signal.SIGALRM, lambda *_: out_of_time(backend.limit_seconds))
    signal.alarm(backend.limit_seconds)
    try:
        boot(stage)
        outcome.boot_seconds = time.monotonic() - started
        print(f"  {len(stage.machines)} machines booted in {outcome.boot_seconds:.1f} s", flush=True)
        names = stage.names()
        for text in (PRELUDE, scenario):
            exec(compile(text.read_text(), str(text), "exec"), names)  # noqa: S102: this is what a driver does
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a scenario may raise anything, and every failure is to be told alike
        outcome.error = describe(error, scenario)
        outcome.kernel_faulted = [machine.name for machine in stage.machines if has_faulted(machine)]
    finally:
        signal.alarm(0)
        keep_logs(stage, logs / name, print_journals=outcome.error is not None)
        for machine in stage.machines:
            machine.discard()
        clear(stage, home)
    outcome.seconds = time.monotonic() - started
    outcome.claims = stage.claims
    return outcome


def boot(stage: Stage) -> None:
    stage.start_all()
    for machine in stage.machines:
        machine.wait_until_booted()


def has_faulted(machine: Machine) -> bool:
    """Whether the kernel stopped at a fault of its own. That init ended, which a scenario may bring about, is none."""
    return machine.console.exists() and KERNEL_FAULT in machine.console.read_bytes()


def out_of_time(limit_seconds: int) -> None:
    raise OutOfTime(f"the scenario ran for more than {limit_seconds} s")


def describe(error: BaseException, scenario: Path) -> str:
    """The error with the lines of the scenario that led to it; the driver's own frames tell a reader nothing."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(scenario)]
    lines = [f"    {scenario.name}:{frame.lineno}: {frame.line}" for frame in frames]
    kind = "assertion failed" if isinstance(error, AssertionError) else type(error).__name__
    return "\n".join([*lines, f"    {kind}: {error}"])


def keep_logs(stage: Stage, folder: Path, print_journals: bool) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for machine in stage.machines:
        if machine.is_up() and machine.boot_seconds is not None:
            try:
                machine.execute("journalctl --sync --flush; sync", timeout=60)
            except MachineError as error:
                print(f"the end of a journal may be missing: {error}", flush=True)
        journal = machine.journal()
        (folder / f"{machine.name}.journal").write_text(journal)
        if machine.console.exists():
            shutil.copy(machine.console, folder / f"{machine.name}.console")
        if print_journals:
            print(f"--- journal of {machine.name}, last {JOURNAL_LINES} lines; all of it: {folder}/{machine.name}.journal")
            print("\n".join(journal.splitlines()[-JOURNAL_LINES:]), flush=True)


def clear(stage: Stage, home: Path) -> None:
    """Takes down what the next scenario sets up anew. The run's end would do it too."""
    stage.network.remove()
    run("umount", "--recursive", str(home))
