"""The host's end of the serial ports over which a QEMU machine is told what to do; `guest_shell.bash` is the other end."""

import base64
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .machine import MachineError, Overrun, Ran

GUEST = Path(__file__).parent / "guest_shell.bash"
# Where the guest has what is sent by `send_file`.
FILES_PORT = "/dev/vport0p2"
# So long may an emulated machine on a busy host take to end a command, or to take some of a file.
SILENCE_SECONDS = 60


class Shell:
    """Lives as long as one run of the machine. Commands run one after the other.

    A machine that has ended fails what is asked of it, however early that is seen:

    >>> shell = Shell()
    >>> shell.handed_over()
    >>> shell.run("true", 1)
    Traceback (most recent call last):
    driver.machine.MachineError: the machine has ended by itself; its console says why
    >>> shell.close()
    """

    def __init__(self) -> None:
        self._commands, self._guest_commands = socket.socketpair()
        self._files, self._guest_files = socket.socketpair()
        self._received = b""
        self._number = 0

    def arguments(self) -> list[str]:
        """What QEMU is told so that the ports are the guest's /dev/vport0p1 and /dev/vport0p2: before any other device."""
        return [
            *("-device", "virtio-serial-pci"),
            *("-chardev", f"socket,id=commands,fd={self._guest_commands.fileno()}"),
            *("-device", "virtserialport,chardev=commands,nr=1"),
            *("-chardev", f"socket,id=files,fd={self._guest_files.fileno()}"),
            *("-device", "virtserialport,chardev=files,nr=2"),
        ]

    def guest_descriptors(self) -> list[int]:
        """What QEMU must inherit for these arguments."""
        return [self._guest_commands.fileno(), self._guest_files.fileno()]

    def handed_over(self) -> None:
        """To be called when QEMU runs: from then on its end is seen here."""
        self._guest_commands.close()
        self._guest_files.close()

    def wait_until_ready(self, seconds: float) -> None:
        """Returns when the guest listens. Raises TimeoutError."""
        until = deadline(seconds)
        while self._line(until) != b"ready":
            pass

    def run(self, script: str, timeout: float | None) -> Ran:
        """Runs a bash script to its end, or ends it and raises Overrun."""
        self.send(script)
        try:
            return self.answer(timeout)
        except TimeoutError:
            self._kill()
            raise Overrun from None

    def send(self, script: str) -> None:
        """Starts a bash script."""
        self._number += 1
        self._send(b"run %d %s\n" % (self._number, base64.b64encode(script.encode())))

    def answer(self, timeout: float | None) -> Ran:
        """What the last script left. Raises TimeoutError when it still runs after so many seconds."""
        status, *texts = self._fields(deadline(timeout))
        return Ran(int(status), *(base64.b64decode(text) for text in texts))

    def send_file(self, file: Path) -> None:
        """Sends a file's content to FILES_PORT, where a script waits for it."""
        self._files.settimeout(SILENCE_SECONDS)
        with open(file, "rb") as content, telling_its_end():
            self._files.sendfile(content)

    def close(self) -> None:
        self._commands.close()
        self._files.close()

    def _send(self, line: bytes) -> None:
        with telling_its_end():
            self._commands.sendall(line)

    def _kill(self) -> None:
        self._send(b"kill %d\n" % self._number)
        until = deadline(SILENCE_SECONDS)
        try:
            # Its own answer may have been quicker.
            while self._fields(until) != [b"killed"]:
                pass
        except TimeoutError:
            raise MachineError(f"the machine does not even end a command in {SILENCE_SECONDS} s") from None

    def _fields(self, until: float | None) -> list[bytes]:
        """The next answer to the last script; what came of an earlier one is too late."""
        while True:
            number, *fields = self._line(until).split(b" ")
            if number == b"%d" % self._number:
                return fields

    def _line(self, until: float | None) -> bytes:
        while b"\n" not in self._received:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError
            self._commands.settimeout(left)
            with telling_its_end():
                received = self._commands.recv(1 << 16)
                if not received:
                    raise ConnectionResetError
            self._received += received
        line, _, self._received = self._received.partition(b"\n")
        return line


@contextmanager
def telling_its_end() -> Iterator[None]:
    """Turns what a closed port gives into a MachineError: QEMU closes it only when it ends."""
    try:
        yield
    except (BrokenPipeError, ConnectionResetError):
        raise MachineError("the machine has ended by itself; its console says why") from None


def deadline(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds
