"""Files to and from the store on threads of their own: computing never waits for the network.

Uploads go one at a time and in the order they were asked for, so that a checkpoint is never named before an older one;
fetches do not wait for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.artifacts import ArtifactDamaged, ArtifactStore
from orchestrator.errors import OrchError, StoreError
from orchestrator.jobs import LOG, Artifact
from workers.cache import InputCache

_WAITS = (1.0, 2.0, 4.0)
"""Seconds between tries of a fetch, before the attempt is given up."""


@dataclass(frozen=True)
class Fetched:
    """Files asked for are on this machine."""

    job: str
    files: Mapping[str, Path]


@dataclass(frozen=True)
class FetchFailed:
    job: str
    name: str
    error: OrchError


@dataclass(frozen=True)
class CheckpointUploaded:
    job: str
    step: int
    artifact: Artifact
    shortage: str | None
    """What the store says when it is nearly full."""


@dataclass(frozen=True)
class CheckpointNotKept:
    job: str
    error: OrchError


@dataclass(frozen=True)
class OutputsUploaded:
    """Of some jobs of a chain."""

    artifacts: Mapping[str, Mapping[str, Artifact]]
    """By job and name."""


@dataclass(frozen=True)
class OutputsNotKept:
    error: OrchError
    """A StoreError is the store's, and will pass; another is this machine's."""


class DiskError(OrchError):
    """A file of this machine cannot be read or written."""


Transferred = Fetched | FetchFailed | CheckpointUploaded | CheckpointNotKept | OutputsUploaded | OutputsNotKept


@dataclass(frozen=True)
class Threads:
    """A worker's: one for each direction."""

    down: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="fetches"))
    up: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="uploads"))

    def shut_down(self, *, wait: bool) -> None:
        """After what was asked for, or, without waiting, after what is on its way."""
        for thread in (self.down, self.up):
            thread.shutdown(wait=wait, cancel_futures=not wait)


class Transfers:
    """The transfers of one attempt.  What is asked for here ends as one event in `deliver`, on another thread.

    Every attempt has transfers of its own, so that one which ends late speaks to nobody, and not to the attempt
    at another job; the threads are the worker's.
    """

    def __init__(
        self, store: ArtifactStore, cache: InputCache, threads: Threads, deliver: Callable[[Transferred], None]
    ) -> None:
        self._store = store
        self._cache = cache
        self._threads = threads
        self._deliver = deliver

    def fetch(self, job: str, artifacts: Mapping[str, Artifact]) -> None:
        self._threads.down.submit(lambda: self._deliver(self._fetched(job, artifacts)))

    def upload_checkpoint(self, job: str, step: int, file: Path) -> None:
        self._threads.up.submit(lambda: self._deliver(self._checkpoint(job, step, file)))

    def upload_outputs(self, files: Mapping[str, Mapping[str, Path]]) -> None:
        """By job and name."""
        self._threads.up.submit(lambda: self._deliver(self._outputs(files)))

    def delete(self, artifacts: tuple[Artifact, ...]) -> None:
        """Remove files that no row names any more; one that cannot be removed now is garbage, never damage."""
        for artifact in artifacts:
            self._threads.up.submit(self._store.delete, artifact)

    def _fetched(self, job: str, artifacts: Mapping[str, Artifact]) -> Fetched | FetchFailed:
        files: dict[str, Path] = {}
        for name, artifact in artifacts.items():
            try:
                files[name] = _patiently(lambda artifact=artifact: self._cache.path(artifact))  # type: ignore[misc]
            except (OrchError, OSError) as error:
                return FetchFailed(job, name, _told(error))
        return Fetched(job, files)

    def _checkpoint(self, job: str, step: int, file: Path) -> CheckpointUploaded | CheckpointNotKept:
        try:
            artifact = self._store.put(file)
            file.unlink(missing_ok=True)
        except (OrchError, OSError) as error:
            return CheckpointNotKept(job, _told(error))
        return CheckpointUploaded(job, step, artifact, self._store.shortage())

    def _outputs(self, files: Mapping[str, Mapping[str, Path]]) -> OutputsUploaded | OutputsNotKept:
        try:
            return OutputsUploaded(
                {job: {name: self._kept(name, file) for name, file in named.items()} for job, named in files.items()}
            )
        except (OrchError, OSError) as error:
            return OutputsNotKept(_told(error))

    def _kept(self, name: str, file: Path) -> Artifact:
        artifact = self._store.put(file)
        # A log is no job's input; and it must stay where it is until its job is handed in, perhaps at a second try.
        if name != LOG:
            self._cache.adopt(file, artifact)
        return artifact


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
    return error if isinstance(error, OrchError) else DiskError(f"This machine's disk: {error}.")
