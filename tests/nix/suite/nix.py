"""Evaluates Nix expressions with a bare `nix-instantiate`."""

import json
import os
import re
import subprocess
from pathlib import Path

from .claims import Failed

REPOSITORY = Path(__file__).resolve().parents[3]
LIBRARY = REPOSITORY / "nixos-modules/lib"
# Without build users, configuration files or a path to find nixpkgs on, whatever the machine has.
ENVIRONMENT = {
    **os.environ,
    "NIX_CONFIG": "build-users-group =\nwarn-dirty = false\nallow-import-from-derivation = false",
    "NIX_PATH": "",
    "NIX_CONF_DIR": "/nonexistent",
}


class EvaluationError(Failed):
    """What Nix said against an expression."""


def evaluate(expression: str, **variables: Path | str) -> object:
    """The value of an expression, which finds each variable under its name: a path as a path, a text as a text.

    Nothing is built, and nothing is written to the store: `nix flake show` and its like evaluate so too.
    """
    command = ["nix-instantiate", "--eval", "--strict", "--json", "--expr"]
    names = ", ".join(variables)
    command.append(f"{{ {names} }}: {expression}" if variables else expression)
    for name, value in variables.items():
        command += ["--arg", name, str(value)] if isinstance(value, Path) else ["--argstr", name, value]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    if done.returncode != 0:
        raise EvaluationError(message(done.stderr))
    return json.loads(done.stdout)


def message(errors: str) -> str:
    """Nix's error without colours, prefix and advice. Newer versions show a trace before the error itself."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", errors)
    _, _, last = plain.rpartition("error: ")
    lines = [line for line in last.splitlines() if "--show-trace" not in line]
    return "\n".join(line.strip() for line in lines).strip()


def nix_files() -> list[Path]:
    """Every Nix file of the repository; what a build leaves behind is none."""
    folders = [path for path in REPOSITORY.iterdir() if path.is_dir() and path.name != "target" and path.name[0] != "."]
    return sorted([*REPOSITORY.glob("*.nix"), *(file for folder in folders for file in folder.rglob("*.nix"))])
