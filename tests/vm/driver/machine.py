"""One machine, with the methods of the NixOS test driver's `Machine` that our scenarios use.

https://nixos.org/manual/nixos/stable/#ssec-machine-objects describes them; a scenario that uses only these runs there
unchanged. What waits here asks again every tenth of a second, where NixOS asks every second.

What a machine is made of is said by `nspawn.py` and `qemu.py`; here is what a scenario can ask of either.
"""

import shlex
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .network import Network

# As in the NixOS driver; a scenario that knows better says so.
TIMEOUT = 900
POLL = 0.1
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Commands find these variables and no others.
ENVIRONMENT = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}


class MachineError(Exception):
    """What a scenario expected of a machine did not happen."""


class Overrun(Exception):
    """A command did not end in its time, and was ended."""


class Ran(NamedTuple):
    """What a command left behind."""

    status: int
    output: bytes
    errors: bytes


class Machine(ABC):
    """A Debian system. What it writes outlives a shutdown and a crash, and ends with its scenario."""

    def __init__(self, name: str, home: Path, network: Network, verbose: bool) -> None:
        self.name = name
        self.network = network
        self.verbose = verbose
        # Files that are written below it before the first start are on the machine's disk.
        self.root = home / "root"
        self.console = home / "console.log"
        self.boot_seconds: float | None = None
        self._home = home
        self._errors = ""

    # --- power -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def start(self, allow_reboot: bool = False) -> None:
        """Starts the machine without waiting for it; the first command does."""

    @abstractmethod
    def wait_until_booted(self) -> None:
        """Returns when the machine's systemd has reached its default target."""

    @abstractmethod
    def is_up(self) -> bool:
        """Whether it was started and not ended since."""

    @abstractmethod
    def discard(self) -> None:
        """Ends the machine at the end of its scenario."""

    @abstractmethod
    def _shut_down(self) -> None:
        """Returns when the machine has shut itself down."""

    def crash(self) -> None:
        """Cuts the power."""
        self.log("crash")
        self.discard()

    def shutdown(self) -> None:
        """Shuts the machine down in good order and waits until it is off."""
        self.log("shutdown")
        self._shut_down()

    def reboot(self) -> None:
        """Shuts down and starts again."""
        self.shutdown()
        self.start()

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
        try:
            ran = self._run(f"set -euo pipefail; {command}", timeout)
        except Overrun:
            raise MachineError(f"{self.name}: `{command}` ran for more than {timeout} s") from None
        if self.verbose:
            self.log(f"[{ran.status}] {command}")
        self._errors = ran.errors.decode(errors="replace")
        return ran.status, ran.output.decode(errors="replace")

    @abstractmethod
    def _run(self, script: str, timeout: int | None) -> Ran:
        """Runs a bash script as root in `/`, or ends it and raises Overrun."""

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

    @abstractmethod
    def copy_from_host(self, source: str, target: str) -> None:
        """Copies a file or a folder of the host into the machine."""

    def _write_identity(self) -> None:
        """Writes what makes this machine another than the next; before the first boot."""
        self._write("etc/hostname", f"{self.name}\n")
        self._write("etc/hosts", self.network.hosts_file())
        # An empty one would make systemd think that this is the image's first boot ever.
        self._write("etc/machine-id", f"{uuid.uuid4().hex}\n")
        # The journal outlives a crash of the machine.
        (self.root / "var/log/journal").mkdir(parents=True, exist_ok=True)

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

    @abstractmethod
    def journal(self) -> str:
        """The whole journal, of a machine that is up or down."""

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
