"""The Nix reader against the daemon's: what both read, they read alike, and what Nix reads, the daemon reads."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import yaml

from . import generate
from .claims import Failed, Tally, differences, same
from .functions import CLUSTERS
from .nix import LIBRARY, REPOSITORY, evaluate
from .reader import text_keys

FIXTURE = REPOSITORY / "../shared/fixtures/distributed_hosts_42.yaml"
RUNBOOK = REPOSITORY / "../shared/docs/runbook.md"
# Enough to meet every style many times; more by RINGRIFT_NIX_FILES=5000, others by RINGRIFT_NIX_SEED=7.
FILES = int(os.environ.get("RINGRIFT_NIX_FILES", "200"))
SEED = int(os.environ.get("RINGRIFT_NIX_SEED", "1"))
# One evaluation for all: a file that is refused becomes null. The reader's own tests look at the messages.
ALL = """
  builtins.listToAttrs (map (name:
    let
      path = folder + "/${name}";
      hosts = builtins.tryEval (
        let cluster = removeAttrs ((import (library + "/hosts.nix")).read path) [ "byName" ];
        in builtins.deepSeq cluster cluster
      );
      document = builtins.tryEval (
        let value = (import (library + "/yaml")).read path; in builtins.deepSeq value value
      );
    in {
      inherit name;
      value = {
        hosts = if hosts.success then hosts.value else null;
        document = if document.success then { inherit (document) value; } else null;
      };
    }) (builtins.attrNames (builtins.readDir folder)))
"""


# What a machine is made by, and what would keep it from being one.
ADDED = """
  let
    functions = import library;
    cluster = functions.readHosts file;
    node = functions.node cluster.byName.gpu-9;
  in {
    inherit (node) canRunNixos hasNvidia system;
    inherit (node.budget) memoryMax;
    trusted = builtins.elem "10.0.0.9" (functions.firewall.sources { inherit cluster; }).v4;
    failed = builtins.filter (a: !a.assertion) (functions.problems { inherit cluster; nodeName = "gpu-9"; });
  }
"""


def run(tally: Tally, ringriftctl: Path) -> None:
    tally.claim("a host that `ringriftctl hosts add` writes is one that NixOS provisions", added, ringriftctl)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        right = write(folder / "right", {f"{i:04}.yaml": generate.hosts_file(SEED * 100_000 + i) for i in range(FILES)})
        slips = {
            f"{i:04}.yaml": generate.slip(generate.hosts_file(SEED * 100_000 + i), SEED * 100_000 + i)
            for i in range(3 * FILES)
        }
        wrong = write(folder / "wrong", slips)
        tally.claim(f"{FILES} files in every style are read as the daemon reads them", alike, right, ringriftctl)
        tally.claim(
            f"of {3 * FILES} files with slips none is read that the daemon reads otherwise",
            never_otherwise,
            wrong,
            ringriftctl,
        )
        if FIXTURE.exists():
            real = write(folder / "real", {"distributed_hosts_42.yaml": FIXTURE.read_text()})
            tally.claim(
                "the file of a real cluster of 42 hosts is read as the daemon reads it",
                alike,
                real,
                ringriftctl,
            )
        else:
            tally.note("the file of a real cluster (shared/fixtures) is not here; it was not read")
        if RUNBOOK.exists():
            examples = write(folder / "runbook", runbook_examples())
            tally.claim("the runbook's examples are read as the daemon reads them", alike, examples, ringriftctl)
        else:
            tally.note("the runbook (shared/docs) is not here; its examples were not read")


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def runbook_examples() -> dict[str, str]:
    """The blocks of YAML in the runbook that describe hosts."""
    blocks = [block.partition("```")[0] for block in RUNBOOK.read_text().split("```yaml\n")[1:]]
    found = {f"{i}.yaml": block for i, block in enumerate(blocks) if block.startswith("hosts:")}
    if not found:
        raise SystemExit(f"{RUNBOOK} has no example of hosts any more")
    return found


def added(ringriftctl: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "distributed_hosts.yaml"
        file.write_text(CLUSTERS[0].read_text())
        entry = ["ssh_host=10.0.0.9", "ssh_user=ubuntu", "role=mixed", "gpu=RTX 4090", "memory_gb=64"]
        command = [ringriftctl, "--hosts", file, "hosts", "add", "--file-only", "gpu-9", *entry]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = evaluate(ADDED, library=LIBRARY, file=file)
    machine = {"canRunNixos": True, "hasNvidia": True, "system": "x86_64-linux", "memoryMax": "62260M"}
    same(found, machine | {"trusted": True, "failed": []})


def alike(folder: Path, ringriftctl: Path) -> None:
    """Fails unless Nix reads every file, and as the daemon does."""
    for name, found in evaluate(ALL, library=LIBRARY, folder=folder).items():
        path = folder / name
        if found["hosts"] is None or found["document"] is None:
            raise Failed(f"{name} is refused:\n{numbered(path)}")
        compare(path, found, ringriftctl)


def never_otherwise(folder: Path, ringriftctl: Path) -> None:
    """Fails if Nix reads a file in another way than the daemon, or than PyYAML."""
    read = {
        name: found
        for name, found in evaluate(ALL, library=LIBRARY, folder=folder).items()
        if found["hosts"] is not None
    }
    # A reader that refuses everything would pass.
    if len(read) < FILES // 2:
        raise Failed(f"only {len(read)} files were read: this proves nothing")
    for name, found in read.items():
        compare(folder / name, found, ringriftctl)


def compare(path: Path, found: dict, ringriftctl: Path) -> None:
    command = [ringriftctl, "--hosts", path, "--json", "hosts", "list"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Failed(f"the daemon refuses {path.name}: {done.stderr}\n{numbered(path)}")
    expected = json.loads(done.stdout) | {"file": path.name}
    for host in found["hosts"]["hosts"]:
        del host["own_ssh_host"]
    if found["hosts"] != expected:
        raise Failed("\n".join([*differences(found["hosts"], expected, path.name), numbered(path)]))
    try:
        python = text_keys(yaml.safe_load(path.read_text()))
    except yaml.YAMLError as error:
        raise Failed(f"PyYAML refuses {path.name}: {error}\n{numbered(path)}") from None
    if found["document"]["value"] != python:
        raise Failed("\n".join([*differences(found["document"]["value"], python, path.name), numbered(path)]))


def numbered(path: Path) -> str:
    return "".join(f"{number:4} {line}\n" for number, line in enumerate(path.read_text().split("\n"), start=1))
