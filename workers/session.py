"""One lease and the chain that goes on from it: fetch inputs, hand jobs to the runner, keep the lease, upload, commit.

A session runs on the main thread of the supervisor's process, over one inbox, in which everything arrives in order.
Each event is noted, then `_settle` does what has become possible.

    thread             what it owns                                what it sends
    main               the session: its chain, lease keeper,       RunJob and Stop to the runner, requests to the
                       inputs, orders and trouble with the store   transfers, transactions to the job table
    runner's listener  the pipe from the runner                    the runner's messages, RunnerDied
    fetches            files on their way to this machine          Fetched, FetchFailed
    uploads            files on their way to the store             CheckpointUploaded, CheckpointNotKept,
                                                                   OutputsUploaded, OutputsNotKept
    shutdown           the pipe of signals, the time that is left  StopAsked; ends the process when that is over
    console            the output                                  nothing

What the other threads send goes into the inbox.  The main thread gives itself StopAsked, Overdue, UploadDue, FetchDue
and NoRoom when it is time for them.  The threads of the runner's process stand in `workers.runner.connection`.

The next job of a chain is sent to the runner before the one at hand is done, and computes while the state between them
is on its way to the store.  It is claimed when that one is completed: until then it is this worker's own risk.  Each
chain step has a status of its own:

    FETCHING  -> AT_RUNNER    its inputs are here
    AT_RUNNER -> FETCHING     its state was discarded: an older one is fetched
    AT_RUNNER -> FINISHED     computed
    FINISHED  -> off the chain, when its outputs are uploaded and the job is completed
    any       -> STOPPED      left undone: a shutdown notice, files that somebody deleted, inputs that did not come
    any       -> FAILED       it raised, the runner died, an input is damaged
    any       -> UNSUITABLE   this machine can never do it
    any       -> UNKEPT       the store has had no room for too long

When the first of the chain, whose lease this is, comes to one of the last four, the session ends: the job is released
(STOPPED), failed, or rejected (UNSUITABLE, UNKEPT).
"""

from __future__ import annotations

import math
import queue
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from orchestrator.artifacts import ArtifactDamaged, StoreFull
from orchestrator.errors import DiskError, HomeError, OrchError, StoreError
from orchestrator.jobs import Artifact, Checkpoint, Finished, Lease, Stage, Upcoming
from orchestrator.jobtable import ChainBroken, JobTable, LeaseLost
from workers.chain import Chain, ChainStep, Status, uploads
from workers.inbox import Event, FetchDue, NoRoom, Overdue, StopAsked, UploadDue
from workers.lease_keeper import LeaseKeeper
from workers.machine.scratch import FilesLost
from workers.machine.shutdown import NOTICE_SECONDS
from workers.orders import Orders
from workers.runner import messages
from workers.runner.process import RunnerDied
from workers.store.inputs import Inputs
from workers.store.transfers import (
    CheckpointNotKept,
    CheckpointUploaded,
    Fetched,
    FetchFailed,
    OutputsNotKept,
    OutputsUploaded,
)
from workers.store.trouble import StoreTrouble
from workers.worker import Result, Worker

_STOP_SECONDS = NOTICE_SECONDS - 7.0
"""How long a session goes on after a shutdown notice; its last transaction may take the rest of the time."""

_STORE_WAIT_SECONDS = 10.0
"""After how long a store that did not take or give a file is asked again."""

_FETCH_SECONDS = 300.0
"""How long inputs are asked for: nothing was computed yet, and the trouble may be this machine's alone."""


