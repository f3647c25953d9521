"""The lease keeper: renews the lease that a worker holds, and ends it though the home cannot be reached for a while.

What an unreachable home means to a worker stands in `workers.outage`; what a job's end is, in `workers.session`.
"""

from __future__ import annotations

import functools
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from orchestrator.errors import HomeError, StoreError
from orchestrator.jobs import Artifact, Checkpoint, Finished, JobState, Lease, WorkerInfo
from orchestrator.jobtable import JobTable
from workers.outage import Outage

_HEARTBEATS_PER_LEASE = 3
"""Three renewals fit into a lease: two may fail before the job is given to another worker."""
_EARLIEST_HEARTBEAT = 0.8
"""Each heartbeat comes a little early, at random: workers that began together would else meet for hours."""

T = TypeVar("T")


class LeaseKeeper:
    """Keeps one lease after another, each of the job that goes on from the one before.

    Every method raises LeaseLost when the job is somebody else's by now, and HomeError when the home cannot be
    reached and the worker must end, or it is given up.
    """

    def __init__(
        self,
        jobs: JobTable,
        lease: Lease,
        info: WorkerInfo,
        stopping: Callable[[], bool],
        outage: Outage,
        delete: Callable[[tuple[Artifact, ...]], None],
    ) -> None:
        self._jobs = jobs
        self.lease = lease
        self._info = info
        self._stopping = stopping
        self._outage = outage
        self._delete = delete
        self._unnamed: Checkpoint | None = None
        """A checkpoint that is uploaded, while the table could not be told of it yet."""
        self.next_heartbeat = -math.inf
        """When the lease is to be renewed, on the monotonic clock."""
        self._heartbeat_within(lease.seconds)

    def renew(self, progress: Mapping[str, Any] | None, checkpoint: Checkpoint | None = None) -> None:
        """Renew the lease.  A home that cannot be reached does not end the job: the lease may hold."""
        self._unnamed = checkpoint or self._unnamed
        try:
            self.lease = self._jobs.renew(self.lease, progress, self._unnamed)
        except HomeError as error:
            self._heartbeat_in(self._outage.met(error, self.lease.seconds))
            return
        self._outage.over()
        self._unnamed = None
        self._heartbeat_within(self.lease.seconds)
        self._delete(self.lease.obsolete)

    def discard(self, artifact: Artifact | None) -> None:
        """Forget the checkpoint of this file, if it is one."""
        for checkpoint in self.lease.checkpoints:
            if checkpoint.artifact == artifact:
                self.lease = self._insist(functools.partial(self._jobs.discard, self.lease, checkpoint))

    def complete(self, finished: Sequence[Finished], then: str | None, *, or_best: bool) -> Lease | None:
        """Complete, and hold the job that goes on from there, or the best, if there is one.  Raises ChainBroken."""
        complete = functools.partial(self._jobs.complete, self.lease, finished, self._info)
        try:
            completed = self._insist(lambda: complete(then=then, or_best=or_best))
        except StoreError:
            # Something is wrong with the job that would have been claimed: whoever claims it by itself will say so.
            completed = self._insist(complete)
        self._delete(completed.obsolete)
        self._unnamed = None
        if completed.next is not None:
            self.lease = completed.next
            self._heartbeat_within(self.lease.seconds)
        return completed.next

    def fail(self, error: str, *, final: bool) -> JobState:
        return self._insist(lambda: self._jobs.fail(self.lease, error, final=final))

    def release(self, progress: Mapping[str, Any] | None, reason: str | None, *, rejected: bool) -> None:
        unnamed = self._unnamed
        if unnamed is not None:
            self.lease = self._insist(lambda: self._jobs.renew(self.lease, progress, unnamed))
        self._insist(lambda: self._jobs.release(self.lease, reason, rejected=rejected))

    def _insist(self, operation: Callable[[], T]) -> T:
        """Do an operation however long the home is away: the work is done and must not be lost."""
        while True:
            try:
                outcome = operation()
            except HomeError as error:
                if self._stopping():
                    raise
                self._outage.wait(self._outage.met(error, self.lease.seconds))
            else:
                self._outage.over()
                return outcome

    def _heartbeat_within(self, lease_seconds: float) -> None:
        self._heartbeat_in(lease_seconds / _HEARTBEATS_PER_LEASE * random.uniform(_EARLIEST_HEARTBEAT, 1.0))

    def _heartbeat_in(self, seconds: float) -> None:
        self.next_heartbeat = time.monotonic() + seconds
