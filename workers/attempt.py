"""One lease and the chain that goes on from it: fetch inputs, hand jobs to the runner, keep the lease, upload, commit.

Runs in the supervisor's process, on one thread, over one inbox: what the runner says, what the transfers
finish and the wish to stop arrive there in order.  Each event is noted, then `_settle` does what has become possible.

The next job of a chain is sent to the runner before the one at hand is done, and computes while the state between them
is on its way to the store.  It is claimed when that one is completed: until then it is this worker's own risk.
"""

from __future__ import annotations

import math
import queue
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from orchestrator.artifacts import ArtifactDamaged, StoreFull
from orchestrator.errors import DiskError, HomeError, OrchError, StoreError
from orchestrator.jobs import Artifact, Checkpoint, Finished, Lease, Stage, Upcoming
from orchestrator.jobtable import ChainBroken, JobTable, LeaseLost
from workers import messages
from workers.chain import Chain, Link, Standing, uploads
from workers.console import progress_line
from workers.holding import Holding
from workers.inbox import Event, FetchDue, NoRoom, Overdue, StopAsked, UploadDue
from workers.notice import NOTICE_SECONDS
from workers.orders import Orders
from workers.runner_process import RunnerDied, tail
from workers.scratch import FilesLost
from workers.store_trouble import StoreTrouble
from workers.transfers import (
    CheckpointNotKept,
    CheckpointUploaded,
    Fetched,
    FetchFailed,
    OutputsNotKept,
    OutputsUploaded,
    as_trouble,
)
from workers.worker import Result, Worker

_STOP_SECONDS = NOTICE_SECONDS - 7.0
"""Between notice and the last transaction, which may take the rest."""

_STORE_WAIT_SECONDS = 10.0

_FETCH_SECONDS = 300.0
"""How long inputs are asked for: nothing was computed yet, and the trouble may be this machine's alone."""


