#!/usr/bin/env python3
"""Whether every test and scenario that a document names is there: `tests/named_tests.py docs/faults.md`.

A test is written `crate function` and a scenario `scenario NAME`, or several after `scenarios`, in a table's row.
"""

import re
import subprocess
import sys
from pathlib import Path


def named(text: str) -> tuple[set[tuple[str, str]], set[str]]:
    """The tests, as crate and function, and the scenarios.

    >>> tests, scenarios = named("| x | y | `ringrift-link a_b`, scenario `one` |")
    >>> sorted(tests), sorted(scenarios)
    ([('ringrift-link', 'a_b')], ['one'])
    >>> sorted(named("| x | y | scenarios `one`, `two` |")[1])
    ['one', 'two']
    """
    rows = [line for line in text.splitlines() if line.startswith("|")]
    tests = {(crate, function) for row in rows for crate, function in re.findall(r"`(ringrift[\w-]*) (\w+)`", row)}
    lists = [found for row in rows for found in re.findall(r"scenarios? ((?:`\w+`(?:, )?)+)", row)]
    return tests, {name for found in lists for name in re.findall(r"`(\w+)`", found)}


def main(documents: list[str]) -> int:
    metadata = subprocess.run(["git", "ls-files", "src/*/Cargo.toml"], check=True, capture_output=True, text=True).stdout
    folders = {}
    for manifest in map(Path, metadata.split()):
        name = re.search(r'^name = "(.*)"', manifest.read_text(), re.MULTILINE)
        if name:
            folders[name.group(1)] = manifest.parent
    sources = {
        crate: "\n".join(path.read_text() for path in sorted(folder.rglob("*.rs"))) for crate, folder in folders.items()
    }
    missing = []
    count = 0
    for document in documents:
        tests, scenarios = named(Path(document).read_text())
        count += len(tests) + len(scenarios)
        for crate, function in sorted(tests):
            if not re.search(rf"\bfn {function}\(", sources.get(crate, "")):
                missing.append(f"{document}: {crate} has no test {function}")
        missing += [f"{document}: no scenario {name}" for name in sorted(scenarios) if not Path(f"tests/vm/{name}.py").exists()]
    print("\n".join(missing or [f"{count} tests and scenarios are named, and all are there"]))
    return 1 if missing or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
