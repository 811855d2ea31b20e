"""Disk images for QEMU machines, written and read without mounting them."""

from pathlib import Path

from .sandbox import run

MIB = 1 << 20


def make_disk(disk: Path, content: Path, spare_bytes: int) -> None:
    """An ext4 image of a folder with room for so many bytes more. It is sparse: room costs nothing before it is used."""
    used = int(run("du", "--summarize", "--block-size=1", str(content)).split()[0])
    # Half as much again is more than any overhead of the file system.
    size_mib = (used + used // 2 + spare_bytes) // MIB + 16
    unfinished = disk.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    # An inode for every 8 KiB: a Debian tree has many small files.
    run("mke2fs", "-q", "-t", "ext4", "-i", "8192", "-d", str(content), str(unfinished), f"{size_mib}M")
    unfinished.rename(disk)


def read_folder(disk: Path, folder: str, target: Path) -> None:
    """Copies a folder out of an image as a machine left it, even by a crash."""
    copy = disk.with_suffix(".copy")
    run("cp", "--sparse=always", str(disk), str(copy))
    try:
        # What the file system's own journal still holds belongs to it. Exit status 1 says that there was something.
        run("e2fsck", "-E", "journal_only", "-y", str(copy), check=False)
        run("debugfs", "-R", f'rdump "{folder}" "{target}"', str(copy))
    finally:
        copy.unlink()
