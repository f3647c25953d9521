"""One attempt at one job: fetch its inputs, hand it to the runner, keep the lease, upload, commit.

Runs in the supervisor's process, on one thread, over one inbox: what the runner says, what the transfers
finish and the wish to stop arrive there in order.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import queue
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.artifacts import ArtifactDamaged
from orchestrator.errors import HomeError
from orchestrator.jobs import Artifact, Checkpoint, Lease
from orchestrator.jobtable import JobTable, LeaseLost
from workers import messages
from workers.console import Console
from workers.runner_process import RunnerDied, RunnerProcess, tail
from workers.transfers import (
    CheckpointUploaded,
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
# Between the wish to stop and the end of the attempt.  A notebook service that gives notice gives 30 seconds.
_STOP_SECONDS = 18.0
# A runner that computes says so with every compiled call; the longest silence is a compilation.
_HUNG_SECONDS = 900.0


@dataclass(frozen=True)
class StopAsked:
    """The session ends: checkpoint, release, leave."""


@dataclass(frozen=True)
class Overdue:
    """The time that stopping may take is over."""


Event = messages.Message | RunnerDied | Transferred | StopAsked | Overdue
Inbox = queue.SimpleQueue[Event]
T = TypeVar("T")


class Phase(Enum):
    """Where an attempt is."""

    FETCHING = "fetching"
    COMPUTING = "computing"
    """The runner has the job."""
    UPLOADING = "uploading"
    """The job is computed; its outputs are on their way."""
    STOPPED = "stopped"
    """The runner has left the job undone."""


class Result(Enum):
    """How an attempt ended for this worker."""

    DONE = "done"
    FAILED = "failed"
    RELEASED = "released"
    LOST = "lost"


class Attempt:
    """The course of one lease.  `run` returns when the job is committed, given back or lost.

    Once `stopping` is true it returns within `_STOP_SECONDS` and a transaction, whatever hangs: the runner, the
    store or the table.
    """

    def __init__(
        self,
        jobs: JobTable,
        lease: Lease,
        runner: RunnerProcess,
        transfers: Transfers,
        inbox: Inbox,
        directory: Path,
        checkpoint_seconds: float,
        stopping: Callable[[], bool],
        console: Console,
    ) -> None:
        self._jobs = jobs
        self._lease = lease
        self._runner = runner
        self._transfers = transfers
        self._inbox = inbox
        self._directory = directory
        self._checkpoint_seconds = checkpoint_seconds
        self._stopping = stopping
        self._console = console
        self._states = _states(lease)
        self._phase = Phase.FETCHING
        self._progress: Mapping[str, Any] | None = None
        self._metrics: Mapping[str, Any] = {}
        self._uploads = 0
        self._unnamed: Checkpoint | None = None
        """Uploaded, but the table could not be told yet."""
        self._heard = time.monotonic()
        self._next_beat = time.monotonic() + lease.seconds / _BEATS_PER_LEASE
        self._deadline = math.inf
        self.checkpoint_cost: float | None = None
        """Seconds that the training stood still for the last checkpoint, if one was written."""

    def run(self) -> Result:
        self._console.say(f"{self._lease.name} begins{_resumed(self._lease)}")
        try:
            self._fetch()
            result = None
            while result is None:
                result = self._handle(self._next_event())
        except LeaseLost as lost:
            self._console.say(f"{lost} What its holder does stands.")
            result = Result.LOST
        except HomeError as error:
            self._console.say(f"{self._lease.name} is left to its lease, which will expire: {error}")
            result = Result.LOST
        self._quiesce()
        return result

    def _next_event(self) -> Event:
        """The next thing that happened; the lease is renewed whenever that is due in between."""
        while True:
            if self._stopping() and self._deadline == math.inf:
                self._deadline = time.monotonic() + _STOP_SECONDS
                return StopAsked()
            now = time.monotonic()
            hung = self._heard + _HUNG_SECONDS if self._phase is Phase.COMPUTING else math.inf
            if now >= self._deadline:
                return Overdue()
            if now >= hung:
                return RunnerDied(f"the runner gave no sign of life for {_HUNG_SECONDS:.0f} s")
            if now >= self._next_beat:
                self._renew()
            try:
                return self._inbox.get(timeout=max(0.0, min(self._next_beat, self._deadline, hung) - now))
            except queue.Empty:
                continue

    def _handle(self, event: Event) -> Result | None:
        """What follows from an event; a result ends the attempt."""
        match event:
            case Fetched(files):
                self._start(files)
            case FetchFailed("state", ArtifactDamaged() as error):
                return self._fall_back(str(error))
            case FetchFailed(_, error) | UploadFailed("outputs", error):
                return self._fail(str(error))
            case StopAsked():
                return self._stop()
            case Overdue():
                return self._release()
            case CheckpointUploaded(step, artifact):
                self._uploads -= 1
                self._renew(Checkpoint(step, artifact))
            case UploadFailed(_, error):
                self._uploads -= 1
                self._console.say(f"A checkpoint of {self._lease.name} was not kept, the training goes on: {error}")
            case OutputsUploaded(artifacts):
                return self._complete(artifacts)
            case _ if self._phase is Phase.COMPUTING:
                self._heard = time.monotonic()
                return self._from_runner(event)
        return self._release() if self._phase is Phase.STOPPED and not self._uploads else None

    def _stop(self) -> Result | None:
        """What is computed is checkpointed, what is finished is committed, what was not begun is given back."""
        if self._phase is Phase.FETCHING:
            return self._release()
        if self._phase is Phase.COMPUTING:
            self._runner.stop_job()
        return None

    def _from_runner(self, event: Event) -> Result | None:
        match event:
            case messages.Progress():
                self._progress = dataclasses.asdict(event)
                self._console.show(_line(self._lease, event))
            case messages.CheckpointWritten(step, path, seconds):
                self.checkpoint_cost = seconds
                self._uploads += 1
                self._transfers.upload_checkpoint(step, Path(path))
            case messages.Finished(outputs, metrics):
                self._phase = Phase.UPLOADING
                self._metrics = metrics
                self._transfers.upload_outputs({name: Path(path) for name, path in outputs.items()})
            case messages.Stopped():
                self._phase = Phase.STOPPED
                return None if self._uploads else self._release()
            case messages.CheckpointRefused(reason):
                self._phase = Phase.FETCHING
                return self._fall_back(reason)
            case messages.Failed(error, traceback):
                self._phase = Phase.STOPPED
                return self._fail(f"{error}\n{tail(self._directory / messages.LOG_NAME) or traceback}")
            case RunnerDied(reason):
                self._phase = Phase.STOPPED
                self._runner.end()
                return self._fail(f"{reason[:1].upper()}{reason[1:]}.\n{self._log_tail()}")
        return None

    def _fetch(self) -> None:
        state = self._states[0]
        others = {name: artifact for name, artifact in self._lease.inputs.items() if name != "state"}
        self._transfers.fetch({**others, "state": state} if state else others)

    def _start(self, files: Mapping[str, Path]) -> None:
        self._phase = Phase.COMPUTING
        self._heard = time.monotonic()
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
        refused, *self._states = self._states
        if not self._states:
            return self._fail(f"There is no state left that {self._lease.name} could begin with: {reason}")
        self._console.say(f"{reason} {self._lease.name} goes on from the state before.")
        for checkpoint in self._lease.checkpoints:
            if checkpoint.artifact == refused:
                self._lease = self._insist(functools.partial(self._jobs.refuse, self._lease, checkpoint))
        self._fetch()
        return None

    def _renew(self, checkpoint: Checkpoint | None = None) -> None:
        """Unreachable is not dead: while the home cannot be reached the job goes on, and the lease may hold."""
        self._unnamed = checkpoint or self._unnamed
        try:
            self._lease = self._jobs.renew(self._lease, self._progress, self._unnamed)
        except HomeError as error:
            self._next_beat = time.monotonic() + _UNREACHABLE_WAIT_SECONDS
            self._console.say(f"The lease of {self._lease.name} could not be renewed now: {error}")
            return
        self._unnamed = None
        self._next_beat = time.monotonic() + self._lease.seconds / _BEATS_PER_LEASE
        self._transfers.delete(self._lease.superseded)

    def _complete(self, artifacts: Mapping[str, Artifact]) -> Result:
        superseded = self._insist(lambda: self._jobs.complete(self._lease, artifacts, self._metrics))
        self._transfers.delete(superseded)
        self._console.say(f"{self._lease.name} is done")
        return Result.DONE

    def _fail(self, error: str) -> Result:
        state = self._insist(lambda: self._jobs.fail(self._lease, error))
        self._console.say(f"{self._lease.name} failed and is {state} now: {error.splitlines()[0]}")
        return Result.FAILED

    def _release(self) -> Result:
        unnamed = self._unnamed
        if unnamed is not None:
            self._lease = self._insist(lambda: self._jobs.renew(self._lease, self._progress, unnamed))
        self._insist(lambda: self._jobs.release(self._lease))
        self._console.say(f"{self._lease.name} is given back")
        return Result.RELEASED

    def _insist(self, operation: Callable[[], T]) -> T:
        """Carry an ending through a home that cannot be reached for a while: the work is done and must not be lost.

        Raises:
            LeaseLost: the job is somebody else's by now.
            HomeError: it cannot be reached, and this worker must end.
        """
        while True:
            try:
                return operation()
            except HomeError as error:
                if self._stopping():
                    raise
                self._console.say(f"{error} Trying again.")
                time.sleep(_UNREACHABLE_WAIT_SECONDS)

    def _quiesce(self) -> None:
        """The runner must be idle when the next attempt begins; one that does not leave its job is ended."""
        if self._phase is not Phase.COMPUTING:
            return
        self._runner.stop_job()
        deadline = min(self._deadline, time.monotonic() + _STOP_SECONDS)
        while time.monotonic() < deadline:
            try:
                event = self._inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if isinstance(event, _LEAVING):
                return
        self._runner.end()

    def _log_tail(self) -> str:
        return tail(self._directory / messages.LOG_NAME) or self._runner.log_tail()


_LEAVING = (messages.Finished, messages.Stopped, messages.Failed, messages.CheckpointRefused, RunnerDied)


def _states(lease: Lease) -> list[Artifact | None]:
    """What the job may begin with, best first; None is its very beginning, where nothing comes before it."""
    return [*(checkpoint.artifact for checkpoint in lease.checkpoints), lease.inputs.get("state")]


def _resumed(lease: Lease) -> str:
    return f" again at its step {lease.checkpoints[0].step}" if lease.checkpoints else ""


def _line(lease: Lease, progress: messages.Progress) -> str:
    parts = [lease.name, f"{progress.step}/{progress.steps}"]
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if progress.images_per_second is not None:
        parts.append(f"{progress.images_per_second:,.0f} images/s")
    return "  ".join(part for part in (*parts, progress.note) if part)
