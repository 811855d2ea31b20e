"""Every Nix file of the repository: it parses, and it is formatted as RFC 166 says."""

import subprocess
from pathlib import Path

from .claims import Failed, Tally
from .nix import ENVIRONMENT, REPOSITORY, nix_files

# The house's limit; a longer file has more than one concern.
MOST_LINES = 300


def run(tally: Tally, nixfmt: Path) -> None:
    files = nix_files()
    tally.claim("the repository has Nix files", require, files, "none was found")
    for file in files:
        name = file.relative_to(REPOSITORY)
        tally.claim(f"{name} parses", succeeds, "nix-instantiate", "--parse", file)
        tally.claim(f"{name} has at most {MOST_LINES} lines", short, file)
    if nixfmt.exists():
        tally.claim("every Nix file is formatted", succeeds, nixfmt, "--check", *files)
    else:
        tally.note(f"{nixfmt} is not here; whether the files are formatted was not looked at")


def succeeds(*command: object) -> None:
    arguments = [str(part) for part in command]
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT)
    if done.returncode != 0:
        raise Failed(done.stdout[-3000:])


def short(file: Path) -> None:
    require(len(file.read_text().splitlines()) <= MOST_LINES, "it is longer")


def require(claim: object, otherwise: str) -> None:
    if not claim:
        raise Failed(otherwise)
