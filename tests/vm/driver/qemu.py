"""A machine in QEMU, by software emulation: ten times slower, with a kernel of its own in which every limit is real."""

import os
import shlex
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

from .disk import MIB, make_disk, read_folder
from .image import Image
from .machine import ENVIRONMENT, Machine, MachineError, Overrun, Ran
from .network import Network
from .sandbox import run
from .shell import FILES_PORT, GUEST, Shell

MEMORY_MIB = 1024
DISK_BYTES = 2048 * MIB
# A boot takes 22 s of CPU time on two processors: 12 s on an idle host, ten times as long on a crowded one.
BOOT_SECONDS = 300
SHUTDOWN_SECONDS = 120
COPY_SECONDS = 120
# Without the old interval timer: on a busy host a kernel that measures its clock by it is wrong by a factor of three.
MACHINE = "q35,accel=tcg,pit=off"
KERNEL_OPTIONS = [
    "console=ttyS0",
    "quiet",
    # The machine ends, and the driver sees it.
    "panic=-1",
    # They cost time, and there is nobody to protect from.
    "mitigations=off",
    # A host that lets the machine wait is no fault of its clock or of its kernel.
    "tsc=reliable",
    "nowatchdog",
    "rcupdate.rcu_cpu_stall_suppress=1",
]
# Mounts and modules that Debian wants at every boot and nothing here uses: two of nine seconds.
MASKED = [
    "dev-hugepages.mount",
    "modprobe@configfs.service",
    "modprobe@drm.service",
    "modprobe@efi_pstore.service",
    "modprobe@fuse.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
]
# Not below /usr: a newer /usr makes systemd rebuild its caches at boot.
SHELL_PATH = "/etc/driver-shell"
SHELL_UNIT = f"""\
[Unit]
Description=Commands of the test driver
# Early, so that it answers while the rest boots, or hangs.
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target

[Service]
ExecStart=/usr/bin/env -i {" ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())} bash {SHELL_PATH}
"""
UNITS = "etc/systemd/system"


