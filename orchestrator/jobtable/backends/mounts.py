"""Which file system a path is on, and whether SQLite's locks hold there."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
"""Linux's table of what is mounted where; elsewhere nothing is known and nothing is refused."""

_NETWORK = frozenset(
    {
        *("9p", "afs", "cifs", "coda", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"),
        *("beegfs", "ceph", "glusterfs", "gpfs", "lustre", "ocfs2", "orangefs", "panfs", "pvfs2", "wekafs"),
        *("prl_fs", "vboxsf", "virtiofs", "vmhgfs"),
    }
)
"""The file systems of networks, of clusters, and of the host of a virtual machine."""


def unsafe_file_system(path: Path, mounts: str) -> str | None:
    """The type of the file system that holds `path`, if SQLite must not be used on it; None if it may.

    Write-ahead logging needs memory that all processes share, and locks that hold; network file systems and FUSE
    (a mounted Google Drive among them) give neither: https://www.sqlite.org/wal.html, "Disadvantages".
    """
    kind = _kind(path, mounts)
    return kind if kind in _NETWORK or kind.partition(".")[0] in ("fuse", "fuseblk") else None


def _kind(path: Path, mounts: str) -> str:
    """The type of the last mount on the longest mount point that the path lies under."""
    found = (-1, "")
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split(" ")
        mounted = Path(_unescaped(point))
        if path.is_relative_to(mounted) and len(mounted.parts) >= found[0]:
            found = (len(mounted.parts), kind)
    return found[1]


def _unescaped(point: str) -> str:
    """Blanks and the like stand as three octal digits: `/my\\040drive`."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point)
