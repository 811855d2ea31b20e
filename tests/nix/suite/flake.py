"""The flake: its pin, its package's installation with the real programs, and its outputs where a `lib` is at hand."""

import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pyflakes.checker import Checker

from .claims import Failed, Tally, same
from .module import context, library
from .nix import REPOSITORY, evaluate

sys.path.insert(0, str(REPOSITORY / "tests/vm"))
from driver import installation  # noqa: E402

SCENARIOS = REPOSITORY / "tests/vm"
# Verified by three public lock files that agree.
PIN = {
    "owner": "NixOS",
    "repo": "nixpkgs",
    "rev": "02e08985a27c65ffd33d434eeb2e660a2e4dc84d",
    "narHash": "sha256-QvnceIGTBeDvDd9oCn+GvdsnkquliuwbVgpiRH68qaQ=",
    "lastModified": 1786711500,
    "type": "github",
}
# What package.nix needs of nixpkgs, as far as its script shows.
PACKAGE = """
  import (repository + "/packaging/nix/package.nix") {
    lib = {
      importTOML = file: builtins.fromTOML (builtins.readFile file);
      optionalString = condition: text: if condition then text else "";
      fileset = { toSource = { fileset, ... }: { inherit fileset; }; unions = files: map builtins.pathExists files; };
      licenses = { mit = "mit"; asl20 = "asl20"; };
      platforms.linux = [ ];
    };
    stdenv = { hostPlatform = { }; buildPlatform.canExecute = _: true; };
    versionCheckHook = null;
    rustPlatform.buildRustPackage = package: removeAttrs package [ "cargoLock" ];
  }
"""
OUTPUTS = 'import (repository + "/tests/nix/module/flake.nix") { inherit nixpkgsLib repository; }'


def run(tally: Tally, binaries: Path) -> None:
    tally.claim("flake.lock has the verified pin, and locks nothing else", pinned)
    tally.claim("the package takes only files that are there", takes_what_is_there)
    tally.claim(
        "the package's installation puts everything in its place, with paths of its own inside",
        installs,
        binaries,
    )
    tally.claim("every scenario has a line of machines that Nix can read", machines_are_json)
    tally.claim("every scenario passes the linter of NixOS' test driver", linted)
    tally.claim("a scenario that reboots a machine has started it so that NixOS' driver lets it", started_for_reboot)
    tally.claim("no scenario starts a transient unit that finds no programs on NixOS", transient_units)
    named = os.environ.get("NIXPKGS_LIB")
    if not named:
        tally.note("NIXPKGS_LIB names no folder with nixpkgs' lib: the flake's outputs were not evaluated")
        return
    nixpkgs = library(Path(named))
    tally.claim("the flake has all of its outputs", outputs, nixpkgs)
    tally.claim(
        "every scenario is a check, on the machines and with the hosts file that it has on Debian",
        scenarios,
        nixpkgs,
    )


def pinned() -> None:
    lock = json.loads((REPOSITORY / "flake.lock").read_text())
    same(sorted(lock["nodes"]), ["nixpkgs", "root"])
    node = lock["nodes"]["nixpkgs"]
    same(node["locked"], PIN)
    original = node["original"]
    same(
        evaluate("(import flake).inputs.nixpkgs.url", flake=REPOSITORY / "flake.nix"),
        f"github:{original['owner']}/{original['repo']}/{original['ref']}",
    )
    same(lock["nodes"]["root"]["inputs"], {"nixpkgs": "nixpkgs"})


def package() -> dict:
    return evaluate(PACKAGE, repository=REPOSITORY)


def takes_what_is_there() -> None:
    same(set(package()["src"]["fileset"]), {True})


def installs(binaries: Path) -> None:
    """Runs the script of the installation with the programs that cargo built."""
    with tempfile.TemporaryDirectory() as name:
        out, build = Path(name) / "out", Path(name) / "build"
        for source in ("systemd", "packaging", "nixos-modules"):
            shutil.copytree(REPOSITORY / source, build / source, symlinks=True)
        (out / "bin").mkdir(parents=True)
        for program in installation.PROGRAMS:
            (out / "bin" / program).symlink_to(binaries / program)
        script = f"set -euo pipefail\nout={out}\n{package()['postInstall']}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=build, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if done.returncode != 0:
            raise Failed(done.stdout)
        sources = [
            file for file in (REPOSITORY / "systemd/usr").rglob("*") if file.is_file() and "/before-" not in str(file)
        ]
        for source in sources:
            installed = out / source.relative_to(REPOSITORY / "systemd/usr")
            same(
                installed.read_text(),
                source.read_text()
                .replace("/usr/bin/ringrift", f"{out}/bin/ringrift")
                .replace("/usr/lib/ringrift", f"{out}/lib/ringrift"),
            )
        started = [
            line
            for file in (out / "lib/systemd/system").rglob("*")
            if file.is_file()
            for line in file.read_text().splitlines()
            if line.startswith("ExecStart=")
        ]
        if not started or not all(str(out) in line for line in started):
            raise Failed(f"a unit starts something else: {started}")
        wanted = [
            "bin/ringrift-p2p",
            "bin/ringriftctl",
            "lib/ringrift-p2p/ringrift-launch",
            "share/bash-completion/completions/ringriftctl",
            "share/fish/vendor_completions.d/ringriftctl.fish",
            "share/man/man1/ringriftctl.1",
            "share/man/man8/ringrift-p2p.8",
            "share/ringrift-p2p/examples/distributed_hosts.yaml",
            "share/zsh/site-functions/_ringriftctl",
        ]
        same([path for path in wanted if not (out / path).is_file()], [])


