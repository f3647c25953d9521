"""Fetched inputs on this machine, by their SHA-256: a shard is fetched once, not once a visit."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from orchestrator.artifacts import ArtifactStore
from orchestrator.jobs import Artifact

_LARGEST_BYTES = 4 << 30
"""Free notebooks have a few tens of gigabytes of disk; the states of a long chain would fill them."""


class InputCache:
    """A directory of files that were checked as they came; the ones used least recently go first."""

    def __init__(self, directory: Path, store: ArtifactStore) -> None:
        self._directory = directory
        self._store = store
        self._lock = threading.Lock()
        directory.mkdir(parents=True, exist_ok=True)

    def path(self, artifact: Artifact) -> Path:
        """The artifact as a file, fetched if need be.  Raises StoreError, ArtifactDamaged, DiskError, OSError."""
        file = self._directory / artifact.sha256
        if not file.exists():
            self._make_room(artifact.size)
            self._store.fetch(artifact, file)
        file.touch()
        return file

    def adopt(self, file: Path, artifact: Artifact) -> None:
        """Take over a file that this machine made itself: the next job of the chain begins with it."""
        self._make_room(artifact.size)
        shutil.move(file, self._directory / artifact.sha256)

    def _make_room(self, size: int) -> None:
        with self._lock:
            files = [(file, file.stat()) for file in self._directory.iterdir()]
            total = sum(status.st_size for _, status in files) + size
            for file, status in sorted(files, key=lambda item: item[1].st_mtime):
                if total <= _LARGEST_BYTES:
                    return
                total -= status.st_size
                file.unlink()
