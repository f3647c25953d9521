"""A chain: the job that a worker holds the lease of, and the jobs that go on from it and are under way already.

Bookkeeping; what is done about it is `workers.session`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from itertools import takewhile
from pathlib import Path
from typing import Any

from orchestrator.jobs import Artifact, Stage
from workers.checkpoint_policy import CheckpointPolicy
from workers.runner.messages import (
    LOG_NAME,
    CheckpointDiscarded,
    CheckpointWritten,
    Ending,
    Failed,
    Finished,
    Progress,
    RunJob,
    Stopped,
    Unsuitable,
)
from workers.runner.process import tail


class Status(Enum):
    """How far a chain step is."""

    FETCHING = "fetching"
    AT_RUNNER = "at the runner"
    """The runner computes it, or will do so next."""
    FINISHED = "finished"
    """It is computed; its outputs are to be uploaded, and the job completed."""
    STOPPED = "stopped"
    """The runner has left it undone."""
    FAILED = "failed"
    UNSUITABLE = "unsuitable"
    """This machine cannot do it."""
    UNKEPT = "unkept"
    """This account's storage cannot keep what it makes."""


@dataclass
class ChainStep:
    """One job of a chain, while this worker goes through it."""

    job: str
    name: str
    stage: Stage
    spec: Mapping[str, Any]
    directory: Path
    """Where the job's files lie on this machine."""
    follows: str | None = None
    """The job before, whose state the runner has in memory; None for the job that the chain begins with."""
    status: Status = Status.FETCHING
    wanted: Mapping[str, Artifact] = field(default_factory=dict)
    """The inputs that are to be on this machine before the job begins."""
    asked: float = 0.0
    """When the inputs were asked for first, on the monotonic clock."""
    progress: Progress | None = None
    checkpoint: tuple[int, Path] | None = None
    """The newest checkpoint that is not uploaded yet: its job step, and the file."""
    outputs: Mapping[str, Path] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    final: bool = False
    """Whether another try would fail for the same reason."""
    looked_ahead: bool = False
    """Whether the job table was asked what goes on from this job."""

    @property
    def worth_claiming(self) -> bool:
        """Whether some of the job was, or will be, done here."""
        return self.status is not Status.STOPPED or self.checkpoint is not None

    @property
    def printed(self) -> str:
        """The end of what the runner printed while it did the job."""
        return tail(self.directory / LOG_NAME)

    def order(self, files: Mapping[str, Path], checkpoint_policy: CheckpointPolicy) -> RunJob:
        """What to tell the runner once the files are on this machine."""
        paths = {name: str(path) for name, path in files.items()}
        return RunJob(
            job=self.job,
            stage=self.stage,
            spec=self.spec,
            inputs={name: path for name, path in paths.items() if name != "state"},
            state=paths.get("state"),
            follows=self.follows,
            directory=str(self.directory),
            checkpoint_policy=checkpoint_policy,
        )

    def checkpoint_written(self, job_step: int, file: Path) -> None:
        self.forget_checkpoint()
        self.checkpoint = (job_step, file)

    def finish(self, outputs: Mapping[str, Path], metrics: Mapping[str, Any]) -> None:
        self.status, self.outputs, self.metrics = Status.FINISHED, outputs, metrics
        self.forget_checkpoint()

    def stop(self, reason: str = "") -> None:
        """Note that the job is left undone here; a reason is given where nobody asked for that."""
        self.status, self.error = Status.STOPPED, reason

    def forget_checkpoint(self) -> None:
        """Delete the checkpoint that waits for its upload: a newer state has come."""
        if self.checkpoint is not None:
            with suppress(OSError):  # it goes with the worker's directory
                self.checkpoint[1].unlink()
        self.checkpoint = None


class Chain:
    """Chain steps in their order; the first is the job that the worker holds the lease of."""

    def __init__(self, held: ChainStep) -> None:
        self._steps = [held]

    @property
    def held(self) -> ChainStep:
        return self._steps[0]

    @property
    def last(self) -> ChainStep:
        return self._steps[-1]

    def __iter__(self) -> Iterator[ChainStep]:
        return iter(self._steps)

    def find(self, job: str) -> ChainStep | None:
        return next((chain_step for chain_step in self._steps if chain_step.job == job), None)

    def append(self, chain_step: ChainStep) -> None:
        self._steps.append(chain_step)

    def finished(self) -> Sequence[ChainStep]:
        """The chain steps, from the held one on, that can be completed together."""
        return list(takewhile(lambda chain_step: chain_step.status is Status.FINISHED, self._steps))

    def after(self, count: int) -> ChainStep | None:
        """The chain step behind the first `count`."""
        return self._steps[count] if count < len(self._steps) else None

    def drop(self, count: int) -> Sequence[ChainStep]:
        """Take the first `count` off: their jobs are complete."""
        dropped, self._steps = self._steps[:count], self._steps[count:]
        return dropped

    def drop_all(self) -> None:
        self._steps = []

    def note(self, chain_step: ChainStep, event: Progress | CheckpointWritten | Ending) -> None:
        """Note what the runner says of one of the jobs."""
        match event:
            case Progress():
                chain_step.progress = event
            case CheckpointWritten(_, job_step, path):
                chain_step.checkpoint_written(job_step, Path(path))
            case Finished(_, outputs, metrics):
                chain_step.finish({name: Path(path) for name, path in outputs.items()}, metrics)
            case Stopped(_, reason):
                chain_step.stop(reason)
            case Failed(_, error, traceback, final):
                self.fail(chain_step, f"{error}\n{chain_step.printed or traceback}", final=final)
            case Unsuitable(_, reason):
                self.fail(chain_step, reason, Status.UNSUITABLE)
            case CheckpointDiscarded(_, reason):
                self.fail(chain_step, reason)

    def runner_died(self, reason: str, runner_log: Callable[[], str]) -> None:
        """Note that the runner died: the job that it was at has failed, and the next one waits for another runner.

        Args:
            runner_log: reads what the runner printed outside of jobs.
        """
        for chain_step in list(self._steps):
            if chain_step.status is Status.FETCHING:
                chain_step.stop()  # what it was to go on from is lost
            if chain_step.status is Status.AT_RUNNER:
                self.fail(chain_step, f"{reason[:1].upper()}{reason[1:]}.\n{chain_step.printed or runner_log()}")
                return

    def fail(self, chain_step: ChainStep, error: str, status: Status = Status.FAILED, *, final: bool = False) -> None:
        """Note that a job is not done to its end here, nor what goes on from it."""
        chain_step.status, chain_step.error, chain_step.final = status, error, final
        self.cut_after(chain_step)

    def cut_after(self, chain_step: ChainStep) -> None:
        """Forget what goes on from a job that is not done to its end here."""
        self._steps = self._steps[: self._steps.index(chain_step) + 1]

    @property
    def empty(self) -> bool:
        return not self._steps


def uploads(run: Sequence[ChainStep]) -> dict[str, dict[str, Path]]:
    """The files to keep of chain steps that are completed together, by job and name.

    A state between two chain steps is of no use to anybody: the next step is done when the one before it is.
    """
    *middle, last = run
    kept = {
        chain_step.job: {name: file for name, file in chain_step.outputs.items() if name != "state"}
        for chain_step in middle
    }
    return {**kept, last.job: dict(last.outputs)}