def machines_are_json() -> None:
    for scenario in SCENARIOS.glob("*.py"):
        installation.read_roles(scenario)


def outputs(nixpkgs: Path) -> None:
    found = evaluate(f'removeAttrs ({OUTPUTS}) [ "scenarios" ]', **context(nixpkgs))
    names = found["names"]
    same(names["others"], ["devShells", "formatter", "nixosModules", "overlays"])
    # gpu-2 of the example is under maintenance.
    nodes = ["backbone-1", "backbone-2", "cpu-1", "gpu-1"]
    same(names["machines"], nodes)
    always = ["default", "options-reference", "ringrift-p2p"]
    same(
        names["packages"],
        {"aarch64-linux": always, "x86_64-linux": sorted([*always, *(f"image-{node}" for node in nodes)])},
    )
    same({"clippy", "rustfmt", "nixfmt", "package", "example", "options-reference"} - set(names["checks"]), set())
    same({"nodes", "nodesWith", "readHosts", "firewall", "etcHosts"} - set(names["lib"]), set())
    for node in nodes:
        same(
            found["machines"][node],
            {
                "nodeName": node,
                "hostName": node,
                "openFirewall": True,
                "tokenFile": "/etc/ringrift-p2p/token",
                "system": "x86_64-linux",
                "failed": [],
            },
        )
        # No image holds the token.
        same(found["images"][f"image-{node}"], {"nodeName": node, "tokenFile": None, "oldTokenFile": None})
    same(found["undocumented"], [])
    same(len(found["example"].splitlines()), len(nodes))


def scenarios(nixpkgs: Path) -> None:
    found = evaluate(f"({OUTPUTS}).scenarios", **context(nixpkgs))
    expected = for_nixos()
    same(sorted(found), sorted(f"vm-{path.stem}" for path in expected))
    for path in expected:
        test, roles = found[f"vm-{path.stem}"], installation.read_roles(path)
        same(test["machines"], sorted(roles))
        same(test["failed"], [])
        same(test["script"], script(path))
        if set(roles.values()) != {installation.BARE}:
            same(test["hosts"], [installation.hosts_file(roles, Addresses(roles))])


def script(scenario: Path) -> str:
    """What the test driver of NixOS is given."""
    return "\n\n".join(
        ["machines = driver.machines", (SCENARIOS / "driver/prelude.py").read_text(), scenario.read_text()]
    )


def for_nixos() -> list[Path]:
    """The scenarios that the flake runs: one that is about something else says so, and one is about NixOS alone."""
    shared = [path for path in sorted(SCENARIOS.glob("*.py")) if "\n# Not on NixOS: " not in path.read_text()]
    return [*shared, REPOSITORY / "packaging/nix/switch.py"]


def linted() -> None:
    """As NixOS' driver does before it runs a script, with the names that it gives."""
    for scenario in for_nixos():
        machines = {name.replace("-", "_") for name in installation.read_roles(scenario)}
        given = {"driver", "start_all", "subtest", "retry"} | machines
        found = Checker(ast.parse(script(scenario)), filename=scenario.name, builtins=given).messages
        same([str(message) for message in found], [])


def started_for_reboot() -> None:
    """NixOS' driver has QEMU end where a machine would boot again, unless it was told when it started the machine."""
    rebooting = [path for path in for_nixos() if ".reboot()" in path.read_text()]
    same([path.name for path in rebooting if ".start(allow_reboot=True)" not in path.read_text()], [])


def transient_units() -> None:
    """The path that systemd gives its units by itself leads to nothing there; the prelude's `RUN_UNIT` says another."""
    same([path.name for path in for_nixos() if "systemd-run" in path.read_text()], [])


class Addresses:
    """The addresses that the driver of the Debian machines gives, without laying a cable."""

    def __init__(self, roles: dict[str, str]) -> None:
        self.addresses = {name: f"192.168.1.{index}" for index, name in enumerate(sorted(roles), start=1)}
