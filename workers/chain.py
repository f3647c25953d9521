"""The jobs that a worker has under way: the one it holds, and those that go on from it before it is completed.

Pure bookkeeping; what is done about it is `workers.attempt`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from itertools import takewhile
from pathlib import Path
from typing import Any

from orchestrator.jobs import Artifact, Stage
from workers.intervals import Pace
from workers.messages import Progress, RunJob


class Standing(Enum):
    """Where a job under way is."""

    FETCHING = "fetching"
    AT_RUNNER = "at the runner"
    """It computes, or is next."""
    FINISHED = "finished"
    """Computed; its outputs are to be uploaded, and it is to be completed."""
    STOPPED = "stopped"
    """The runner has left it undone."""
    FAILED = "failed"
    UNSUITABLE = "unsuitable"
    """This machine cannot do it."""
    UNKEPT = "unkept"
    """This account's storage cannot keep what it makes."""


@dataclass
class Link:
    """One job under way."""

    job: str
    name: str
    stage: Stage
    spec: Mapping[str, Any]
    directory: Path
    """Of its files on this machine."""
    follows: str | None = None
    """The job before, whose state the runner has in memory; None for the job that the chain begins with."""
    standing: Standing = Standing.FETCHING
    wanted: Mapping[str, Artifact] = field(default_factory=dict)
    """What is to be on this machine before it begins."""
    asked: float = 0.0
    """When that was asked for first, on the monotonic clock."""
    progress: Progress | None = None
    checkpoint: tuple[int, Path] | None = None
    """The newest that is not uploaded yet: its step in the job, and the file."""
    outputs: Mapping[str, Path] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    final: bool = False
    """Whether another try would fail the same."""
    looked_ahead: bool = False
    """Whether it was asked what goes on from it."""

    @property
    def worth_claiming(self) -> bool:
        """Whether anything was, or will be, done of it here."""
        return self.standing is not Standing.STOPPED or self.checkpoint is not None

    def order(self, files: Mapping[str, Path], pace: Pace) -> RunJob:
        """For the runner, once the files are on this machine."""
        paths = {name: str(path) for name, path in files.items()}
        return RunJob(
            job=self.job,
            stage=self.stage,
            spec=self.spec,
            inputs={name: path for name, path in paths.items() if name != "state"},
            state=paths.get("state"),
            follows=self.follows,
            directory=str(self.directory),
            pace=pace,
        )

    def forget_checkpoint(self) -> None:
        """A newer state has come, and this one is not on its way yet."""
        if self.checkpoint is not None:
            with suppress(OSError):  # it goes with the worker's directory
                self.checkpoint[1].unlink()
        self.checkpoint = None


class Chain:
    """Links in their order; the first is the job that the worker holds the lease of."""

    def __init__(self, held: Link) -> None:
        self._links = [held]

    @property
    def held(self) -> Link:
        return self._links[0]

    @property
    def last(self) -> Link:
        return self._links[-1]

    def __iter__(self) -> Iterator[Link]:
        return iter(self._links)

    def find(self, job: str) -> Link | None:
        return next((link for link in self._links if link.job == job), None)

    def append(self, link: Link) -> None:
        self._links.append(link)

    def finished(self) -> Sequence[Link]:
        """Those from the held one on that can be completed together."""
        return list(takewhile(lambda link: link.standing is Standing.FINISHED, self._links))

    def after(self, count: int) -> Link | None:
        """The one behind the first `count`."""
        return self._links[count] if count < len(self._links) else None

    def drop(self, count: int) -> Sequence[Link]:
        """Take the first `count` off: they are completed."""
        dropped, self._links = self._links[:count], self._links[count:]
        return dropped

    def drop_all(self) -> None:
        self._links = []

    def cut_after(self, link: Link) -> None:
        """What goes on from a job that is not done to its end here is void."""
        self._links = self._links[: self._links.index(link) + 1]

    @property
    def empty(self) -> bool:
        return not self._links


def uploads(run: Sequence[Link]) -> dict[str, dict[str, Path]]:
    """The files to keep of links that are completed together, by job and name.

    The state between two of them is of no use to anybody: the next is done when the one before it is.
    """
    *middle, last = run
    kept = {link.job: {name: file for name, file in link.outputs.items() if name != "state"} for link in middle}
    return {**kept, last.job: dict(last.outputs)}
