"""File systems of a test's own: small ones that fill up, and one that turns read-only while it is in use."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NoMountError(Exception):
    """This machine, or this user, may not mount."""


def _run(*command: str | Path) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  commands written here
    if result.returncode:
        raise NoMountError(f"{command[0]} says: {result.stderr.strip()}")


def _need_root() -> None:
    if os.geteuid() != 0:
        raise NoMountError("only root may mount")


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """Mount a file system of this size on a new folder; raises NoMountError."""
    _need_root()
    folder.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=0750", "coldchain-test", folder)
    try:
        yield folder
    finally:
        _run("umount", "-l", folder)


def fill(folder: Path) -> Path:
    """Leave no free byte on a disk; deleting the file gives them back."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return filler


class Card:
    """An ext4 file system in a file, mounted on a folder: it can fail like a worn card."""

    def __init__(self, image: Path, folder: Path) -> None:
        _need_root()
        self._image, self._folder = image, folder
        with image.open("wb") as file:
            file.truncate(32 << 20)
        if shutil.which("mkfs.ext4") is None:
            raise NoMountError("there is no mkfs.ext4")
        _run("mkfs.ext4", "-q", "-m", "0", image)
        folder.mkdir()
        self.mount()

    def mount(self) -> None:
        """Mount it, repaired as a machine does at its start."""
        subprocess.run(["e2fsck", "-p", self._image], capture_output=True, check=False)  # noqa: S603, S607  the system's own
        _run("mount", "-o", "loop", self._image, self._folder)

    def abort(self) -> None:
        """Have the kernel do what it does after an error: no more writing, whoever has files open."""
        _run("mount", "-o", "remount,abort", self._folder)

    def unmount(self) -> None:
        """Take it out."""
        _run("umount", self._folder)
