"""The contract of the job table: what coordinator and workers may do with jobs, whichever backend they live in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from orchestrator import untrusted
from orchestrator.errors import HomeError
from orchestrator.jobs import (
    Artifact,
    Attempt,
    Checkpoint,
    Completed,
    FailureStatistics,
    Finished,
    Job,
    JobState,
    Lease,
    MeasuringDevices,
    Stage,
    Upcoming,
    WorkerInfo,
)
from orchestrator.jobtable.backends.backend import Backend, T
from orchestrator.jobtable.schema import creation, rows
from orchestrator.jobtable.transactions import chain, claim, complete, copies, interventions, leases, publish, queries
from orchestrator.jobtable.transactions.complete import ChainBroken
from orchestrator.jobtable.transactions.interventions import Cancellation
from orchestrator.jobtable.transactions.leases import LeaseLost
from orchestrator.jobtable.transactions.overview import Overview, Waiting, failure_statistics, overview, waiting
from orchestrator.jobtable.transactions.publish import PlanChange, WorkAtStake
from orchestrator.jobtable.transactions.queries import PlannedStudy

if TYPE_CHECKING:  # see `transactions.publish`
    from orchestrator.planning.planner import Plan

__all__ = ["Cancellation", "ChainBroken", "JobTable", "LeaseLost", "PlanChange", "PlannedStudy", "WorkAtStake"]


class JobTable:
    """Jobs that are handed out one holder at a time, with a speculative attempt beside one that is late, and done once.

    Promises, whatever dies and whenever:

    - A job has at most one live token, and a second one while a speculative attempt runs beside a holder that is late.
      Every write of a worker carries its lease's token; one that is no longer the job's gets `LeaseLost` and changes
      nothing.
    - `done` is never undone, and a job is never claimable before its parents are done.
    - Only a lease that expired by the backend's clock takes a job from a worker that did not give it back.
    - Each operation is one transaction: it has happened wholly or not at all.

    Every operation may raise `HomeError` when the backend cannot be reached.  Nothing of it has happened then,
    or all of it; `renew` may be tried again, and a `complete` tried again says `LeaseLost` if it had happened.

    Threads: any thread may call any operation at any time, and each waits for its own transaction alone.  Two threads
    that act under one lease are one worker, which has to put its writes in order itself.  `close` is for when no other
    thread is in an operation.  A process that was forked opens a table of its own.
    """

    def __init__(self, backend: Backend, where: str) -> None:
        self._backend = backend
        self._where = where

    def _transact(self, change: Callable[[Connection], T], *, exclusive: bool = False) -> T:
        with untrusted.understood(self._where):
            return self._backend.transact(change, exclusive=exclusive)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with untrusted.understood(self._where), self._backend.reading() as connection:
            yield connection

    # --- for the coordinator ---

    def create(self) -> None:
        """Make the tables if they are not there yet, or migrate those of an older Orch.

        Raises:
            HomeError: a newer Orch made them.
        """
        self._transact(self._make_tables, exclusive=True)

    def _make_tables(self, connection: Connection) -> None:
        creation.create_tables(connection, self._where)
        if not creation.is_current(connection, self._where):
            # Here and not above: every command would wait until Alembic is loaded, and hardly one needs it.
            from orchestrator.jobtable.schema.migration import migrate

            migrate(connection)

    def exists(self) -> bool:
        """Whether the tables are there, of whichever version."""
        with self._reading() as connection:
            return queries.has_tables(connection)

    def check(self) -> None:
        """Migrate the tables if an older Orch made them.

        Raises:
            HomeError: a newer Orch made them, or they are not there.
        """
        with self._reading() as connection:
            current = creation.is_current(connection, self._where)
        if not current:
            self.create()

    def preview(self, plan: Plan) -> PlanChange:
        """What `publish` would do now; nothing is changed.  Raises UsageError if the table holds another study."""
        with self._reading() as connection:
            return publish.preview(connection, plan)

    def publish(
        self,
        plan: Plan,
        data: Mapping[str, Artifact] | None = None,
        notes: Sequence[str] = (),
        *,
        cautious: bool = False,
    ) -> PlanChange:
        """Make the table hold this plan: what is the same is kept, what vanished is cancelled.

        Args:
            data: shards and test set by the names that the plan gives them: those not published before, and those that
                were put again.
            notes: what every report of the study must say.
            cautious: leave everything as it is if what somebody has computed would be touched.

        Raises:
            UsageError: the table holds another study.
            WorkAtStake: it was to be cautious, and would have disturbed.
        """

        def all_of_it(connection: Connection) -> PlanChange:
            now = self._backend.now(connection)
            change = publish.publish(connection, plan, data or {}, notes, now, cautious=cautious)
            self._backend.analyze(connection)
            return change

        return self._transact(all_of_it, exclusive=True)

    def retry(self, job: str) -> Job:
        """Quarantined to ready, its failures and its error forgotten.

        Raises:
            UsageError: it is not quarantined, or unknown.
        """
        # Alone, as `cancel`: between looking and writing, a plan or another person may decide about the job.
        self._transact(
            lambda connection: interventions.retry(connection, queries.find(connection, job)), exclusive=True
        )
        return self.job(job)

    def cancellation(self, job: str) -> Cancellation:
        """What `cancel` would do now; nothing is changed.  Raises UsageError if the job is done or unknown."""
        with self._reading() as connection:
            return interventions.cancellation(connection, queries.find(connection, job))

    def cancel(self, job: str) -> int:
        """Cancel a job and all that waits for it; returns how many.  Raises UsageError if it is done or unknown."""

        def found_and_cancelled(connection: Connection) -> int:
            return interventions.cancel(connection, queries.find(connection, job), self._backend.now(connection))

        return self._transact(found_and_cancelled, exclusive=True)

    # --- for a worker ---

    def claim(self, worker: WorkerInfo) -> Lease | None:
        """Lease the best ready job, after taking back the expired ones, or a late one; None if there is none just now.

        Raises:
            StoreError: the job's inputs were never published.
        """
        return self._transact(lambda connection: claim.claim(connection, worker, self._backend.now(connection)))

    def complete(
        self,
        lease: Lease,
        finished: Sequence[Finished],
        worker: WorkerInfo,
        *,
        then: str | None = None,
        or_best: bool = False,
    ) -> Completed:
        """Complete the lease's job and those of its chain that were done after it, and claim what comes next.

        Each of them counts as if it had been claimed and completed by itself; but the state between two of them need
        not be kept, because the next is done when the one before it is.  It is one transaction, which costs half of
        completing and then claiming.

        Args:
            finished: a run of a chain, the lease's job first.
            then: the id of the job that follows them, to be claimed.
            or_best: if `then` is not to be had, or not given, claim what `claim` would.

        Raises:
            LeaseLost: somebody else holds the lease's job or has done it; their result stands.
            ChainBroken: one of the others was cancelled or taken.
            StoreError: the inputs of the job to be claimed were never published.  Nothing was completed in any case.
        """
        completed = self._transact(
            lambda connection: complete.complete(
                connection, lease, finished, worker, self._backend.now(connection), then=then, or_best=or_best
            )
        )
        return dataclasses.replace(completed, obsolete=self._let_go(completed.obsolete))

    def following(self, job: str) -> Upcoming | None:
        """The training that goes on from this job (by id) and waits for nothing else; None if there is no such."""
        with self._reading() as connection:
            return chain.following(connection, job)

    def renew(
        self, lease: Lease, progress: Mapping[str, Any] | None = None, checkpoint: Checkpoint | None = None
    ) -> Lease:
        """Count the lease from now on again, and tell how far the job is.

        Returns:
            the lease with the checkpoints it has now, and those that no row names any more as `obsolete`: the one
            that was given, too, if another worker at the job has named two newer ones.

        Raises:
            LeaseLost: the lease expired and was reaped, or the job was cancelled.
        """
        renewed = self._transact(
            lambda connection: leases.renew(connection, lease, progress, checkpoint, self._backend.now(connection))
        )
        return dataclasses.replace(renewed, obsolete=self._let_go(renewed.obsolete))

    def discard(self, lease: Lease, checkpoint: Checkpoint) -> Lease:
        """Forget a checkpoint that turned out damaged; the lease that is returned has the ones that are left.

        Raises:
            LeaseLost: the lease expired and was reaped, or the job was cancelled.
        """
        return self._transact(lambda connection: leases.discard(connection, lease, checkpoint))

    def fail(self, lease: Lease, error: str, *, final: bool = False) -> JobState:
        """One failure more; the state says whether the job will be tried again, or is done by another worker now.

        Raises LeaseLost.

        Args:
            final: another try would end the same, so there is none.
        """
        return self._transact(
            lambda connection: leases.fail(connection, lease, error, self._backend.now(connection), final=final)
        )

    def release(self, lease: Lease, reason: str | None = None, *, rejected: bool = False) -> None:
        """Give the job back undone, at no cost to its tries.  Raises LeaseLost.

        Args:
            rejected: this worker can never do it; the reason is shown until another has done it.
        """
        self._transact(
            lambda connection: leases.release(
                connection, lease, reason, self._backend.now(connection), rejected=rejected
            )
        )

    def _let_go(self, obsolete: tuple[Artifact, ...]) -> tuple[Artifact, ...]:
        """The files that may be deleted now: a power cut that took the commit back would leave rows that name them.

        The commit stands whatever happens here, so nothing is raised: files that stay are garbage, and swept later.
        """
        try:
            if obsolete:
                self._backend.make_durable()
        except HomeError:
            return ()
        return obsolete

    def copy_benchmarks(self, devices: MeasuringDevices) -> int:
        """Make the copies that the study wants measured on a worker's devices, of what is done and was measured
        elsewhere; returns how many.

        A worker calls it when there is nothing to claim, and claims them then.  There is one copy of a benchmark for
        a device, whoever makes it.
        """
        with self._reading() as connection:
            missing = copies.is_missing(connection, devices)
        if not missing:
            return 0  # most often, and a read costs no request on Drive as long as it is young
        return self._transact(lambda connection: copies.insert_missing(connection, devices), exclusive=True)

    def unfinished(self, besides: Collection[str] = (), capabilities: Collection[str] | None = None) -> bool:
        """Whether a worker that finds nothing to claim should wait for more than these jobs (by id).

        Args:
            capabilities: the worker's; None for who is none, and asks whether anybody has something to do.
        """
        with self._reading() as connection:
            return queries.unfinished(connection, besides, capabilities, self._backend.now(connection))

    # --- reads ---
    #
    # Of a snapshot a read may show a state that is some seconds old (`homes.kind.READS_GOOD_FOR_SECONDS`); what this
    # process has changed itself, it shows.

    def refresh(self) -> None:
        """Have the next read show the newest state."""
        self._backend.forget_reads()

    def study(self) -> PlannedStudy | None:
        """The study that was published; None before the first `publish`."""
        with self._reading() as connection:
            return queries.planned_study(connection)

    def jobs(self) -> list[Job]:
        """All jobs but those that are done and no longer asked for, by name."""
        with self._reading() as connection:
            return queries.all_jobs(connection)

    def some_jobs(
        self, stage: Stage | None = None, state: JobState | None = None, *, after: int = 0, most: int
    ) -> list[Job]:
        """A part of `jobs`: at most so many after the first `after`, of one stage and state if they are named."""
        with self._reading() as connection:
            return queries.some_jobs(connection, stage, state, after, most)

    def job(self, job: str) -> Job:
        """One job by its name, id or beginning of its id.  Raises UsageError."""
        with self._reading() as connection:
            return rows.as_job(queries.find(connection, job))

    def waiting(self) -> tuple[Waiting, ...]:
        """What is ready for devices that no worker at work has shown to have."""
        with self._reading() as connection:
            return waiting(connection, self._backend.now(connection))

    def overview(self) -> Overview:
        """What `orch status` tells, summed up by the database: as quick for many jobs as for few."""
        with self._reading() as connection:
            return overview(connection, self._backend.now(connection))

    def failure_statistics(self) -> FailureStatistics:
        """How long workers live, summed up by the database: what a worker goes by to decide when to checkpoint."""
        with self._reading() as connection:
            return failure_statistics(connection)

    def attempts(self, job: str | None = None) -> list[Attempt]:
        """Attempts in the order of their beginning; of one job (by id) or of all."""
        with self._reading() as connection:
            return queries.attempts(connection, job)

    def outputs(self, job: str) -> dict[str, Artifact]:
        """The outputs of a job (by id) by name; empty until it is done."""
        with self._reading() as connection:
            return queries.outputs_of(connection, job)

    def checkpoints(self, job: str) -> tuple[Checkpoint, ...]:
        """What a job (by id) would go on from, newest first; empty when it is done."""
        with self._reading() as connection:
            return leases.held_checkpoints(connection, job)

    def data(self) -> dict[str, Artifact]:
        """Shards and test set by name."""
        with self._reading() as connection:
            return queries.published_data(connection)

    def referenced_locations(self) -> set[str]:
        """Where the store has all files that any row names."""
        with self._reading() as connection:
            return queries.referenced_locations(connection)

    def is_referenced(self, location: str) -> bool:
        """Whether any row names a file of the store at this moment, and not at one that a reader may still be shown."""
        return self._transact(lambda connection: queries.is_referenced(connection, location))

    def close(self) -> None:
        self._backend.close()
