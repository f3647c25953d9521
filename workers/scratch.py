"""A worker's directory on this machine, and the sweeping of those that killed workers left."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "orch-worker-"


def directory() -> Path:
    """A new directory, marked with this process; what is left of workers that are gone is removed."""
    _sweep(Path(tempfile.gettempdir()))
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))


def _sweep(place: Path) -> None:
    for left in place.glob(f"{_PREFIX}*-*"):
        owner = left.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not _alive(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, but alive
    return True