class Session:
    """The course of one lease.  `run` returns when the chain that begins with it is committed, released or lost.

    Once `stopping` is true it returns within `_STOP_SECONDS` and a transaction, if runner or store hang.
    """

    def __init__(self, jobs: JobTable, lease: Lease, worker: Worker) -> None:
        self._jobs = jobs
        self._worker = worker
        self._lease_keeper = LeaseKeeper(
            jobs, lease, worker.info, worker.stopping, worker.outage, worker.transfers.delete
        )
        self.next: Lease | None = None
        """A lease of a job that does not belong to this chain, claimed when the last of the chain was completed."""
        self._chain = Chain(self._chain_step(lease))
        self._inputs = Inputs(lease, worker)
        self._orders = Orders(worker.runner, worker.hung_seconds)
        self._uploading = 0
        """How many jobs the outputs are of that are on their way to the store."""
        self._trouble = StoreTrouble()
        self._saving = False
        """Whether a checkpoint is on its way to the store."""
        self._deadline = math.inf

    def run(self) -> Result:
        lease = self._lease_keeper.lease
        again = f" again at its step {lease.checkpoints[0].step}" if lease.checkpoints else ""
        self._say(f"{lease.name} begins{again}")
        try:
            self._inputs.fetch_first(self._chain.held, lease)
            result = None
            while result is None:
                self._note(self._next_event())
                result = self._settle()
        except LeaseLost as lost:
            self._say(f"{lost} What its holder does stands.")
            result = Result.LOST
        except HomeError as error:
            self._say(f"{self._lease_keeper.lease.name} is left to its lease, which will expire: {error}")
            result = Result.LOST
        # The runner must be idle when the next session begins.
        self._orders.leave(self._worker.inbox, min(self._deadline, time.monotonic() + _STOP_SECONDS))
        shutil.rmtree(self._worker.directory, ignore_errors=True)
        return result

    @property
    def job(self) -> str:
        """The id of the job whose lease the session holds, or held last."""
        return self._lease_keeper.lease.job

    @property
    def lacking(self) -> StoreFull | None:
        """What the store said when it had no room, if it has none."""
        return self._trouble.full

    def _next_event(self) -> Event:
        """Wait for the next event; the lease is renewed whenever that is due in between."""
        while True:
            if self._worker.stopping() and self._deadline == math.inf:
                self._deadline = time.monotonic() + _STOP_SECONDS
                return StopAsked()
            now = time.monotonic()
            if now >= self._deadline:
                return Overdue()
            if now >= self._orders.hung_at:
                return RunnerDied(f"the runner gave no sign of life for {self._worker.hung_seconds:.0f} s")
            gives_up = self._trouble.gives_up_at(self._lease_keeper.lease.seconds)
            if now >= gives_up:
                return NoRoom()
            if (again := self._trouble.take_due()) is not None:
                return again
            if now >= self._lease_keeper.next_heartbeat:
                self._lease_keeper.renew(self._progress())
            until = min(
                self._lease_keeper.next_heartbeat,
                self._deadline,
                self._orders.hung_at,
                gives_up,
                self._trouble.next_due,
            )
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
                self._chain.held.stop()
                self._chain.held.checkpoint = None
                self._uploading, self._saving = 0, False
            case Fetched(job, files):
                self._start(job, files)
            case FetchFailed(job, name, error):
                self._not_fetched(job, name, error)
            case CheckpointUploaded(job, job_step, artifact, shortage):
                self._saving = False
                self._trouble.answered(shortage)
                if job == self._lease_keeper.lease.job:
                    self._lease_keeper.renew(self._progress(), Checkpoint(job_step, artifact))
            case CheckpointNotKept(job, error, shortage):
                self._saving = False
                self._trouble.answered(shortage, error)
                self._say(
                    f"A checkpoint of {self._lease_keeper.lease.name} was not kept, the training goes on: {error}"
                )
            case OutputsUploaded(artifacts, shortage):
                self._trouble.answered(shortage)
                self._complete(artifacts)
            case OutputsNotKept(error, shortage):
                self._uploading = 0
                self._trouble.answered(shortage, error)
                self._not_done(self._chain.held, UploadDue(), error)
            case NoRoom():
                self._chain.held.status, self._chain.held.error = Status.UNKEPT, str(self._trouble.full)
            case RunnerDied(reason):
                self._orders.end()
                self._chain.runner_died(reason, self._worker.runner.log_tail)
            case FetchDue(job):
                self._fetch_again(job)
            case UploadDue() | messages.Ready() | messages.RunJob() | messages.Stop():
                pass
            case _:
                self._orders.heard(event)
                self._from_runner(event)

    def _not_done(self, chain_step: ChainStep, again: UploadDue | FetchDue, error: OrchError) -> None:
        """Note that a transfer failed.

        A job waits for a store that is full or out of reach, which is no fault of its own.  A disk that is full is this
        machine's fault, and no other's.
        """
        match error:
            case StoreError() if isinstance(again, FetchDue) and time.monotonic() > chain_step.asked + _FETCH_SECONDS:
                self._say(f"{chain_step.name} is left to others: {error}")
                chain_step.stop()
            case StoreError():
                self._trouble.ask_again(again, _STORE_WAIT_SECONDS)
                self._worker.console.say_once(f"{error} Trying again every {_STORE_WAIT_SECONDS:.0f} s.")
            case FilesLost():
                chain_step.stop(str(error))
            case DiskError():
                self._chain.fail(chain_step, str(error), Status.UNSUITABLE)
            case _:
                self._chain.fail(chain_step, str(error))

    def _stop(self) -> None:
        """Have what computes checkpointed; what is finished is committed, and what was not begun is released."""
        for chain_step in self._chain:
            if chain_step.status is Status.FETCHING:
                chain_step.stop()
        self._orders.ask_to_stop()

    def _not_fetched(self, job: str, name: str, error: OrchError) -> None:
        chain_step = self._chain.find(job)
        if chain_step is None or chain_step.status is not Status.FETCHING:
            return
        match error:
            case ArtifactDamaged() if chain_step is self._chain.held and name == "state":
                self._fall_back(str(error))
            case ArtifactDamaged():
                self._chain.fail(chain_step, f"The input {name!r} cannot be had: {error}")
            case _:
                self._not_done(chain_step, FetchDue(job), error)

    def _fetch_again(self, job: str) -> None:
        chain_step = self._chain.find(job)
        if chain_step is not None and chain_step.status is Status.FETCHING:
            self._inputs.fetch_again(chain_step)

    def _from_runner(self, event: messages.Progress | messages.CheckpointWritten | messages.Ending) -> None:
        chain_step = self._chain.find(event.job)
        if chain_step is None:
            return
        match event:
            case messages.Progress():
                self._worker.console.show_progress(chain_step.name, event, self._worker.seconds_left())
            case messages.CheckpointDiscarded(_, reason):
                if chain_step is self._chain.held and chain_step.status is Status.AT_RUNNER and self._inputs.has_state:
                    chain_step.status = Status.FETCHING
                    self._fall_back(reason)
                    return
        self._chain.note(chain_step, event)

    # --- what is to be done ---

    def _settle(self) -> Result | None:
        """Do what has become possible; a result ends the session."""
        if self._chain.empty:
            return Result.DONE
        held = self._chain.held
        if held.checkpoint is not None and not self._saving:
            self._save(held)
        match held.status:
            case Status.FAILED:
                return self._failed(held)
            case Status.UNSUITABLE:
                self._release(held.error, rejected=True)
                return Result.REJECTED
            case Status.UNKEPT:
                self._release(held.error, rejected=True)
                return Result.UNKEPT
            case Status.STOPPED if not self._saving:
                self._release(held.error or None)
                return Result.RELEASED
            case Status.FINISHED if not self._uploading and not self._trouble.is_waiting(UploadDue()):
                run = self._chain.finished()
                self._uploading = len(run)
                self._worker.transfers.upload_outputs(uploads(run))
        self._look_ahead()
        return None

    def _save(self, chain_step: ChainStep) -> None:
        assert chain_step.checkpoint is not None, "there is a checkpoint to save"
        self._worker.transfers.upload_checkpoint(chain_step.job, *chain_step.checkpoint)
        chain_step.checkpoint, self._saving = None, True

    def _look_ahead(self) -> None:
        """Have the inputs of the next job fetched while the last of the chain computes: the runner will not wait."""
        last = self._chain.last
        waiting = self._worker.stopping() or not self._worker.chained or last.looked_ahead
        if waiting or last.stage is not Stage.TRAIN or last.status not in (Status.AT_RUNNER, Status.FINISHED):
            return
        if last is not self._chain.held and last.progress is None and last.status is Status.AT_RUNNER:
            return  # it is next and does not compute yet
        last.looked_ahead = True
        try:
            upcoming = self._jobs.following(last.job)
        except OrchError:
            return  # it can be claimed when it is ready, and says then what is wrong with it
        if upcoming is not None and self._worker.trust.refusal(upcoming.spec) is None:
            self._chain.append(self._chain_step(upcoming, follows=last.job))
            self._inputs.fetch(self._chain.last, upcoming.inputs)

    def _start(self, job: str, files: Mapping[str, Path]) -> None:
        chain_step = self._chain.find(job)
        if chain_step is None or chain_step.status is not Status.FETCHING:
            return
        if not self._orders.alive:  # it may have died before there was this session to tell it to
            chain_step.stop()
            return
        chain_step.status = Status.AT_RUNNER
        self._orders.give(chain_step.order(files, self._worker.checkpoint_policy))

    def _complete(self, artifacts: Mapping[str, Mapping[str, Artifact]]) -> None:
        """Complete the uploaded jobs, and claim what goes on from them."""
        count, self._uploading = self._uploading, 0
        finished = [
            Finished(chain_step.job, artifacts[chain_step.job], chain_step.metrics)
            for chain_step in self._chain.finished()
            if chain_step.job in artifacts
        ]
        if len(finished) != count or not finished:
            return  # overdue meanwhile
        after = self._chain.after(count)
        then = after.job if after is not None and after.worth_claiming else None
        try:
            may_go_on = self._worker.chained and not self._worker.stopping()
            following = self._lease_keeper.complete(finished, then, or_best=may_go_on)
        except ChainBroken as broken:
            self._say(f"{broken} What was done of it ahead is void.")
            self._chain.cut_after(self._chain.held)
            return
        for chain_step in self._chain.drop(count):
            self._say(f"{chain_step.name} is done")
            shutil.rmtree(chain_step.directory, ignore_errors=True)
        self._inputs.forget_states()
        if following is not None and following.job == then:
            self._say(f"{following.name} goes on from it")
        else:
            self.next = following
            self._chain.drop_all()

    def _fall_back(self, reason: str) -> None:
        """Go on from an older state than the one that is missing, damaged or another's, if there is one."""
        held = self._chain.held
        self._lease_keeper.discard(self._inputs.state)
        lease = self._lease_keeper.lease
        self._inputs.drop_state(lease)
        if not self._inputs.has_state:
            self._chain.fail(held, f"There is no state left that {held.name} could begin with: {reason}")
            return
        self._say(f"{reason} {held.name} goes on from another state.")
        self._inputs.fetch_first(held, lease)

    def _progress(self) -> Mapping[str, object] | None:
        said = self._chain.held.progress
        if said is None and self._trouble.shortage is None:
            return None
        held = self._lease_keeper.lease.checkpoints
        told = {"step": held[0].step if held else 0} if said is None else said.for_table()
        return {**told, "shortage": self._trouble.shortage, "seconds_left": self._worker.seconds_left()}

    def _failed(self, chain_step: ChainStep) -> Result:
        state = self._lease_keeper.fail(chain_step.error, final=chain_step.final)
        self._say(f"{chain_step.name} failed and is {state} now: {chain_step.error.splitlines()[0]}")
        return Result.FAILED

    def _release(self, reason: str | None = None, *, rejected: bool = False) -> None:
        self._lease_keeper.release(self._progress(), reason, rejected=rejected)
        self._say(f"{self._chain.held.name} is given back{f': {reason}' if reason else ''}")

    def _chain_step(self, job: Lease | Upcoming, follows: str | None = None) -> ChainStep:
        directory = self._worker.directory / job.job
        return ChainStep(job.job, job.name, job.stage, job.spec, directory, follows)

    def _say(self, text: str) -> None:
        self._worker.console.say(text)
