"""Faults that befall the files of a home: on their disk, and each by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from fast_motion.disks import Disk
from fast_motion.schedule import Blow, Missed, Standing, Strike, chosen
from orchestrator.artifacts import LocalStore
from orchestrator.errors import OrchError
from orchestrator.jobs import Artifact, JobState
from orchestrator.jobtable import JobTable


class Contents(Protocol):
    """The bytes of a store's files, as somebody gets at them who goes around the store."""

    def is_whole(self, artifact: Artifact) -> bool: ...

    def change(self, artifact: Artifact, change: Callable[[bytes], bytes]) -> None:
        """Put other bytes in the place of a file.  Raises Missed if it is not there."""
        ...

    def remove(self, artifact: Artifact) -> None:
        """Raises Missed if it is not there."""
        ...


class LocalContents:
    """The contents of a directory."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def is_whole(self, artifact: Artifact) -> bool:
        return self._store.is_whole(artifact)

    def change(self, artifact: Artifact, change: Callable[[bytes], bytes]) -> None:
        try:
            # Opened before it is written, so that a file which is deleted meanwhile is not made again.
            with (self._store.directory / artifact.location).open("r+b") as file:
                changed = change(file.read())
                file.seek(0)
                file.write(changed)
                file.truncate()
        except OSError as error:
            raise Missed from error

    def remove(self, artifact: Artifact) -> None:
        try:
            (self._store.directory / artifact.location).unlink()
        except OSError as error:
            raise Missed from error


class CheckpointFaults:
    """What befalls the newest checkpoint of a job, for which there is always something older to go on from."""

    def __init__(self, jobs: JobTable, contents: Contents) -> None:
        self._jobs = jobs
        self._contents = contents

    def blows(self) -> Mapping[str, Blow]:
        change = self._contents.change
        return {
            "checkpoint altered": lambda strike: change(self._newest(strike), _flipped_at(strike.detail)),
            "checkpoint cut short": lambda strike: change(self._newest(strike), _cut_at(strike.detail)),
            "checkpoint deleted": lambda strike: self._contents.remove(self._newest(strike)),
        }

    def _newest(self, strike: Strike) -> Artifact:
        try:
            undone = [job for job in self._jobs.jobs() if job.state in (JobState.READY, JobState.RUNNING)]
            held = [kept[0].artifact for job in undone if (kept := self._jobs.checkpoints(job.id))]
        except OrchError as error:
            raise Missed from error
        return held[chosen(held, strike)]


class DiskFaults:
    """What befalls the disk that a directory is on."""

    def __init__(self, disk: Disk, whose: str) -> None:
        self._disk = disk
        self._whose = whose

    def blows(self) -> Mapping[str, Blow]:
        return {f"{self._whose} disk full": self._full, f"{self._whose} disk read-only": self._read_only}

    def _full(self, strike: Strike) -> Standing:
        self._disk.fill()
        return Standing(strike.seconds, self._disk.empty)

    def _read_only(self, strike: Strike) -> Standing:
        self._disk.protect()
        return Standing(strike.seconds, self._disk.release)


def _flipped_at(place: float) -> Callable[[bytes], bytes]:
    def flip(content: bytes) -> bytes:
        changed = bytearray(content)
        changed[int(place * len(changed))] ^= 1
        return bytes(changed)

    return flip


def _cut_at(place: float) -> Callable[[bytes], bytes]:
    return lambda content: content[: int(place * len(content))]
