"""One attempt at one job: fetch its inputs, hand it to the runner, keep the lease, upload, commit.

Runs in the supervisor's process, on one thread, over one inbox: what the runner says, what the transfers
finish and the wish to stop arrive there in order.
"""

from __future__ import annotations

import dataclasses
import queue
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.errors import HomeError
from orchestrator.jobs import Artifact, Checkpoint, Lease
from orchestrator.jobtable import JobTable, LeaseLost
from workers import messages
from workers.runner_process import RunnerDied, RunnerProcess, tail
from workers.transfers import (
    CheckpointUploaded,
    Drained,
    Fetched,
    FetchFailed,
    OutputsUploaded,
    Transferred,
    Transfers,
    UploadFailed,
)

# Three renewals fit into a lease: two may fail before the job is given to another.
_BEATS_PER_LEASE = 3
_UNREACHABLE_WAIT_SECONDS = 2.0
# A stage leaves its job between two steps; one that does not for so long is stuck.
_STOP_SECONDS = 60.0


@dataclass(frozen=True)
class StopAsked:
    """The session ends: checkpoint, release, leave."""


Event = messages.Message | RunnerDied | Transferred | StopAsked
Inbox = queue.SimpleQueue[Event]


class Result(Enum):
    """How an attempt ended for this worker."""

    DONE = "done"
    FAILED = "failed"
    RELEASED = "released"
    LOST = "lost"


