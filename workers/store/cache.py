"""A cache of inputs on this machine, by their SHA-256: a shard is fetched once, not once a visit."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from models.files import TEMPORARY
from orchestrator.artifacts import ArtifactStore
from orchestrator.jobs import Artifact

_LARGEST_BYTES = 4 << 30
"""Free notebooks have a few tens of gigabytes of disk; the states of a long chain would fill them."""


class InputCache:
    """A directory of files that were checked as they came; the files used least recently are deleted first."""

    def __init__(self, directory: Path, store: ArtifactStore) -> None:
        self._directory = directory
        self._store = store
        self._lock = threading.Lock()

    def path(self, artifact: Artifact, beside: Collection[Artifact] = ()) -> Path:
        """Give the artifact as a file, fetched if need be.  Raises StoreError, ArtifactDamaged, DiskError, OSError.

        Args:
            beside: artifacts that must be here together with it, and so are not deleted for it, however large they are.
        """
        file = self._directory / artifact.sha256
        try:
            os.utime(file)  # used just now
        except FileNotFoundError:
            self._make_room(artifact.size, {other.sha256 for other in beside})
            self._store.fetch(artifact, file)
        return file

    def adopt(self, file: Path, artifact: Artifact) -> None:
        """Take over a file that this machine made itself: the next job of the chain begins with it."""
        self._make_room(artifact.size)
        shutil.move(file, self._directory / artifact.sha256)

    def _make_room(self, size: int, needed: Collection[str] = ()) -> None:
        with self._lock:
            # A cleaner may have deleted it.  The directory around it is the worker's: another of its name would not be.
            self._directory.mkdir(exist_ok=True)
            files = self._files()
            total = sum(status.st_size for status in files.values()) + size
            for file, status in sorted(files.items(), key=lambda item: item[1].st_mtime):
                if total <= _LARGEST_BYTES:
                    return
                if file.name not in needed:
                    total -= status.st_size
                    file.unlink(missing_ok=True)

    def _files(self) -> dict[Path, os.stat_result]:
        """All files that are whole.  Others come and go: a thread may fetch while another takes over an output."""
        found = {}
        for file in self._directory.iterdir():
            if not file.name.startswith(TEMPORARY):
                with suppress(FileNotFoundError):
                    found[file] = file.stat()
        return found
