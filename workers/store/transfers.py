"""Transfers of files to and from the store, on threads of their own: computing never waits for the network.

Uploads go one at a time and in the order they were asked for, so that a checkpoint is never named before an older one;
fetches do not wait for them.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.artifacts import ArtifactStore, StoreFull
from orchestrator.errors import DiskError, OrchError
from orchestrator.jobs import LOG, Artifact
from workers.machine.scratch import FilesLost
from workers.store.cache import InputCache


@dataclass(frozen=True)
class Fetched:
    """The files that were asked for are on this machine."""

    job: str
    files: Mapping[str, Path]


@dataclass(frozen=True)
class FetchFailed:
    """The file of this name cannot be had now."""

    job: str
    name: str
    error: OrchError


@dataclass(frozen=True)
class CheckpointUploaded:
    """A checkpoint is in the store."""

    job: str
    job_step: int
    artifact: Artifact
    shortage: str | None
    """What the store says when it is full, or nearly."""


@dataclass(frozen=True)
class CheckpointNotKept:
    """The store did not take a checkpoint."""

    job: str
    error: OrchError
    shortage: str | None


@dataclass(frozen=True)
class OutputsUploaded:
    """The outputs of one or more jobs of a chain are in the store."""

    artifacts: Mapping[str, Mapping[str, Artifact]]
    """The outputs by job and name."""
    shortage: str | None


@dataclass(frozen=True)
class OutputsNotKept:
    """The store did not take the outputs."""

    error: OrchError
    shortage: str | None


Transferred = Fetched | FetchFailed | CheckpointUploaded | CheckpointNotKept | OutputsUploaded | OutputsNotKept


@dataclass(frozen=True)
class Threads:
    """The threads of a worker's transfers: one for each direction."""

    down: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="fetches"))
    up: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="uploads"))

    def shut_down(self, *, wait: bool) -> None:
        """End the threads after all that was asked for or, without waiting, after what is on its way."""
        for thread in (self.down, self.up):
            thread.shutdown(wait=wait, cancel_futures=not wait)


class Transfers:
    """The transfers of one session.  What is asked for here ends as one event in `deliver`, on another thread.

    What failed says whose trouble it is: the store's (StoreError), this machine's (DiskError; FilesLost where somebody
    has cleaned the worker's directory), or a fault in Orch.

    Every session has transfers of its own, so that one which ends late speaks to nobody, and not to the session
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

    def upload_checkpoint(self, job: str, job_step: int, file: Path) -> None:
        self._threads.up.submit(lambda: self._deliver(self._checkpoint(job, job_step, file)))

    def upload_outputs(self, files: Mapping[str, Mapping[str, Path]]) -> None:
        """Upload the outputs of jobs; `files` gives them by job and name."""
        self._threads.up.submit(lambda: self._deliver(self._outputs(files)))

    def delete(self, artifacts: tuple[Artifact, ...]) -> None:
        """Remove files that no row names any more; one that cannot be removed now is garbage, never damage."""
        for artifact in artifacts:
            self._threads.up.submit(self._store.delete, artifact)

    def _fetched(self, job: str, artifacts: Mapping[str, Artifact]) -> Fetched | FetchFailed:
        files: dict[str, Path] = {}
        for name, artifact in artifacts.items():
            try:
                files[name] = self._cache.path(artifact, beside=artifacts.values())
            except Exception as error:
                return FetchFailed(job, name, as_trouble(error))
        return Fetched(job, files)

    def _checkpoint(self, job: str, job_step: int, file: Path) -> CheckpointUploaded | CheckpointNotKept:
        try:
            artifact = self._store.put(file)
            file.unlink(missing_ok=True)
        except Exception as error:
            return CheckpointNotKept(job, as_trouble(error), self._shortage(error))
        return CheckpointUploaded(job, job_step, artifact, self._shortage())

    def _outputs(self, files: Mapping[str, Mapping[str, Path]]) -> OutputsUploaded | OutputsNotKept:
        try:
            kept = {job: {name: self._store.put(file) for name, file in named.items()} for job, named in files.items()}
        except Exception as error:
            return OutputsNotKept(as_trouble(error), self._shortage(error))
        # Outputs move only when all are kept: what the store refuses is offered again, and must be where it was.
        for job, named in kept.items():
            self._adopt(files[job], named)
        return OutputsUploaded(kept, self._shortage())

    def _adopt(self, files: Mapping[str, Path], kept: Mapping[str, Artifact]) -> None:
        """Keep outputs for the next job; not a log, which must stay where it is until its job is completed."""
        for name, artifact in kept.items():
            if name != LOG:
                with suppress(OSError):  # it is in the store, and can be fetched
                    self._cache.adopt(files[name], artifact)

    def _shortage(self, error: Exception | None = None) -> str | None:
        """What the store says of its room, or else the error that there is none; nothing depends on it."""
        with suppress(Exception):
            if told := self._store.shortage():
                return told
        return str(error) if isinstance(error, StoreFull) else None


def as_trouble(error: Exception) -> OrchError:
    """What an exception of a transfer means to a worker.

    Every exception means something: unless the main thread hears of it, a job is held and its lease renewed for ever.
    """
    match error:
        case FileNotFoundError() | DiskError(__cause__=FileNotFoundError()):
            return FilesLost(f"Files of this worker have been deleted ({error}).")
        case OrchError():
            return error
        case OSError():
            return DiskError(f"This machine's disk: {error}.")
    return OrchError(f"{type(error).__name__}: {error}\n{''.join(traceback.format_exception(error))}")
