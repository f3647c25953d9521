"""Files to and from the store on a thread of their own: computing never waits for the network.

One at a time and in the order they were asked for, so that a checkpoint is never named before an older one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from orchestrator.artifacts import ArtifactDamaged, ArtifactStore
from orchestrator.errors import OrchError, StoreError
from orchestrator.jobs import Artifact
from workers.cache import InputCache

_WAITS = (1.0, 2.0, 4.0)
"""Seconds between tries of a fetch, before the attempt is given up."""


@dataclass(frozen=True)
class Fetched:
    """Files asked for are on this machine."""

    files: Mapping[str, Path]


@dataclass(frozen=True)
class FetchFailed:
    name: str
    error: OrchError


@dataclass(frozen=True)
class CheckpointUploaded:
    step: int
    artifact: Artifact


@dataclass(frozen=True)
class OutputsUploaded:
    artifacts: Mapping[str, Artifact]


@dataclass(frozen=True)
class UploadFailed:
    what: str
    """`checkpoint` or `outputs`."""
    error: OrchError


Transferred = Fetched | FetchFailed | CheckpointUploaded | OutputsUploaded | UploadFailed


class Transfers:
    """The transfers of one attempt.  What is asked for here ends as one event in `deliver`, on another thread.

    Every attempt has transfers of its own, so that one which ends late speaks to nobody, and not to the attempt
    at another job; the thread is the worker's.
    """

    def __init__(
        self, store: ArtifactStore, cache: InputCache, thread: Executor, deliver: Callable[[Transferred], None]
    ) -> None:
        self._store = store
        self._cache = cache
        self._thread = thread
        self._deliver = deliver

    def fetch(self, artifacts: Mapping[str, Artifact]) -> None:
        self._thread.submit(lambda: self._deliver(self._fetched(artifacts)))

    def upload_checkpoint(self, step: int, file: Path) -> None:
        self._thread.submit(lambda: self._deliver(self._checkpoint(step, file)))

    def upload_outputs(self, files: Mapping[str, Path]) -> None:
        self._thread.submit(lambda: self._deliver(self._outputs(files)))

    def delete(self, artifacts: tuple[Artifact, ...]) -> None:
        """Remove files that no row names any more; one that cannot be removed now is garbage, never damage."""
        for artifact in artifacts:
            self._thread.submit(self._store.delete, artifact)

    def _fetched(self, artifacts: Mapping[str, Artifact]) -> Fetched | FetchFailed:
        files: dict[str, Path] = {}
        for name, artifact in artifacts.items():
            try:
                files[name] = _patiently(lambda artifact=artifact: self._cache.path(artifact))  # type: ignore[misc]
            except (OrchError, OSError) as error:
                return FetchFailed(name, _told(error))
        return Fetched(files)

    def _checkpoint(self, step: int, file: Path) -> CheckpointUploaded | UploadFailed:
        try:
            artifact = self._store.put(file)
            file.unlink(missing_ok=True)
        except (OrchError, OSError) as error:
            return UploadFailed("checkpoint", _told(error))
        return CheckpointUploaded(step, artifact)

    def _outputs(self, files: Mapping[str, Path]) -> OutputsUploaded | UploadFailed:
        artifacts: dict[str, Artifact] = {}
        try:
            for name, file in files.items():
                artifacts[name] = self._store.put(file)
                self._cache.adopt(file, artifacts[name])
        except (OrchError, OSError) as error:
            return UploadFailed("outputs", _told(error))
        return OutputsUploaded(artifacts)


def _patiently(fetch: Callable[[], Path]) -> Path:
    """A store may be out of reach for a moment; a damaged artifact stays damaged."""
    for seconds in _WAITS:
        try:
            return fetch()
        except ArtifactDamaged:
            raise
        except StoreError:
            time.sleep(seconds)
    return fetch()


def _told(error: OrchError | OSError) -> OrchError:
    return error if isinstance(error, OrchError) else StoreError(f"This machine's disk: {error}.")