class Attempt:
    """The course of one lease.  `run` blocks until the job is committed, given back or lost."""

    def __init__(
        self,
        jobs: JobTable,
        lease: Lease,
        runner: RunnerProcess,
        transfers: Transfers,
        inbox: Inbox,
        directory: Path,
        checkpoint_seconds: float,
        say: Callable[[str], None],
        show: Callable[[str], None],
    ) -> None:
        self._jobs = jobs
        self._lease = lease
        self._runner = runner
        self._transfers = transfers
        self._inbox = inbox
        self._directory = directory
        self._checkpoint_seconds = checkpoint_seconds
        self._say = say
        self._show = show
        self._states = _states(lease)
        self._computing = False
        self._progress: Mapping[str, Any] | None = None
        self._metrics: Mapping[str, Any] = {}
        self._next_beat = time.monotonic() + lease.seconds / _BEATS_PER_LEASE
        self.checkpoint_cost: float | None = None
        """Seconds that the training stood still for the last checkpoint, if one was written."""

    def run(self) -> Result:
        self._say(f"{self._lease.name} begins{_resumed(self._lease)}")
        self._fetch()
        try:
            result = None
            while result is None:
                result = self._handle(self._next_event())
        except LeaseLost as lost:
            self._say(f"{lost} Its holder's result stands.")
            result = Result.LOST
        self._quiesce()
        return result

    def _next_event(self) -> Event:
        """The next thing that happened; the lease is renewed whenever that is due in between."""
        while True:
            try:
                return self._inbox.get(timeout=max(0.0, self._next_beat - time.monotonic()))
            except queue.Empty:
                self._renew()

    def _handle(self, event: Event) -> Result | None:
        """What follows from an event; a result ends the attempt."""
        match event:
            case Fetched(files):
                self._start(files)
            case FetchFailed("state", error):
                return self._fall_back(str(error))
            case FetchFailed(_, error):
                return self._fail(str(error))
            case StopAsked() if self._computing:
                self._runner.stop_job()
            case StopAsked():
                return self._release()
            case messages.Progress():
                self._progress = dataclasses.asdict(event)
                self._show(_line(self._lease, event))
            case messages.CheckpointWritten(step, path, seconds):
                self.checkpoint_cost = seconds
                self._transfers.upload_checkpoint(step, Path(path))
            case CheckpointUploaded(step, artifact):
                self._renew(Checkpoint(step, artifact))
            case UploadFailed("checkpoint", error):
                self._say(f"A checkpoint of {self._lease.name} was not kept, the training goes on: {error}")
            case OutputsUploaded(artifacts):
                return self._complete(artifacts)
            case UploadFailed(_, error):
                return self._fail(str(error))
            case Drained():
                return self._release()
            case _:
                self._computing = False
                return self._left(event)
        return None

    def _left(self, event: Event) -> Result | None:
        """The runner is no longer at this job."""
        match event:
            case messages.Finished(outputs, metrics):
                self._metrics = metrics
                self._transfers.upload_outputs({name: Path(path) for name, path in outputs.items()})
            case messages.Stopped():
                self._transfers.drain()
            case messages.CheckpointRefused(reason):
                return self._fall_back(reason)
            case messages.Failed(error, traceback):
                return self._fail(f"{error}\n{traceback}")
            case RunnerDied(reason):
                return self._fail(f"{reason[:1].upper()}{reason[1:]}.\n{self._log_tail()}")
        return None

    def _fetch(self) -> None:
        state = self._states[0]
        others = {name: artifact for name, artifact in self._lease.inputs.items() if name != "state"}
        self._transfers.fetch({**others, "state": state} if state else others)

    def _start(self, files: Mapping[str, Path]) -> None:
        self._computing = True
        paths = {name: str(path) for name, path in files.items()}
        self._runner.send(
            messages.RunJob(
                job=self._lease.job,
                stage=self._lease.stage,
                spec=self._lease.spec,
                inputs={name: path for name, path in paths.items() if name != "state"},
                state=paths.get("state"),
                directory=str(self._directory),
                checkpoint_seconds=self._checkpoint_seconds,
            )
        )

    def _fall_back(self, reason: str) -> Result | None:
        """The state is missing, damaged or another's: go on from the one before it, if there is one."""
        self._states = self._states[1:]
        if not self._states:
            return self._fail(f"There is no state left that {self._lease.name} could begin with: {reason}")
        self._say(f"{reason} {self._lease.name} goes on from the state before.")
        self._fetch()
        return None

    def _renew(self, checkpoint: Checkpoint | None = None) -> None:
        """Unreachable is not dead: while the home cannot be reached the job goes on, and the lease may hold."""
        self._next_beat = time.monotonic() + self._lease.seconds / _BEATS_PER_LEASE
        try:
            self._lease = self._jobs.renew(self._lease, self._progress, checkpoint)
        except HomeError as error:
            self._say(f"The lease of {self._lease.name} could not be renewed now: {error}")
            return
        self._transfers.delete(self._lease.superseded)

    def _complete(self, artifacts: Mapping[str, Artifact]) -> Result:
        superseded = _insist(lambda: self._jobs.complete(self._lease, artifacts, self._metrics), self._say)
        self._transfers.delete(superseded)
        self._say(f"{self._lease.name} is done")
        return Result.DONE

    def _fail(self, error: str) -> Result:
        state = _insist(lambda: self._jobs.fail(self._lease, error), self._say)
        self._say(f"{self._lease.name} failed and is {state} now: {error.splitlines()[0]}")
        return Result.FAILED

    def _release(self) -> Result:
        _insist(lambda: self._jobs.release(self._lease), self._say)
        self._say(f"{self._lease.name} is given back")
        return Result.RELEASED

    def _quiesce(self) -> None:
        """Nothing of this job may arrive in the inbox when the next one begins."""
        if self._computing:
            self._runner.stop_job()
        self._transfers.drain()
        deadline = time.monotonic() + _STOP_SECONDS
        drained = False
        while self._computing or not drained:
            try:
                event = self._inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self._runner.end()
                return
            drained = drained or isinstance(event, Drained)
            if isinstance(event, _LEAVING):
                self._computing = False

    def _log_tail(self) -> str:
        return tail(self._directory / messages.LOG_NAME) or self._runner.log_tail()


_LEAVING = (messages.Finished, messages.Stopped, messages.Failed, messages.CheckpointRefused, RunnerDied)


def _states(lease: Lease) -> tuple[Artifact | None, ...]:
    """What the job may begin with, best first; None is its very beginning, where nothing comes before it."""
    checkpoints = tuple(checkpoint.artifact for checkpoint in lease.checkpoints)
    return (*checkpoints, lease.inputs.get("state"))


def _resumed(lease: Lease) -> str:
    return f" again at its step {lease.checkpoints[0].step}" if lease.checkpoints else ""


def _line(lease: Lease, progress: messages.Progress) -> str:
    parts = [lease.name, f"{progress.step}/{progress.steps}"]
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if progress.images_per_second is not None:
        parts.append(f"{progress.images_per_second:,.0f} images/s")
    return "  ".join(part for part in (*parts, progress.note) if part)


T = TypeVar("T")


def _insist(operation: Callable[[], T], say: Callable[[str], None]) -> T:
    """Carry an ending through a home that cannot be reached for a while: the work is done and must not be lost.

    Raises:
        LeaseLost: the job is somebody else's by now.
    """
    while True:
        try:
            return operation()
        except HomeError as error:
            say(f"{error} Trying again.")
            time.sleep(_UNREACHABLE_WAIT_SECONDS)
