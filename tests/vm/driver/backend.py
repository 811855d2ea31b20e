"""The two kinds of machines, and what all machines of one kind share in a run."""

import json
import re
from pathlib import Path
from typing import Protocol

from . import installation
from .disk import make_disk
from .image import machine_image
from .machine import Machine
from .network import Network
from .nspawn import NspawnMachine
from .qemu import QemuMachine

NSPAWN = "nspawn"
QEMU = "qemu"
BACKENDS = [NSPAWN, QEMU]


def read_backend(scenario: Path) -> str:
    """The scenario's `BACKEND = "…"`, one line of JSON like `MACHINES`; nspawn when there is none."""
    found = re.search(r"^BACKEND = (.*)$", scenario.read_text(), re.MULTILINE)
    name: str = json.loads(found.group(1)) if found else NSPAWN
    if name not in BACKENDS:
        raise SystemExit(f"{scenario}: BACKEND is `{name}`; expected one of {', '.join(BACKENDS)}")
    return name


class Backend(Protocol):
    """Makes machines of one kind."""

    # A scenario that hangs must not take the whole run with it.
    limit_seconds: int

    def machine(self, name: str, role: str, home: Path, network: Network, verbose: bool) -> Machine:
        """A new machine, switched off. Its files are kept in the folder."""


class Nspawn:
    """Containers on the host's kernel."""

    limit_seconds = 300

    def __init__(self, base: Path, program: Path, cgroup: Path) -> None:
        self._base = base
        self._program = program
        self._cgroup = cgroup

    def machine(self, name: str, role: str, home: Path, network: Network, verbose: bool) -> Machine:
        layers = [self._base] if role == installation.BARE else [self._program, self._base]
        return NspawnMachine(name, layers, home, network, self._cgroup, verbose)


class Qemu:
    """Emulated computers."""

    limit_seconds = 1800

    def __init__(self, base: Path, program: Path, cache: Path, work: Path) -> None:
        self._image = machine_image(cache, base)
        # Binaries change with every build, and making this takes a second: it is never kept.
        self._program = work / "program.img"
        make_disk(self._program, program, 0)

    def machine(self, name: str, role: str, home: Path, network: Network, verbose: bool) -> Machine:
        if role == installation.DIAL_OUT:
            raise SystemExit(f"{name}: a QEMU machine cannot be `{role}`: nothing filters what it is sent")
        layers = [] if role == installation.BARE else [self._program]
        machine = QemuMachine(name, self._image, layers, home, network, verbose)
        if role != installation.BARE:
            installation.be_patient(machine.root)
        return machine
