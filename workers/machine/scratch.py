"""A worker's scratch directory on this machine, which is its own for as long as it holds the lock on it.

A process id would not tell whose a directory is: containers may share one /tmp, and each counts its processes by
itself.  The lock (flock(2), on the directory itself) is the kernel's: every process that sees the directory sees it,
and it ends with its holder, however that dies.  systemd's cleaner of /tmp leaves a locked directory alone, too.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from orchestrator.errors import DiskError

# Not "orch-worker-": by that name an older Orch, which holds no lock, may be at work.
_PREFIX = "orch-scratch-"


class FilesLost(DiskError):
    """Files of a worker's own directory are gone: somebody has cleaned it.  This costs the job at hand and no more."""


class Scratch:
    """A directory that only this user can look into, gone with its worker: at its end, or when the next one begins."""

    def __init__(self) -> None:
        """Raises DiskError if no directory can be had."""
        self.path, self._lock = _made()
        _sweep(self.path.parent)

    def is_there(self) -> bool:
        """Whether the directory that this worker made is still there."""
        return _is_at(self.path, self._lock)

    def replace(self) -> None:
        """Make another directory, in place of one that somebody has deleted.  Raises DiskError."""
        made = _made()
        os.close(self._lock)
        self.path, self._lock = made

    def remove(self) -> None:
        if self.is_there():
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _made() -> tuple[Path, int]:
    """A new directory, and the descriptor that holds its lock."""
    while True:
        try:
            path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        except OSError as error:
            raise DiskError(
                f"This worker has no place for its files: {error}; free some space, or name another place in TMPDIR."
            ) from error
        try:
            descriptor = _opened(path)
        except FileNotFoundError:
            continue  # swept before it could be locked
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)  # being swept
            continue
        except OSError:
            # A file system without locks: nobody can sweep here either, so that nothing is ever taken from its owner.
            return path, descriptor
        if _is_at(path, descriptor):
            return path, descriptor
        os.close(descriptor)


def _sweep(place: Path) -> None:
    """Remove what dead workers of this user left; what cannot be locked is in use, or cannot be told dead."""
    for left in place.glob(f"{_PREFIX}*"):
        try:
            descriptor = _opened(left)
        except OSError:
            continue
        try:
            if os.fstat(descriptor).st_uid == os.geteuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
        except OSError:
            continue
        finally:
            os.close(descriptor)


def _opened(directory: Path) -> int:
    return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False
