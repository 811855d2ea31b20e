"""What every QEMU machine boots: the base tree as a disk, its kernel, and an initrd that lays a machine's layers together."""

import fcntl
import hashlib
import lzma
import stat
from dataclasses import dataclass
from pathlib import Path

from . import disk

# What the initrd needs and Debian's cloud kernel has not built in. ext4, virtio-pci and virtio-serial are.
MODULES = ["virtio_blk", "virtio_net", "overlay"]
# The kernel hands `machine_address` and `machine_lower` of its command line to init as variables.
INIT = """#!/bin/sh
set -e
b=/bin/busybox
$b mount -t devtmpfs devtmpfs /dev
for module in $($b cat /modules/order); do
  $b insmod /modules/$module
done
$b ip link set eth0 name eth1
$b ip address add $machine_address dev eth1
$b ip link set eth1 up
lower=
for disk in $machine_lower; do
  $b mkdir /lower/$disk
  $b mount -t ext4 -o ro /dev/$disk /lower/$disk
  lower=$lower${lower:+:}/lower/$disk
done
$b mount -t ext4 /dev/vda /own
$b mount -t overlay -o lowerdir=$lower,upperdir=/own/upper,workdir=/own/work root /root
$b umount /dev
unset machine_address machine_lower
exec $b switch_root /root /sbin/init
"""
FOLDERS = ["bin", "dev", "lower", "modules", "own", "root"]


@dataclass(frozen=True)
class Image:
    """Files that all machines share and none writes."""

    kernel: Path
    initrd: Path
    disk: Path


def machine_image(cache: Path, tree: Path) -> Image:
    """The image of this base tree; builds it when it is not there yet. Concurrent runs wait for each other."""
    recipe = Path(__file__).read_bytes() + Path(disk.__file__).read_bytes()
    key = hashlib.sha256(recipe).hexdigest()[:12]
    folder = cache / f"{tree.name}-qemu-{key}"
    image = Image(next((tree / "boot").glob("vmlinuz-*")), folder / "initrd", folder / "base.img")
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.disk.exists():
            folder.mkdir(exist_ok=True)
            image.initrd.write_bytes(initrd(tree))
            disk.make_disk(image.disk, tree, 0)
    return image


def initrd(tree: Path) -> bytes:
    """A cpio archive, not compressed: unpacking would take the emulated processor longer than reading."""
    modules = needed_modules(next((tree / "usr/lib/modules").iterdir()))
    files = {f"modules/{name}": content for name, content in modules.items()}
    files["modules/order"] = "\n".join(modules).encode()
    entries = [cpio_entry(name, stat.S_IFDIR | 0o755, b"") for name in FOLDERS]
    entries += [cpio_entry(name, stat.S_IFREG | 0o644, content) for name, content in files.items()]
    entries += [
        cpio_entry("bin/busybox", stat.S_IFREG | 0o755, (tree / "usr/bin/busybox").read_bytes()),
        cpio_entry("bin/sh", stat.S_IFLNK | 0o777, b"busybox"),
        cpio_entry("init", stat.S_IFREG | 0o755, INIT.encode()),
        cpio_entry("TRAILER!!!", 0, b""),
    ]
    return b"".join(entries)


def needed_modules(folder: Path) -> dict[str, bytes]:
    """The modules and what they depend on, in the order in which they can be loaded, unpacked."""
    lines = (line.partition(":") for line in (folder / "modules.dep").read_text().splitlines())
    depends = {path: needs.split() for path, _, needs in lines}
    ordered: dict[str, bytes] = {}
    for name in MODULES:
        path = next(path for path in depends if Path(path).name == f"{name}.ko.xz")
        # depmod lists what a module needs from the nearest to the farthest.
        for each in [*reversed(depends[path]), path]:
            ordered.setdefault(Path(each).stem, lzma.decompress((folder / each).read_bytes()))
    return ordered


def cpio_entry(name: str, mode: int, content: bytes) -> bytes:
    """One file in the format of the kernel's Documentation/driver-api/early-userspace/buffer-format.rst."""
    # inode, mode, uid, gid, links, mtime, size, device (2), device of a node (2), length of the name, checksum
    fields = [0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return padded(header + name.encode() + b"\0") + padded(content)


def padded(part: bytes) -> bytes:
    """Filled up to a multiple of four bytes."""
    return part + bytes(-len(part) % 4)
