"""The reader of YAML: what it reads, and what it refuses with which words."""

import json
import tempfile
from pathlib import Path

import yaml

from . import cases
from .claims import Failed, Tally, same
from .nix import LIBRARY, EvaluationError, evaluate

HERE = Path(__file__).resolve().parents[1]
READERS = {
    "yaml": '(import (library + "/yaml")).parse "case.yaml" text',
    "hosts": '(import (library + "/hosts.nix")).parse "case.yaml" text',
}
MANY = "hosts:\n" + "".join(
    f"  gpu-{i}:\n    ssh_host: 10.0.{i // 250}.{i % 250 + 1}\n    status: ready\n    role: gpu_selfplay\n"
    f"    cpus: 64\n    memory_gb: 432\n    gpu: 8x RTX 4090\n    note: 'host number {i}'\n"
    for i in range(1000)
)


def run(tally: Tally) -> None:
    for file in sorted((HERE / "reader").glob("*.yaml")):
        tally.claim(f"{file.name} is read as {file.stem}.json says, and as PyYAML reads it", reads, file)
    for case in cases.read(HERE / "reader-refuses.cases"):
        tally.claim(f"the reader refuses {case.name}", refuses, "yaml", case)
    for case in cases.read(HERE / "hosts-refuses.cases"):
        tally.claim(f"no hosts file has {case.name}", refuses, "hosts", case)
    tally.claim("a file of a thousand hosts is no trouble", many)


def reads(file: Path) -> None:
    found = evaluate('(import (library + "/yaml")).read file', library=LIBRARY, file=file)
    same(found, json.loads(file.with_suffix(".json").read_text()))
    same(found, text_keys(yaml.safe_load(file.read_text(encoding="utf-8-sig"))))


def refuses(reader: str, case: cases.Case) -> None:
    try:
        value = evaluate(READERS[reader], library=LIBRARY, text=case.text)
    except EvaluationError as error:
        same(str(error), case.message)
    else:
        raise Failed(f"it was read: {value}")


def many() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "many.yaml"
        file.write_text(MANY)
        hosts = evaluate('((import (library + "/hosts.nix")).read file).hosts', library=LIBRARY, file=file)
    same([len(hosts), hosts[999]["note"]], [1000, "host number 999"])


def text_keys(value: object) -> object:
    """As JSON has it: PyYAML makes numbers of keys."""
    if isinstance(value, dict):
        return {str(key): text_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [text_keys(item) for item in value]
    return value
