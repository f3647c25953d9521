"""Files to and from the store on a thread of their own: computing never waits for the network.

One at a time and in the order they were asked for, so that a checkpoint is never named before an older one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from orchestrator.artifacts import ArtifactStore
from orchestrator.errors import OrchError
from orchestrator.jobs import Artifact
from workers.cache import InputCache


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


@dataclass(frozen=True)
class Drained:
    """Everything asked for before is done."""


Transferred = Fetched | FetchFailed | CheckpointUploaded | OutputsUploaded | UploadFailed | Drained


class Transfers:
    """What is asked for here ends as one event in `deliver`, called on the transfers' thread."""

    def __init__(self, store: ArtifactStore, cache: InputCache, deliver: Callable[[Transferred], None]) -> None:
        self._store = store
        self._cache = cache
        self._deliver = deliver
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="transfers")

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

    def drain(self) -> None:
        self._thread.submit(lambda: self._deliver(Drained()))

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _fetched(self, artifacts: Mapping[str, Artifact]) -> Fetched | FetchFailed:
        files: dict[str, Path] = {}
        for name, artifact in artifacts.items():
            try:
                files[name] = self._cache.path(artifact)
            except OrchError as error:
                return FetchFailed(name, error)
        return Fetched(files)

    def _checkpoint(self, step: int, file: Path) -> CheckpointUploaded | UploadFailed:
        try:
            artifact = self._store.put(file)
        except OrchError as error:
            return UploadFailed("checkpoint", error)
        finally:
            file.unlink(missing_ok=True)
        return CheckpointUploaded(step, artifact)

    def _outputs(self, files: Mapping[str, Path]) -> OutputsUploaded | UploadFailed:
        artifacts: dict[str, Artifact] = {}
        try:
            for name, file in files.items():
                artifacts[name] = self._store.put(file)
        except OrchError as error:
            return UploadFailed("outputs", error)
        for name, file in files.items():
            self._cache.adopt(file, artifacts[name])
        return OutputsUploaded(artifacts)
