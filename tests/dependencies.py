#!/usr/bin/env python3
"""The policy on dependencies, checked against `cargo metadata --locked`.

- Every package comes from crates.io, or lies in this repository.
- Its licence lets us ship it under MIT OR Apache-2.0.
- None of the banned packages is used: they need cmake or a system library, or are a second way to do TLS.

Packages that occur in several versions are told, not refused: others decide when they move on.
"""

import json
import subprocess
import sys
from collections import defaultdict
from fnmatch import fnmatch

CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"

ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}

BANNED = ["aws-lc*", "cmake", "native-tls", "openssl", "openssl-*", "schannel", "security-framework*"]


def permitted(expression: str) -> bool:
    """Whether an SPDX expression can be met with the allowed licences.

    >>> permitted("MIT OR Apache-2.0")
    True
    >>> permitted("GPL-3.0 OR MIT"), permitted("GPL-3.0 AND MIT"), permitted("MIT/GPL-3.0")
    (True, False, True)
    >>> permitted("(MIT OR GPL-3.0) AND Unicode-3.0"), permitted("MIT OR (GPL-3.0 AND ISC)")
    (True, True)
    >>> permitted("Apache-2.0 WITH LLVM-exception"), permitted("GPL-2.0 WITH Classpath-exception-2.0")
    (True, False)
    >>> permitted("")
    False
    """
    # `/` is how crates said OR before they wrote SPDX.
    tokens = expression.replace("/", " OR ").replace("(", " ( ").replace(")", " ) ").split()
    verdict, rest = alternatives(tokens)
    return verdict and not rest


def alternatives(tokens: list[str]) -> tuple[bool, list[str]]:
    verdict, rest = conjunction(tokens)
    while rest[:1] == ["OR"]:
        other, rest = conjunction(rest[1:])
        verdict = verdict or other
    return verdict, rest


def conjunction(tokens: list[str]) -> tuple[bool, list[str]]:
    verdict, rest = licence(tokens)
    while rest[:1] == ["AND"]:
        other, rest = licence(rest[1:])
        verdict = verdict and other
    return verdict, rest


def licence(tokens: list[str]) -> tuple[bool, list[str]]:
    if not tokens:
        return False, []
    if tokens[0] == "(":
        verdict, rest = alternatives(tokens[1:])
        return verdict, rest[1:]
    if tokens[1:2] == ["WITH"]:
        return " ".join(tokens[:3]) in ALLOWED, tokens[3:]
    return tokens[0] in ALLOWED, tokens[1:]


def complaints(package: dict) -> list[str]:
    """What the policy has against one package of `cargo metadata`.

    >>> good = {"name": "serde", "version": "1.0.0", "license": "MIT", "source": CRATES_IO}
    >>> complaints(good)
    []
    >>> complaints({**good, "name": "openssl-sys", "license": None})
    ['openssl-sys 1.0.0: is banned', 'openssl-sys 1.0.0: licence None is not on the list']
    >>> complaints({**good, "source": "git+https://example.org/serde"})
    ['serde 1.0.0: comes from git+https://example.org/serde, not from crates.io']
    >>> complaints({**good, "source": None})
    []
    """
    name = f"{package['name']} {package['version']}"
    found = []
    if any(fnmatch(package["name"], pattern) for pattern in BANNED):
        found.append(f"{name}: is banned")
    if package["source"] not in (None, CRATES_IO):
        found.append(f"{name}: comes from {package['source']}, not from crates.io")
    if not permitted(package["license"] or ""):
        found.append(f"{name}: licence {package['license']} is not on the list")
    return found


def duplicates(packages: list[dict]) -> list[str]:
    """Packages that occur in several versions.

    >>> duplicates([{"name": "a", "version": "1.0.0"}, {"name": "a", "version": "2.1.0"}, {"name": "b", "version": "1.0.0"}])
    ['a 1.0.0, 2.1.0']
    """
    versions = defaultdict(list)
    for package in packages:
        versions[package["name"]].append(package["version"])
    return [f"{name} {', '.join(sorted(found))}" for name, found in sorted(versions.items()) if len(found) > 1]


def used_packages() -> list[dict]:
    """Every package that is compiled here: Linux, with the features that are really on."""
    command = ["cargo", "metadata", "--locked", "--format-version=1", "--filter-platform=x86_64-unknown-linux-gnu"]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    used = {node["id"] for node in metadata["resolve"]["nodes"]}
    return [package for package in metadata["packages"] if package["id"] in used]


def main() -> int:
    packages = used_packages()
    found = [complaint for package in packages for complaint in complaints(package)]
    print("\n".join(found))
    several = duplicates(packages)
    print(f"note: {len(packages)} packages, of which {len(several)} in several versions: {'; '.join(several)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