class Attempt:
    """The course of one lease.  `run` returns when the chain that begins with it is committed, given back or lost.

    Once `stopping` is true it returns within `_STOP_SECONDS` and a transaction, if runner or store hang.
    """

    def __init__(self, jobs: JobTable, lease: Lease, worker: Worker) -> None:
        self._jobs = jobs
        self._worker = worker
        self._holding = Holding(jobs, lease, worker.info, worker.stopping, worker.outage, worker.transfers.delete)
        self.next: Lease | None = None
        """Of a job that has nothing to do with this chain, claimed as its last was completed."""
        self._chain = Chain(self._link(lease))
        self._states = [*(checkpoint.artifact for checkpoint in lease.checkpoints), lease.inputs.get("state")]
        """What the first job may begin with, best first; None is its very beginning, where nothing comes before it."""
        self._orders = Orders(worker.runner, worker.hung_seconds)
        self._uploading = 0
        """How many jobs the outputs on their way are of."""
        self._trouble = StoreTrouble()
        self._saving = False
        """Whether a checkpoint is on its way."""
        self._deadline = math.inf

    def run(self) -> Result:
        lease = self._holding.lease
        again = f" again at its step {lease.checkpoints[0].step}" if lease.checkpoints else ""
        self._say(f"{lease.name} begins{again}")
        try:
            self._fetch_first()
            result = None
            while result is None:
                self._note(self._next_event())
                result = self._settle()
        except LeaseLost as lost:
            self._say(f"{lost} What its holder does stands.")
            result = Result.LOST
        except HomeError as error:
            self._say(f"{self._holding.lease.name} is left to its lease, which will expire: {error}")
            result = Result.LOST
        # The runner must be idle when the next attempt begins.
        self._orders.leave(self._worker.inbox, min(self._deadline, time.monotonic() + _STOP_SECONDS))
        shutil.rmtree(self._worker.directory, ignore_errors=True)
        return result

    @property
    def job(self) -> str:
        """The one that it holds, or held last."""
        return self._holding.lease.job

    @property
    def lacking(self) -> StoreFull | None:
        """What the store said that has no room."""
        return self._trouble.full

    def _next_event(self) -> Event:
        """The next thing that happened; the lease is renewed whenever that is due in between."""
        while True:
            if self._worker.stopping() and self._deadline == math.inf:
                self._deadline = time.monotonic() + _STOP_SECONDS
                return StopAsked()
            now = time.monotonic()
            if now >= self._deadline:
                return Overdue()
            if now >= self._orders.hung_at:
                return RunnerDied(f"the runner gave no sign of life for {self._worker.hung_seconds:.0f} s")
            gives_up = self._trouble.gives_up_at(self._holding.lease.seconds)
            if now >= gives_up:
                return NoRoom()
            if (again := self._trouble.take_due()) is not None:
                return again
            if now >= self._holding.next_beat:
                self._holding.renew(self._progress())
            until = min(self._holding.next_beat, self._deadline, self._orders.hung_at, gives_up, self._trouble.next_due)
            try:
                return self._worker.inbox.get(timeout=max(0.0, until - now))
            except queue.Empty:
                continue

    # --- what happened ---

    def _note(self, event: Event) -> None:
        match event:
            case StopAsked():
                self._stop()
            case Overdue():
                self._chain.held.standing = Standing.STOPPED
                self._chain.held.checkpoint = None
                self._uploading, self._saving = 0, False
            case Fetched(job, files):
                self._start(job, files)
            case FetchFailed(job, name, error):
                self._not_fetched(job, name, error)
            case CheckpointUploaded(job, step, artifact, shortage):
                self._saving = False
                self._trouble.answered(shortage)
                if job == self._holding.lease.job:
                    self._holding.renew(self._progress(), Checkpoint(step, artifact))
            case CheckpointNotKept(job, error, shortage):
                self._saving = False
                self._trouble.answered(shortage, error)
                self._say(f"A checkpoint of {self._holding.lease.name} was not kept, the training goes on: {error}")
            case OutputsUploaded(artifacts, shortage):
                self._trouble.answered(shortage)
                self._complete(artifacts)
            case OutputsNotKept(error, shortage):
                self._uploading = 0
                self._trouble.answered(shortage, error)
                self._not_done(self._chain.held, UploadDue(), error)
            case NoRoom():
                self._chain.held.standing, self._chain.held.error = Standing.UNKEPT, str(self._trouble.full)
            case RunnerDied(reason):
                self._runner_died(reason)
            case FetchDue(job):
                self._fetch_again(job)
            case UploadDue() | messages.Ready() | messages.RunJob() | messages.Stop():
                pass
            case _:
                self._orders.heard(event)
                self._from_runner(event)

    def _not_done(self, link: Link, again: UploadDue | FetchDue, error: OrchError) -> None:
        """A store that is full or out of reach is no fault of the job, which waits for it; nor is this machine's disk,
        with which another machine need not bother.
        """
        match error:
            case StoreError() if isinstance(again, FetchDue) and time.monotonic() > link.asked + _FETCH_SECONDS:
                self._say(f"{link.name} is left to others: {error}")
                link.standing = Standing.STOPPED
            case StoreError():
                self._trouble.ask_again(again, _STORE_WAIT_SECONDS)
                self._worker.console.say_once(f"{error} Trying again every {_STORE_WAIT_SECONDS:.0f} s.")
            case FilesLost():
                link.standing, link.error = Standing.STOPPED, str(error)
            case DiskError():
                self._fail(link, str(error))
                link.standing = Standing.UNSUITABLE
            case _:
                self._fail(link, str(error))

    def _stop(self) -> None:
        """What is computed is checkpointed, what is finished is committed, what was not begun is given back."""
        for link in self._chain:
            if link.standing is Standing.FETCHING:
                link.standing = Standing.STOPPED
        self._orders.ask_to_stop()

    def _not_fetched(self, job: str, name: str, error: OrchError) -> None:
        link = self._chain.find(job)
        if link is None or link.standing is not Standing.FETCHING:
            return
        match error:
            case ArtifactDamaged() if link is self._chain.held and name == "state":
                self._fall_back(str(error))
            case ArtifactDamaged():
                self._fail(link, f"The input {name!r} cannot be had: {error}")
            case _:
                self._not_done(link, FetchDue(job), error)

    def _fetch_again(self, job: str) -> None:
        link = self._chain.find(job)
        if link is not None and link.standing is Standing.FETCHING:
            self._worker.transfers.fetch(job, link.wanted)

    def _runner_died(self, reason: str) -> None:
        self._orders.end()
        for link in list(self._chain):
            if link.standing is Standing.FETCHING:
                link.standing = Standing.STOPPED  # another runner has to begin it; what it was to go on from is lost
            if link.standing is Standing.AT_RUNNER:
                printed = tail(link.directory / messages.LOG_NAME) or self._worker.runner.log_tail()
                self._fail(link, f"{reason[:1].upper()}{reason[1:]}.\n{printed}")
                return

    def _from_runner(self, event: messages.Progress | messages.CheckpointWritten | messages.Ending) -> None:
        link = self._chain.find(event.job)
        if link is None:
            return
        match event:
            case messages.Progress():
                link.progress = event
                self._worker.console.show(progress_line(link.name, event))
            case messages.CheckpointWritten(_, step, path):
                link.forget_checkpoint()
                link.checkpoint = (step, Path(path))
            case messages.Finished(_, outputs, metrics):
                link.standing, link.metrics = Standing.FINISHED, metrics
                link.outputs = {name: Path(path) for name, path in outputs.items()}
                link.forget_checkpoint()
            case messages.Stopped(_, reason):
                link.standing, link.error = Standing.STOPPED, reason
            case messages.CheckpointRefused(_, reason):
                if link is self._chain.held and link.standing is Standing.AT_RUNNER and self._states:
                    link.standing = Standing.FETCHING
                    self._fall_back(reason)
                else:
                    self._fail(link, reason)
            case messages.Failed(_, error, traceback, final):
                self._fail(link, f"{error}\n{tail(link.directory / messages.LOG_NAME) or traceback}", final=final)
            case messages.Unsuitable(_, reason):
                self._fail(link, reason)
                link.standing = Standing.UNSUITABLE

    def _fail(self, link: Link, error: str, *, final: bool = False) -> None:
        link.standing, link.error, link.final = Standing.FAILED, error, final
        self._chain.cut_after(link)

    # --- what is to be done ---

    def _settle(self) -> Result | None:
        """Do what has become possible; a result ends the attempt."""
        if self._chain.empty:
            return Result.DONE
        held = self._chain.held
        if held.checkpoint is not None and not self._saving:
            self._save(held)
        match held.standing:
            case Standing.FAILED:
                return self._failed(held)
            case Standing.UNSUITABLE:
                self._release(held.error, refused=True)
                return Result.REFUSED
            case Standing.UNKEPT:
                self._release(held.error, refused=True)
                return Result.UNKEPT
            case Standing.STOPPED if not self._saving:
                self._release(held.error or None)
                return Result.RELEASED
            case Standing.FINISHED if not self._uploading and not self._trouble.is_waiting(UploadDue()):
                run = self._chain.finished()
                self._uploading = len(run)
                self._worker.transfers.upload_outputs(uploads(run))
        self._look_ahead()
        return None

    def _save(self, link: Link) -> None:
        assert link.checkpoint is not None, "there is a checkpoint to save"
        self._worker.transfers.upload_checkpoint(link.job, *link.checkpoint)
        link.checkpoint, self._saving = None, True

    def _look_ahead(self) -> None:
        """While the last job computes, have what goes on from it fetched: the runner will not wait for it."""
        last = self._chain.last
        waiting = self._worker.stopping() or not self._worker.chained or last.looked_ahead
        if waiting or last.stage is not Stage.TRAIN or last.standing not in (Standing.AT_RUNNER, Standing.FINISHED):
            return
        if last is not self._chain.held and last.progress is None and last.standing is Standing.AT_RUNNER:
            return  # it is next and does not compute yet
        last.looked_ahead = True
        try:
            upcoming = self._jobs.following(last.job)
        except OrchError:
            return  # it can be claimed when it is ready, and says then what is wrong with it
        if upcoming is not None:
            self._chain.append(self._link(upcoming, follows=last.job))
            self._fetch(self._chain.last, upcoming.inputs)

    def _fetch_first(self) -> None:
        state = self._states[0]
        others = {name: artifact for name, artifact in self._holding.lease.inputs.items() if name != "state"}
        self._fetch(self._chain.held, {**others, "state": state} if state else others)

    def _fetch(self, link: Link, wanted: Mapping[str, Artifact]) -> None:
        link.wanted, link.asked = wanted, time.monotonic()
        try:
            # Not with its parents: the worker's directory is locked, and another of its name would not be.
            self._worker.directory.mkdir(mode=0o700, exist_ok=True)
            link.directory.mkdir(exist_ok=True)
        except OSError as error:
            self._worker.inbox.put(FetchFailed(link.job, "directory", as_trouble(error)))
            return
        self._worker.transfers.fetch(link.job, wanted)

    def _start(self, job: str, files: Mapping[str, Path]) -> None:
        link = self._chain.find(job)
        if link is None or link.standing is not Standing.FETCHING:
            return
        if not self._orders.alive:  # it may have died before there was this attempt to tell it to
            link.standing = Standing.STOPPED
            return
        link.standing = Standing.AT_RUNNER
        self._orders.give(link.order(files, self._worker.pace))

    def _complete(self, artifacts: Mapping[str, Mapping[str, Artifact]]) -> None:
        """The uploaded jobs are completed, and what goes on from them is claimed."""
        count, self._uploading = self._uploading, 0
        finished = [
            Finished(link.job, artifacts[link.job], link.metrics)
            for link in self._chain.finished()
            if link.job in artifacts
        ]
        if len(finished) != count or not finished:
            return  # overdue meanwhile
        after = self._chain.after(count)
        then = after.job if after is not None and after.worth_claiming else None
        try:
            may_go_on = self._worker.chained and not self._worker.stopping()
            following = self._holding.complete(finished, then, or_best=may_go_on)
        except ChainBroken as broken:
            self._say(f"{broken} What was done of it ahead is void.")
            self._chain.cut_after(self._chain.held)
            return
        for link in self._chain.drop(count):
            self._say(f"{link.name} is done")
            shutil.rmtree(link.directory, ignore_errors=True)
        self._states = []
        if following is not None and following.job == then:
            self._say(f"{following.name} goes on from it")
        else:
            self.next = following
            self._chain.drop_all()

    def _fall_back(self, reason: str) -> None:
        """The state is missing, damaged or another's: go on from the one before it, if there is one."""
        held = self._chain.held
        refused, *left = self._states
        self._holding.refuse(refused)
        # Beside a holder that is late the newest may be newer than all that there were when the job was claimed, and
        # those be gone.
        named = [checkpoint.artifact for checkpoint in self._holding.lease.checkpoints]
        self._states = [*named, *(state for state in left if state not in named)]
        if not self._states:
            self._fail(held, f"There is no state left that {held.name} could begin with: {reason}")
            return
        self._say(f"{reason} {held.name} goes on from another state.")
        self._fetch_first()

    def _progress(self) -> Mapping[str, object] | None:
        said = self._chain.held.progress
        if said is None and self._trouble.shortage is None:
            return None
        held = self._holding.lease.checkpoints
        told = {"step": held[0].step if held else 0} if said is None else asdict(said)
        return {**{key: value for key, value in told.items() if key != "job"}, "shortage": self._trouble.shortage}

    def _failed(self, link: Link) -> Result:
        state = self._holding.fail(link.error, final=link.final)
        self._say(f"{link.name} failed and is {state} now: {link.error.splitlines()[0]}")
        return Result.FAILED

    def _release(self, reason: str | None = None, *, refused: bool = False) -> None:
        self._holding.release(self._progress(), reason, refused=refused)
        self._say(f"{self._chain.held.name} is given back{f': {reason}' if reason else ''}")

    def _link(self, job: Lease | Upcoming, follows: str | None = None) -> Link:
        directory = self._worker.directory / job.job
        return Link(job.job, job.name, job.stage, job.spec, directory, follows)

    def _say(self, text: str) -> None:
        self._worker.console.say(text)
