"""Disks that can be filled and made read-only for a while: small file systems, where they may be mounted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fast_motion.schedule import Missed

_ISOLATED = "ORCH_CAMPAIGN_HAS_ITS_OWN_MOUNTS"
_SMALL_BYTES = 64 << 20


def isolate() -> None:
    """Begin this program again with mounts of its own, which end with it, if this user may have such."""
    unshare = shutil.which("unshare")
    if _ISOLATED in os.environ or unshare is None:
        return
    if subprocess.run([unshare, "--mount", "true"], capture_output=True).returncode == 0:
        os.environ[_ISOLATED] = "1"
        os.execv(unshare, [unshare, "--mount", sys.executable, *sys.argv])


class Disk:
    """A disk with one directory on it.  Without a file system of its own it can be made read-only, and not filled."""

    def __init__(self, root: Path, *, mounted: bool) -> None:
        self.directory = root / "disk"
        self._ballast = root / "ballast"
        self._mounted = mounted
        self._protected = False
        self.directory.mkdir()

    def fill(self) -> None:
        """Take all that is left of it.  Raises Missed where that cannot be done."""
        if not self._mounted or self._ballast.exists():
            raise Missed
        with self._ballast.open("wb", buffering=0) as ballast:
            for size in (1 << 20, 1 << 12):
                with suppress(OSError):
                    while ballast.write(bytes(size)) == size:
                        pass

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def protect(self) -> None:
        """Have it take no writing, but by who has a file open already.  Raises Missed where that cannot be done."""
        if self._protected or (not self._mounted and os.geteuid() == 0):  # root may write anywhere
            raise Missed
        if self._mounted:
            self._mount_read_only()
        else:
            self._allow(0o555)
        self._protected = True

    def _mount_read_only(self) -> None:
        """Over itself: the file system cannot be while files are open for writing."""
        _mount("--bind", self.directory, self.directory)
        try:
            _mount("-o", "remount,bind,ro", self.directory)
        except subprocess.CalledProcessError as error:
            _umount(self.directory)
            raise Missed from error  # somebody has opened a file for writing since

    def release(self) -> None:
        self._protected = False
        if self._mounted:
            _umount(self.directory)
        else:
            self._allow(0o755)

    def _allow(self, mode: int) -> None:
        for directory in (self.directory, *(path for path in self.directory.rglob("*") if path.is_dir())):
            directory.chmod(mode)


@contextmanager
def small_disk(root: Path) -> Iterator[Disk]:
    """A disk at a new directory, on a file system of its own if this program has mounts of its own."""
    root.mkdir(parents=True)
    if _ISOLATED not in os.environ:
        yield Disk(root, mounted=False)
        return
    _mount("-t", "tmpfs", "-o", f"size={_SMALL_BYTES}", "tmpfs", root)
    try:
        yield Disk(root, mounted=True)
    finally:
        _umount(root)


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def _umount(point: Path) -> None:
    """Files that are open stay so."""
    subprocess.run(["umount", "--lazy", point], check=True, capture_output=True)
