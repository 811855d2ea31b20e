"""A machine in systemd-nspawn: it boots in a second, on the host's kernel, whose cgroup controllers it may not have."""

import os
import shlex
import signal
import socket
import subprocess
import time
from pathlib import Path

from .machine import ENVIRONMENT, PATH, Machine, MachineError, Overrun, Ran
from .network import Network
from .sandbox import run

BOOT_SECONDS = 60
SHUTDOWN_SECONDS = 60


class NspawnMachine(Machine):
    """Boots from the layers below, with everything it writes kept in memory."""

    def __init__(self, name: str, layers: list[Path], home: Path, network: Network, cgroup: Path, verbose: bool) -> None:
        super().__init__(name, home, network, verbose)
        self._cgroup = cgroup / name
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0
        for part in ("upper", "work", "root"):
            (home / part).mkdir(parents=True)
        lower = ":".join(str(layer) for layer in layers)
        options = f"lowerdir={lower},upperdir={home}/upper,workdir={home}/work"
        run("mount", "-t", "overlay", "-o", options, f"vm-{name}", str(self.root))
        self._write_identity()

    def start(self, allow_reboot: bool = False) -> None:
        if self._nspawn is not None:
            return
        self._cgroup.mkdir(exist_ok=True)
        notify = self._home / "notify"
        notify.unlink(missing_ok=True)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(notify))
        self._notify.settimeout(BOOT_SECONDS)
        command = [
            "systemd-nspawn",
            "--boot",
            "--quiet",
            "--register=no",
            "--keep-unit",
            "--settings=no",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            "--notify-ready=yes",
            "--console=read-only",
            f"--machine={self.name}",
            f"--directory={self.root}",
            f"--network-namespace-path={self.network.attach(self.name)}",
            # The namespace is the machine's own, which nspawn does not know of one that it was given.
            "--capability=CAP_NET_ADMIN",
        ]
        # The shell enters the cgroup, nspawn makes its own two below it and hands one to the machine.
        script = f"echo $$ > {shlex.quote(str(self._cgroup / 'cgroup.procs'))} && exec {shlex.join(command)}"
        self._booting = time.monotonic()
        with open(self.console, "ab") as console:
            self._nspawn = subprocess.Popen(
                ["sh", "-c", script],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={"PATH": PATH, "NOTIFY_SOCKET": str(notify)},
                start_new_session=True,
            )

    def wait_until_booted(self) -> None:
        if self._nspawn is None:
            self.start()
        while self.boot_seconds is None:
            try:
                message = self._notify.recv(4096).decode()
            except TimeoutError:
                raise MachineError(
                    f"{self.name} did not boot in {BOOT_SECONDS} s; its console is in {self.console}"
                ) from None
            for line in message.splitlines():
                key, _, value = line.partition("=")
                if key == "X_NSPAWN_LEADER_PID":
                    self._leader = int(value)
                if line == "READY=1":
                    self.boot_seconds = time.monotonic() - self._booting

    def is_up(self) -> bool:
        return self._nspawn is not None

    def discard(self) -> None:
        self._end(signal.SIGKILL)

    def _shut_down(self) -> None:
        # SIGTERM makes nspawn ask the machine's systemd to power off.
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._nspawn is None:
            return
        if how == signal.SIGKILL:
            self.network.unplug(self.name)
            if self._leader:
                # nspawn alone would leave its payload; the machine's process 1 takes everything with it.
                os.kill(self._leader, signal.SIGKILL)
        os.kill(self._nspawn.pid, how)
        try:
            self._nspawn.wait(timeout=SHUTDOWN_SECONDS)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            raise MachineError(f"{self.name} did not shut down in {SHUTDOWN_SECONDS} s") from None
        finally:
            self._nspawn, self._leader, self.boot_seconds = None, 0, None
            self._notify.close()
            self.network.detach(self.name)

    def _run(self, script: str, timeout: int | None) -> Ran:
        program = ["nsenter", f"--target={self._leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        program += ["--root", "--", "/usr/bin/env", "-i", "--chdir=/"]
        program += [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        process = subprocess.Popen(
            [*program, "bash", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise Overrun from None
        return Ran(process.returncode, output, errors)

    def copy_from_host(self, source: str, target: str) -> None:
        self.wait_until_booted()
        # Through the machine's own root, so that what it has mounted counts.
        path = f"/proc/{self._leader}/root/{target.lstrip('/')}"
        run("mkdir", "-p", str(Path(path).parent))
        run("cp", "--recursive", "--no-target-directory", source, path)

    def journal(self) -> str:
        return run("journalctl", f"--directory={self.root}/var/log/journal", "--output=short-precise", check=False)
