"""The flake with a whole nixpkgs, in the folder that NIXPKGS names: whatever can be known without building anything."""

import json
import os
import re
import tempfile
from functools import partial
from pathlib import Path

from .claims import Failed, Tally, same
from .nix import REPOSITORY, evaluate

DOCUMENT = REPOSITORY / "docs/nixos.md"
# What `nixos-generate-config` finds out about a machine, as far as an evaluation needs it.
HARDWARE = '{ fileSystems."/" = { device = "/dev/disk/by-uuid/1"; fsType = "ext4"; }; }'

# What nixpkgs itself asks for.
OLDEST = (2, 18)
# The image builders that docs/nixos.md names; NixOS has more, of other clouds.
IMAGES = ["raw-efi", "qemu-efi", "iso", "kexec", "amazon"]
# Disks, on which a virtual machine must find its root; the others have it in memory, or drivers of their cloud.
DISKS = ["raw-efi", "qemu-efi"]
IMAGE = {"tokenFile": None, "oldTokenFile": None, "isDerivation": True}
WHOLE = '(import (repository + "/tests/nix/module/nixos.nix") { inherit nixpkgs repository; })'


def run(tally: Tally) -> None:
    named = os.environ.get("NIXPKGS")
    if not named:
        tally.note("NIXPKGS names no folder with nixpkgs: machines, images and checks were not evaluated as a whole")
        return
    nixpkgs = Path(named).resolve()
    if not (nixpkgs / "nixos/lib/eval-config.nix").exists():
        raise SystemExit(f"NIXPKGS={named}: there is no nixpkgs in this folder")
    version = str(evaluate("builtins.nixVersion"))
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        tally.note(f"Nix {version} is too old for nixpkgs: machines, images and checks were not evaluated as a whole")
        return

    ask = partial(evaluate, nixpkgs=nixpkgs, repository=REPOSITORY)
    tally.claim("the stand-ins for NixOS' options are of their types", stand_ins, ask)
    machines = ask(f"{WHOLE}.machines")
    for machine in machines:
        tally.claim(f"{machine} becomes a system, without a warning", becomes_system, ask, machine)
    for name in ask(f"{WHOLE}.besides"):
        tally.claim(f"gpu-1 becomes a system with {name.replace('-', ' ')}", becomes_system_with, ask, "gpu-1", name)
    tally.claim("the flake of docs/nixos.md makes a system and an image of its machine", documented, ask)
    for kind in IMAGES:
        tally.claim(f"{machines[0]} becomes an image of the kind {kind}, with no token in it", becomes_image, ask, machines[0], kind)
    for path in ask(f"{WHOLE}.derivations"):
        tally.claim(f"{'.'.join(path)} can be built, as far as that shows before", becomes_derivation, ask, path)
    tally.claim("the overlay has the package", has_package, ask)


def stand_ins(ask) -> None:
    same(ask(f"{WHOLE}.standIns"), [])


def becomes_system(ask, machine: str) -> None:
    found = ask(f"{WHOLE}.machine {WHOLE}.outputs.nixosConfigurations.${{name}}", name=machine)
    same(found, {"warnings": [], "failed": [], "isDerivation": True})


def becomes_system_with(ask, machine: str, name: str) -> None:
    found = ask(f"{WHOLE}.machine ({WHOLE}.with' {WHOLE}.outputs.nixosConfigurations.${{machine}} name)", machine=machine, name=name)
    same(found, {"warnings": [], "failed": [], "isDerivation": True})


def becomes_image(ask, machine: str, kind: str) -> None:
    found = ask(f"{WHOLE}.image {WHOLE}.outputs.nixosConfigurations.${{name}} kind", name=machine, kind=kind)
    finds = found.pop("findsVirtualDisk")
    same(found, IMAGE | {"nodeName": machine})
    same(finds or kind not in DISKS, True)


def documented(ask) -> None:
    """The first blocks of the document, in files of the names that they give one another."""
    (flake, *_), (entry, *_) = (re.findall(rf"```{kind}\n(.*?)```", DOCUMENT.read_text(), re.S) for kind in ("nix", "yaml"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "gpu-3").mkdir()
        (folder / "gpu-3/hardware-configuration.nix").write_text(HARDWARE)
        (folder / "flake.nix").write_text(flake)
        (folder / "distributed_hosts.yaml").write_text(f"{entry}p2p_voters: [gpu-3]\n")
        machine = f"(import flake).outputs {{ ringrift-p2p = {WHOLE}.outputs; }}).nixosConfigurations.gpu-3"
        found = ask(f"{WHOLE}.machine ({machine}", flake=folder / "flake.nix")
        same(found, {"warnings": [], "failed": [], "isDerivation": True})
        # Such a machine has no system yet, and thus no file about its hardware.
        without = re.sub(r"hostModules\.gpu-3 = \{.*?\};\n", "", flake, flags=re.S)
        (folder / "flake.nix").write_text(without)
        found = ask(f'{WHOLE}.image ({machine} "raw-efi"', flake=folder / "flake.nix")
        same(found, IMAGE | {"nodeName": "gpu-3", "findsVirtualDisk": True})


def becomes_derivation(ask, path: list[str]) -> None:
    is_derivation(ask(f"{WHOLE}.derivation (builtins.fromJSON path)", path=json.dumps(path)))


def has_package(ask) -> None:
    is_derivation(ask(f"{WHOLE}.overlaid"))


def is_derivation(path: str) -> None:
    if not path.endswith(".drv"):
        raise Failed(f"{path} is no derivation")
