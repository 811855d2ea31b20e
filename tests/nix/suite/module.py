"""The module: its complaints, by breaking what each is about, and what it makes of whole configurations.

The latter needs nixpkgs' `lib`, in the folder that NIXPKGS_LIB names.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .claims import Failed, Tally, same
from .functions import CLUSTERS
from .mutations import MUTATIONS, Mutation
from .nix import LIBRARY, REPOSITORY, evaluate
from .reader import HERE

SYSTEMS = HERE / "module/systems"
OPTIONS = REPOSITORY / "docs/nixos-options.md"


def run(tally: Tally, bless: bool, check_config: Path) -> None:
    for mutation in MUTATIONS:
        tally.claim(f"one complains of {mutation.name}", complains, mutation, functions_alone)
    tally.claim("check-config accepts the settings of the module's form", accepted_by_the_daemon, check_config)
    named = os.environ.get("NIXPKGS_LIB")
    if not named:
        tally.note("NIXPKGS_LIB names no folder with nixpkgs' lib: the module itself was parsed, and not evaluated")
        return
    nixpkgs = library(Path(named))
    for mutation in MUTATIONS:
        tally.claim(f"the module complains of {mutation.name}", complains, mutation, partial(by_module, nixpkgs))
    for system in sorted(SYSTEMS.glob("*.nix")):
        tally.claim(f"{system.stem}.nix becomes {system.stem}.json", becomes, nixpkgs, system, bless)
    tally.claim("another hosts file or other classes of jobs only reload the daemon, other settings restart it", triggers, nixpkgs)
    tally.claim("no switch restarts a job of any template of systemd/", templates, nixpkgs)
    tally.claim("an option that there is none of is refused", unknown_option, nixpkgs)
    tally.claim("docs/nixos-options.md is what the options say", documented, nixpkgs, bless)


def library(named: Path) -> Path:
    """The `lib` folder, whether it or nixpkgs was named."""
    for folder in (named / "lib", named):
        if (folder / "modules.nix").exists():
            return folder.resolve()
    raise SystemExit(f"NIXPKGS_LIB={named}: there is no nixpkgs `lib` in this folder")


# --- complaints -----------------------------------------------------------------------------------------------------


def complains(mutation: Mutation, asked: Callable[[Path, Mutation], list[str]]) -> None:
    text = CLUSTERS[0].read_text()
    if mutation.old not in text:
        raise Failed(f"the example has no {mutation.old!r} any more")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hosts.yaml"
        file.write_text(text.replace(mutation.old, mutation.new))
        same(asked(file, mutation), [] if mutation.message is None else [mutation.message])


def functions_alone(file: Path, mutation: Mutation) -> list[str]:
    expression = f"""
      map (a: a.message) (builtins.filter (a: !a.assertion) ((import library).problems {{
        cluster = (import library).readHosts file;
        nodeName = node;
        tokenFiles.tokenFile = {mutation.token};
      }}))
    """
    return evaluate(expression, library=LIBRARY, file=file, node=mutation.node)


def by_module(nixpkgs: Path, file: Path, mutation: Mutation) -> list[str]:
    configuration = f"""{{
      services.ringrift-p2p = {{ enable = true; hostsFile = file; nodeName = node; tokenFile = {mutation.token}; }};
    }}"""
    return evaluate(
        f"({EVALUATE}.complaints {configuration}).assertions", **context(nixpkgs), file=file, node=mutation.node
    )


# --- whole configurations -------------------------------------------------------------------------------------------

EVALUATE = '(import (repository + "/tests/nix/module/evaluate.nix") { inherit nixpkgsLib repository; })'


def context(nixpkgs: Path) -> dict[str, Path]:
    return {"nixpkgsLib": nixpkgs, "repository": REPOSITORY}


def becomes(nixpkgs: Path, system: Path, bless: bool) -> None:
    expression = f"removeAttrs ({EVALUATE}.system (import system)) [ ]"
    if system.stem == "off":
        expression = f"{EVALUATE}.silent"
    found = json.dumps(evaluate(expression, **context(nixpkgs), system=system), indent=2, sort_keys=True) + "\n"
    golden = system.with_suffix(".json")
    if bless:
        golden.write_text(found)
    same(found, golden.read_text())


def triggers(nixpkgs: Path) -> None:
    def of(file: Path, settings: str) -> dict:
        configuration = f"""{{
          services.ringrift-p2p = {{ enable = true; hostsFile = file; nodeName = "gpu-1"; settings = {settings}; }};
        }}"""
        wanted = "{ daemon = system.systemd.services.ringrift-p2p; inherit (system) settings; }"
        expression = f"let system = {EVALUATE}.system {configuration}; in {wanted}"
        return evaluate(expression, **context(nixpkgs), file=file)

    with tempfile.TemporaryDirectory() as folder:
        file, other = Path(folder) / "hosts.yaml", Path(folder) / "other/hosts.yaml"
        other.parent.mkdir()
        file.write_text(CLUSTERS[0].read_text())
        other.write_text(CLUSTERS[0].read_text().replace("memory_gb: 8\n", "memory_gb: 16\n"))
        before, hosts, settings = of(file, "{ }"), of(other, "{ }"), of(file, "{ models_keep = 9; }")
        classes = of(file, "{ job_classes.doze = { kind = \"selfplay\"; }; jobs_fill = false; }")
    if before["daemon"]["reloadTriggers"] == hosts["daemon"]["reloadTriggers"]:
        raise Failed("another hosts file is no trigger to reload")
    for reloaded in (hosts, classes):
        same(reloaded["daemon"] | {"reloadTriggers": []}, before["daemon"] | {"reloadTriggers": []})
    same(hosts["settings"], before["settings"])
    same(classes["settings"], before["settings"] | {"job_classes": {"doze": {"kind": "selfplay"}}, "jobs_fill": False})
    if before["daemon"]["restartTriggers"] == settings["daemon"]["restartTriggers"]:
        raise Failed("another setting that is taken at the start alone is no trigger to restart")
    same(settings["settings"], before["settings"] | {"models_keep": 9})


def templates(nixpkgs: Path) -> None:
    configuration = '{ services.ringrift-p2p = { enable = true; hostsFile = file; nodeName = "cpu-1"; }; }'
    found = evaluate(f"{EVALUATE}.restarted {configuration}", **context(nixpkgs), file=CLUSTERS[0])
    names = [file.stem for file in (REPOSITORY / "systemd/usr/lib/systemd/system").glob("*@.service")]
    same(found, {"ringrift-p2p": True} | {name: False for name in names})


def unknown_option(nixpkgs: Path) -> None:
    try:
        evaluate(f"{EVALUATE}.system {{ services.ringrift-p2p.hostFile = ./x; }}", **context(nixpkgs))
    except Failed as error:
        if "hostFile" not in str(error):
            raise
    else:
        raise Failed("it was taken")


def documented(nixpkgs: Path, bless: bool) -> None:
    found = evaluate(f'import (repository + "/tests/nix/module/options.nix") {EVALUATE}', **context(nixpkgs))
    if bless:
        OPTIONS.write_text(found)
    same(found, OPTIONS.read_text())


def accepted_by_the_daemon(program: Path) -> None:
    """The settings that the module writes are the daemon's: by the golden systems, so that it needs no `lib`."""
    with tempfile.TemporaryDirectory() as folder:
        for golden, hosts in ((SYSTEMS / "cpu-1.json", CLUSTERS[0]), (SYSTEMS / "delta.json", CLUSTERS[1])):
            settings = Path(folder) / "settings.yaml"
            settings.write_text(json.dumps(json.loads(golden.read_text())["settings"]))
            environment = {"RINGRIFT_CLUSTER_AUTH_TOKEN": "5a" * 32}
            done = subprocess.run(
                [program, "check-config", "--settings", settings, "--hosts", hosts],
                env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            if done.returncode != 0:
                raise Failed(f"{golden.name}: {done.stdout}")
