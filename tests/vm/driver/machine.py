"""One machine, with the methods of the NixOS test driver's `Machine` that our scenarios use.

https://nixos.org/manual/nixos/stable/#ssec-machine-objects describes them; a scenario that uses only these runs there
unchanged. What waits here asks again every tenth of a second, where NixOS asks every second.
"""

import os
import shlex
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from .network import Network
from .sandbox import run

# As in the NixOS driver; a scenario that knows better says so.
TIMEOUT = 900
POLL = 0.1
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class MachineError(Exception):
    """What a scenario expected of a machine did not happen."""


class Machine:
    """A Debian system that boots from the layers below with everything it writes kept in memory."""

    def __init__(self, name: str, layers: list[Path], home: Path, network: Network, cgroup: Path, verbose: bool) -> None:
        self.name = name
        self.network = network
        self.verbose = verbose
        self.root = home / "root"
        self.console = home / "console.log"
        self.boot_seconds: float | None = None
        self._cgroup = cgroup / name
        self._home = home
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0
        for part in ("upper", "work", "root"):
            (home / part).mkdir(parents=True)
        lower = ":".join(str(layer) for layer in layers)
        options = f"lowerdir={lower},upperdir={home}/upper,workdir={home}/work"
        run("mount", "-t", "overlay", "-o", options, f"vm-{name}", str(self.root))
        self._write("etc/hostname", f"{name}\n")
        self._write("etc/hosts", network.hosts_file())
        # An empty one would make systemd think that this is the image's first boot ever.
        self._write("etc/machine-id", f"{uuid.uuid4().hex}\n")
        # The journal outlives a crash of the machine.
        (self.root / "var/log/journal").mkdir(parents=True, exist_ok=True)

    # --- power -------------------------------------------------------------------------------------------------------

    def start(self, allow_reboot: bool = False) -> None:
        """Starts the machine without waiting for it; the first command does."""
        if self._nspawn is not None:
            return
        self._cgroup.mkdir(exist_ok=True)
        notify = self._home / "notify"
        notify.unlink(missing_ok=True)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(notify))
        self._notify.settimeout(60)
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
        """Returns when the machine's systemd has said that its default target is reached."""
        if self._nspawn is None:
            self.start()
        while self.boot_seconds is None:
            try:
                message = self._notify.recv(4096).decode()
            except TimeoutError:
                raise MachineError(f"{self.name} did not boot in 60 s; its console is in {self.console}") from None
            for line in message.splitlines():
                key, _, value = line.partition("=")
                if key == "X_NSPAWN_LEADER_PID":
                    self._leader = int(value)
                if line == "READY=1":
                    self.boot_seconds = time.monotonic() - self._booting

    def crash(self) -> None:
        """Cuts the power."""
        self.log("crash")
        self._end(signal.SIGKILL)

    def shutdown(self) -> None:
        """Shuts the machine down in good order and waits until it is off."""
        self.log("shutdown")
        # SIGTERM makes nspawn ask the machine's systemd to power off.
        self._end(signal.SIGTERM)

    def reboot(self) -> None:
        """Shuts down and starts again."""
        self.shutdown()
        self.start()

    def discard(self) -> None:
        """Ends the machine at the end of its scenario."""
        self._end(signal.SIGKILL)

    def is_up(self) -> bool:
        """Whether it was started and not ended since."""
        return self._nspawn is not None

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
            self._nspawn.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            raise MachineError(f"{self.name} did not shut down in 60 s") from None
        finally:
            self._nspawn, self._leader, self.boot_seconds = None, 0, None
            self._notify.close()
            self.network.detach(self.name)

    # --- the cable ---------------------------------------------------------------------------------------------------

    def block(self) -> None:
        """Cuts the machine off: what it sends and what is sent to it vanishes."""
        self.log("blocked")
        self.network.block(self.name)

    def unblock(self) -> None:
        """Ends `block`."""
        self.log("unblocked")
        self.network.unblock(self.name)

    # --- commands ----------------------------------------------------------------------------------------------------

    def execute(
        self, command: str, check_return: bool = True, check_output: bool = True, timeout: int | None = TIMEOUT
    ) -> tuple[int, str]:
        """Runs a bash command as root and returns its exit status and standard output."""
        self.wait_until_booted()
        program = ["nsenter", f"--target={self._leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        program += ["--root", "--", "/usr/bin/env", "-i", "--chdir=/", f"PATH={PATH}", "HOME=/root", "LANG=C.UTF-8"]
        program += ["bash", "-c", f"set -euo pipefail; {command}"]
        process = subprocess.Popen(
            program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, errors = process.communicate()
            raise MachineError(f"{self.name}: `{command}` ran for more than {timeout} s") from None
        if self.verbose:
            self.log(f"[{process.returncode}] {command}")
        self._errors = errors.decode(errors="replace")
        return process.returncode, output.decode(errors="replace")

    def succeed(self, *commands: str, timeout: int | None = None) -> str:
        """Runs the commands, each of which must succeed, and returns what they wrote to standard output."""
        output = ""
        for command in commands:
            status, text = self.execute(command, timeout=timeout or TIMEOUT)
            if status != 0:
                raise MachineError(
                    f"{self.name}: `{command}` failed with exit status {status}\n{text}{self._errors}".rstrip()
                )
            output += text
        return output

    def fail(self, *commands: str, timeout: int | None = None) -> str:
        """Like `succeed`, but each must fail."""
        output = ""
        for command in commands:
            status, text = self.execute(command, timeout=timeout or TIMEOUT)
            if status == 0:
                raise MachineError(f"{self.name}: `{command}` succeeded unexpectedly\n{text}".rstrip())
            output += text
        return output

    def wait_until_succeeds(self, command: str, timeout: int = TIMEOUT) -> str:
        """Repeats the command until it succeeds."""
        return self._repeat(command, timeout, "fails", lambda status: status == 0)

    def wait_until_fails(self, command: str, timeout: int = TIMEOUT) -> str:
        """Repeats the command until it fails."""
        return self._repeat(command, timeout, "succeeds", lambda status: status != 0)

    def _repeat(self, command: str, timeout: int, still: str, done: Callable[[int], bool]) -> str:
        last = ""

        def attempt(_last_try: bool) -> bool:
            nonlocal last
            status, last = self.execute(command, timeout=timeout)
            return done(status)

        try:
            retry(attempt, timeout)
        except TimeoutError:
            text = f"{self.name}: after {timeout} s `{command}` still {still}\n{last}{self._errors}"
            raise MachineError(text.rstrip()) from None
        return last

    # --- units -------------------------------------------------------------------------------------------------------

    def systemctl(self, query: str, user: str | None = None) -> tuple[int, str]:
        """Runs `systemctl QUERY`. There are no user sessions on these machines."""
        assert user is None, "no user sessions here"
        return self.execute(f"systemctl {query}")

    def get_unit_info(self, unit: str, user: str | None = None) -> dict[str, str]:
        """Everything that `systemctl show` knows about the unit."""
        status, text = self.systemctl(f"--no-pager show {shlex.quote(unit)}", user)
        if status != 0:
            raise MachineError(f"{self.name}: systemctl show {unit}: exit status {status}")
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def get_unit_property(self, unit: str, name: str, user: str | None = None) -> str:
        """One property of a unit, as `systemctl show` prints it."""
        info = self.get_unit_info(unit, user)
        if name not in info:
            raise MachineError(f"{self.name}: {unit} has no property {name}")
        return info[name]

    def require_unit_state(self, unit: str, require_state: str = "active") -> None:
        """Fails unless the unit is in this state now."""
        state = self.get_unit_property(unit, "ActiveState")
        if state != require_state:
            raise MachineError(f"{self.name}: {unit} is {state}, expected {require_state}")

    def wait_for_unit(self, unit: str, user: str | None = None, timeout: int = TIMEOUT) -> None:
        """Waits until the unit is active. One that failed, or that nothing is about to start, fails at once."""

        def active(_last_try: bool) -> bool:
            info = self.get_unit_info(unit, user)
            state = info["ActiveState"]
            if state == "failed":
                raise MachineError(f"{self.name}: {unit} failed: {info['Result']}")
            if state == "inactive" and not self._has_jobs():
                info = self.get_unit_info(unit, user)
                if info["ActiveState"] == "inactive":
                    raise MachineError(f"{self.name}: {unit} is inactive, and nothing is about to start it")
            return info["ActiveState"] == "active"

        self._wait(active, timeout, f"{unit} to be active")

    def _has_jobs(self) -> bool:
        return "No jobs" not in self.systemctl("list-jobs --full 2>&1")[1]

    # --- ports and files ---------------------------------------------------------------------------------------------

    def wait_for_open_port(self, port: int, addr: str = "localhost", timeout: int = TIMEOUT) -> None:
        """Waits until something accepts TCP connections there."""
        self._wait(lambda _: self._accepts(addr, port), timeout, f"TCP port {port} on {addr} to open")

    def wait_for_closed_port(self, port: int, addr: str = "localhost", timeout: int = TIMEOUT) -> None:
        """Waits until nothing accepts TCP connections there."""
        self._wait(lambda _: not self._accepts(addr, port), timeout, f"TCP port {port} on {addr} to close")

    def _accepts(self, addr: str, port: int) -> bool:
        return self.execute(f"timeout 5 bash -c ': < /dev/tcp/{addr}/{port}' 2>&1")[0] == 0

    def wait_for_file(self, filename: str, timeout: int = TIMEOUT) -> None:
        """Waits until the file exists."""
        self._wait(lambda _: self.execute(f"test -e {shlex.quote(filename)}")[0] == 0, timeout, f"{filename} to appear")

    def copy_from_host(self, source: str, target: str) -> None:
        """Copies a file or a folder of the host into the machine."""
        self.wait_until_booted()
        # Through the machine's own root, so that what it has mounted counts.
        path = f"/proc/{self._leader}/root/{target.lstrip('/')}"
        run("mkdir", "-p", str(Path(path).parent))
        run("cp", "--recursive", "--no-target-directory", source, path)

    def _write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Writes a file before the machine boots."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(text)
        file.chmod(mode)

    # --- telling -----------------------------------------------------------------------------------------------------

    def log(self, message: str) -> None:
        """Tells the reader of the run."""
        print(f"    {self.name}: {message}", flush=True)

    def journal(self) -> str:
        """The whole journal, of a machine that is up or down."""
        return run("journalctl", f"--directory={self.root}/var/log/journal", "--output=short-precise", check=False)

    def _wait(self, done: Callable[[bool], bool], timeout: int, what: str) -> None:
        try:
            retry(done, timeout)
        except TimeoutError:
            raise MachineError(f"{self.name}: waited {timeout} s for {what}") from None


def retry(done: Callable[[bool], bool], timeout_seconds: int = TIMEOUT) -> None:
    """Calls `done` until it returns true; its argument says whether this is the last try."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if done(False):
            return
        time.sleep(POLL)
    if not done(True):
        raise TimeoutError