class QemuMachine(Machine):
    """Boots from the image, with what it writes on a disk of its own, which is a sparse file in memory."""

    def __init__(self, name: str, image: Image, layers: list[Path], home: Path, network: Network, verbose: bool) -> None:
        super().__init__(name, home, network, verbose)
        self._image = image
        self._layers = [*layers, image.disk]
        self._disk = home / "disk.img"
        self._qemu: subprocess.Popen[bytes] | None = None
        # The upper layer of the machine's overlay; it becomes the disk when the machine is started.
        self._content = home / "disk"
        self.root = self._content / "upper"
        for part in ("upper", "work"):
            (self._content / part).mkdir(parents=True)
        self._write_identity()
        self._write(SHELL_PATH.lstrip("/"), GUEST.read_text())
        self._write(f"{UNITS}/driver-shell.service", SHELL_UNIT)
        self._link(f"{UNITS}/multi-user.target.wants/driver-shell.service", "../driver-shell.service")
        for unit in MASKED:
            self._link(f"{UNITS}/{unit}", "/dev/null")

    def start(self, allow_reboot: bool = False) -> None:
        if self._qemu is not None:
            return
        if not self._disk.exists():
            make_disk(self._disk, self._content, DISK_BYTES)
            shutil.rmtree(self._content)
        self._shell = Shell()
        self._booting = time.monotonic()
        with open(self.console, "ab") as console:
            self._qemu = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                pass_fds=self._shell.guest_descriptors(),
                start_new_session=True,
            )
        self._shell.handed_over()

    def _command(self) -> list[str]:
        # The machine's own disk is the first, /dev/vda.
        disks = [f"file={self._disk},cache=unsafe", *(f"file={layer},readonly=on" for layer in self._layers)]
        lower = " ".join(f"vd{letter}" for letter, _ in zip("bcdefgh", self._layers))
        address = f"{self.network.addresses[self.name]}/24"
        kernel_options = [*KERNEL_OPTIONS, f"machine_address={address}", f'machine_lower="{lower}"']
        command = ["qemu-system-x86_64", "-machine", MACHINE, "-cpu", "max", "-smp", "2", "-m", f"{MEMORY_MIB}M"]
        command += ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"]
        command += ["-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd)]
        command += ["-append", " ".join(kernel_options)]
        command += self._shell.arguments()
        for disk in disks:
            command += ["-drive", f"if=virtio,format=raw,{disk}"]
        return command + self.network.attach_tap(self.name)

    def wait_until_booted(self) -> None:
        if self._qemu is None:
            self.start()
        if self.boot_seconds is not None:
            return
        until = self._booting + BOOT_SECONDS
        try:
            self._shell.wait_until_ready(until - time.monotonic())
            self._shell.run("systemctl is-system-running --wait", until - time.monotonic())
        except (TimeoutError, Overrun):
            raise MachineError(
                f"{self.name} did not boot in {BOOT_SECONDS} s; its console is in {self.console}"
            ) from None
        self.boot_seconds = time.monotonic() - self._booting

    def is_up(self) -> bool:
        return self._qemu is not None

    def discard(self) -> None:
        if self._qemu is not None:
            self._qemu.kill()
            self._ended()

    def _shut_down(self) -> None:
        if self._qemu is None:
            return
        self.wait_until_booted()
        # No answer is waited for: the shell ends with the machine.
        self._shell.send("systemctl poweroff")
        try:
            self._qemu.wait(timeout=SHUTDOWN_SECONDS)
        except subprocess.TimeoutExpired:
            self._qemu.kill()
            raise MachineError(f"{self.name} did not shut down in {SHUTDOWN_SECONDS} s") from None
        finally:
            self._ended()

    def _ended(self) -> None:
        if self._qemu is not None:
            self._qemu.wait()
        self._qemu, self.boot_seconds = None, None
        self._shell.close()
        self.network.detach_tap(self.name)

    def _run(self, script: str, timeout: int | None) -> Ran:
        return self._shell.run(script, timeout)

    def copy_from_host(self, source: str, target: str) -> None:
        self.wait_until_booted()
        folder, name = os.path.split(target)
        with tempfile.NamedTemporaryFile(dir=self._home) as archive:
            with tarfile.open(fileobj=archive, mode="w") as files:
                files.add(source, arcname=name, filter=owned_by_root)
            archive.flush()
            size = os.path.getsize(archive.name)
            folder = shlex.quote(folder)
            self._shell.send(
                f"set -o pipefail; mkdir -p {folder}; "
                # All of it is read, so that the next copy begins at its own beginning.
                f"head --bytes={size} {FILES_PORT} | {{ tar --extract --directory={folder} || {{ cat > /dev/null; false; }}; }}"
            )
            self._shell.send_file(Path(archive.name))
            ran = self._shell.answer(COPY_SECONDS)
        if ran.status != 0:
            raise MachineError(f"{self.name}: cannot copy to {target}: {ran.errors.decode(errors='replace')}")

    def journal(self) -> str:
        """As it is on the disk: `journalctl --sync; sync` on the machine brings it there."""
        if not self._disk.exists():
            return ""
        with tempfile.TemporaryDirectory(dir=self._home) as folder:
            # The disk of a machine that is up must not change while it is copied.
            self._signal(signal.SIGSTOP)
            try:
                read_folder(self._disk, "/upper/var/log/journal", Path(folder))
            finally:
                self._signal(signal.SIGCONT)
            return run("journalctl", f"--directory={folder}/journal", "--output=short-precise", check=False)

    def _signal(self, number: signal.Signals) -> None:
        if self._qemu is not None:
            os.kill(self._qemu.pid, number)

    def _link(self, path: str, target: str) -> None:
        """Makes a symbolic link before the machine boots."""
        link = self.root / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def owned_by_root(file: tarfile.TarInfo) -> tarfile.TarInfo:
    file.uid = file.gid = 0
    file.uname = file.gname = "root"
    return file
