"""The job table against a model of it, under whatever order of events Hypothesis finds.

Workers claim, renew, complete, fail and give back the jobs of a small random graph, copy what another device has
measured, fall silent and come back too late; a person cancels, retries and plans again; the clock jumps, backwards too.
`Expected` says in a few lines what must follow from each event; after every one the table is compared with it and with
the promises of `JobTable`.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Row

from orchestrator.errors import UsageError
from orchestrator.jobs import (
    Artifact,
    Checkpoint,
    Device,
    Ending,
    Finished,
    JobState,
    Lease,
    MeasuringDevices,
    PlannedJob,
    Stage,
    WorkerInfo,
    device_key,
)
from orchestrator.jobtable import JobTable, LeaseLost
from orchestrator.jobtable.transactions import copies
from orchestrator.jobtable.transactions.leases import FIRST_BACK_OFF_SECONDS, KEPT_CHECKPOINTS, LONGEST_BACK_OFF_SECONDS
from orchestrator.planning.planner import Plan
from tests.support.jobtable_backends import (
    ENGINES,
    BackendOf,
    Contents,
    SettableBackend,
    artifact,
    complete,
    contents,
    on_every_kind,
    output_names,
    plan_of,
    planned_job,
)

EXAMPLES = "ORCH_TEST_EXAMPLES"
"""So many orders of events, and others every time, instead of the same few: for a search that takes hours."""
MOST_JOBS = 8
T = TypeVar("T")
WORKERS = ("w1", "w2", "w3")
DEVICES = {"w1": "an EPYC", "w2": "an EPYC", "w3": "a Xeon"}
ONE_OF_EACH_DEVICE = ("w1", "w3")

picks = st.integers(0, 40)
"""Which of some things that are known only when the rule runs."""


@on_every_kind(often=ENGINES)
@pytest.mark.parametrize("share", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_the_table_keeps_its_promises_in_every_order_of_events(backend_of: BackendOf, share: int) -> None:
    names = (f"example{number}" for number in itertools.count())
    run_state_machine_as_test(
        lambda: JobTableMachine(backend_of(next(names))),  # type: ignore[arg-type]  # any factory will do
        settings=settings(
            max_examples=int(os.environ.get(EXAMPLES, backend_of.scale.orders // share)),
            stateful_step_count=30,
            deadline=None,
            derandomize=EXAMPLES not in os.environ,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


@dataclass
class Expected:
    """What the model knows of one job."""

    job: PlannedJob
    copy_of: str | None = None
    device: str | None = None
    """The one that a copy is for."""
    measured_on: str | None = None
    planned: bool = True
    state: JobState = JobState.READY
    """READY stands for BLOCKED too: which of them it is follows from the parents."""
    attempts: int = 0
    failures: int = 0
    deaths_without_progress: int = 0
    death_step: int = -1
    not_before: float = 0.0
    lease_seconds: float = 0.0
    expires: float = 0.0
    checkpoints: dict[int, Artifact] = field(default_factory=dict)
    outputs: dict[str, Artifact] = field(default_factory=dict)

    @property
    def held(self) -> tuple[Checkpoint, ...]:
        return tuple(Checkpoint(step, self.checkpoints[step]) for step in sorted(self.checkpoints, reverse=True))

    def save(self, checkpoint: Checkpoint) -> None:
        known = {**self.checkpoints, checkpoint.step: checkpoint.artifact}
        self.checkpoints = {step: known[step] for step in sorted(known, reverse=True)[:KEPT_CHECKPOINTS]}

    def fail(self, tries: int) -> None:
        self.failures = min(self.failures + 1, tries)
        self.state = JobState.QUARANTINED if self.failures == tries else JobState.READY

    def die(self, tries: int) -> None:
        """One death is no fault of the job; several without a new checkpoint between them are."""
        limit = max(tries, 2)
        saved = self.held[0].step if self.held else 0
        self.deaths_without_progress = min(self.deaths_without_progress + 1 if saved <= self.death_step else 1, limit)
        self.death_step = saved
        self.state = JobState.QUARANTINED if self.deaths_without_progress == limit else JobState.READY

    def forget(self) -> None:
        """Retried, or asked for again: what went wrong before does not count."""
        self.state = JobState.READY
        self.failures, self.deaths_without_progress, self.death_step, self.not_before = 0, 0, -1, 0.0

    def plan(self, seconds: float, tries: int) -> None:
        self.planned, self.lease_seconds = True, seconds
        self.failures, self.deaths_without_progress = (
            min(self.failures, tries),
            min(self.deaths_without_progress, max(tries, 2)),
        )


@st.composite
def graphs(draw: st.DrawFn) -> tuple[PlannedJob, ...]:
    """Chains of trainings that branch, jobs of another stage that hang on anything before them, and benchmarks."""
    made: list[PlannedJob] = []
    for number in range(draw(st.integers(3, MOST_JOBS))):
        trainings = [job for job in made if job.stage is Stage.TRAIN]
        stage = draw(st.sampled_from([Stage.TRAIN, Stage.COMPRESS]))
        candidates, most = (trainings, 1) if stage is Stage.TRAIN else (made, 3)
        some = st.lists(st.sampled_from(candidates), max_size=most, unique_by=lambda job: job.id)
        parents = draw(some) if candidates else []
        made.append(planned_job(f"job{number}", stage, parents))
    measured = draw(st.lists(st.sampled_from(made), min_size=1, max_size=2, unique_by=lambda job: job.id))
    return (*made, *(planned_job(f"{job.name}/benchmark", Stage.BENCHMARK, [job]) for job in measured))


class JobTableMachine(RuleBasedStateMachine):
    def __init__(self, backend: SettableBackend) -> None:
        super().__init__()
        self.backend = backend
        self.table = JobTable(backend, "here")
        self.table.create()
        self.graph: tuple[PlannedJob, ...] = ()
        self.tries = 1
        self.each_device = False
        self.expected: dict[str, Expected] = {}
        self.live: dict[str, Lease] = {}
        """The leases that hold, by job."""
        self.stale: list[Lease] = []
        self.seen: Contents = contents(backend)
        """The table after the last event."""

    @initialize(graph=graphs(), chosen=st.sets(picks), tries=st.integers(1, 4))
    def plan(self, graph: tuple[PlannedJob, ...], chosen: set[int], tries: int) -> None:
        # All trainings from the beginning: a state that only trainings read is dropped when they are done, and a
        # planner gives no chain a second end later.
        self.graph = graph
        trainings = {number for number, job in enumerate(graph) if job.stage is Stage.TRAIN}
        self.replan(chosen | trainings | {0}, seconds=5.0, tries=tries, each_device=True)

    @rule(
        chosen=st.sets(picks),
        seconds=st.sampled_from([2.0, 5.0]),
        tries=st.integers(1, 4),
        each_device=st.sampled_from([True, True, False]),
    )
    def replan(self, chosen: set[int], seconds: float, tries: int, each_device: bool) -> None:
        devices = "each" if each_device else "one"
        plan = plan_of(_with_ancestors(self.graph, chosen), seconds=seconds, tries=tries, devices=devices)
        ids = {job.id for job in plan.jobs}
        asked = ids | {id_ for id_, job in self.expected.items() if job.copy_of in ids and each_device}
        gone = [job for id_, job in self.expected.items() if job.planned and id_ not in asked]
        there = [job for id_, job in self.expected.items() if id_ in asked]
        revived = [job for job in there if job.state is JobState.CANCELLED]
        change = self.table.publish(plan)
        assert change.added == len(ids - self.expected.keys())
        assert change.revived == len(revived)
        assert change.kept == len(there) - len(revived)
        assert change.cancelled == sum(job.state not in (JobState.DONE, JobState.CANCELLED) for job in gone)
        self.each_device = each_device
        self._expect_plan(plan, gone, there, revived)

    def _expect_plan(self, plan: Plan, gone: list[Expected], there: list[Expected], revived: list[Expected]) -> None:
        self.tries = plan.study.leases.tries
        for job in gone:
            job.planned = False
            self._expect_cancelled(job)
        for job in revived:
            job.forget()
        for planned in plan.jobs:
            known = self.expected.setdefault(planned.id, Expected(planned))
            known.job = planned
            there.append(known)
        for job in there:
            job.plan(plan.study.leases.seconds or 0.0, self.tries)

    @rule(worker=st.sampled_from(ONE_OF_EACH_DEVICE))
    def copy(self, worker: str) -> None:
        device = DEVICES[worker]
        made = self.table.copy_benchmarks(MeasuringDevices(device, device))
        fresh = [copy for job in list(self.expected.values()) if (copy := self._copy(job, device)) is not None]
        assert made == len(fresh)
        self.expected |= {copy.job.id: copy for copy in fresh}

    @rule(claims=st.integers(0, 2))
    def another_device_comes_when_much_is_done(self, claims: int) -> None:
        """Events one by one come to that too rarely."""
        self.replan(set(range(len(self.graph))), 5.0, self.tries, each_device=True)
        self.backend.clock += LONGEST_BACK_OFF_SECONDS + 1
        for _ in self.graph:
            self.the_table_is_as_expected_and_its_promises_hold()
            self.claim("w1")
            self.the_table_is_as_expected_and_its_promises_hold()
            if self.live:
                self.complete(0, device=False)
                self.the_table_is_as_expected_and_its_promises_hold()
        self.copy("w3")
        for _ in range(claims):
            self.the_table_is_as_expected_and_its_promises_hold()
            self.claim("w3")

    def _copy(self, job: Expected, device: str) -> Expected | None:
        """What has to be made of a job for a device, if anything has."""
        id_ = copies.copy_id(job.job.id, device)
        wanted = self.each_device and job.planned and job.state is JobState.DONE
        if not wanted or job.job.stage is not Stage.BENCHMARK or job.copy_of or job.measured_on == device:
            return None
        again = dataclasses.replace(job.job, id=id_, name=copies.copy_name(job.job.name, device), critical_path=0)
        copy = Expected(again, copy_of=job.job.id, device=device, lease_seconds=job.lease_seconds)
        return None if id_ in self.expected else copy

    @rule(worker=st.sampled_from(WORKERS))
    def claim(self, worker: str) -> None:
        best = self._best(worker)
        lease = self.table.claim(_info(worker))
        assert (lease.job if lease else None) in (best or (None,))
        if lease is not None:
            self._expect_claimed(lease, worker)

    def _best(self, worker: str) -> set[str]:
        """Which jobs its next claim may give, after those whose holders fell silent were taken back."""
        self._expect_reaping()
        mine = (None, DEVICES[worker])
        ready = [job for job in self.expected.values() if job.device in mine and self._claimable(job)]
        longest = max((job.job.critical_path for job in ready), default=0)
        return {job.job.id for job in ready if job.job.critical_path == longest}

    def _expect_claimed(self, lease: Lease, worker: str) -> None:
        assert lease.job not in self.live
        job = self.expected[lease.job]
        job.state, job.attempts = JobState.RUNNING, job.attempts + 1
        job.expires = self.backend.clock + job.lease_seconds
        assert (lease.worker, lease.attempt, lease.seconds) == (worker, job.attempts, job.lease_seconds)
        assert lease.checkpoints == job.held
        assert lease.inputs == {
            name: self.expected[str(ref.job)].outputs[ref.name] for name, ref in job.job.inputs.items()
        }
        self.live[lease.job] = lease

    @precondition(lambda self: self.live)
    @rule(pick=picks, step=st.none() | st.integers(1, 40), saved=st.none() | st.integers(1, 40), device=st.booleans())
    def renew(self, pick: int, step: int | None, saved: int | None, device: bool) -> None:
        lease = _picked(self.live.values(), pick)
        job = self.expected[lease.job]
        checkpoint = None if saved is None else Checkpoint(saved, _state(job, saved, device))
        renewed = self.table.renew(lease, None if step is None else {"step": step}, checkpoint)
        job.expires = self.backend.clock + job.lease_seconds
        if checkpoint:
            job.save(checkpoint)
        assert (renewed.token, renewed.seconds, renewed.checkpoints) == (lease.token, job.lease_seconds, job.held)
        self._check_obsolete(renewed.obsolete, {checkpoint.artifact.sha256} if checkpoint else set())
        self.live[lease.job] = renewed

    @precondition(lambda self: any(lease.checkpoints for lease in self.live.values()))
    @rule(pick=picks, which=picks)
    def discard(self, pick: int, which: int) -> None:
        lease = _picked([lease for lease in self.live.values() if lease.checkpoints], pick)
        job = self.expected[lease.job]
        damaged = _picked(lease.checkpoints, which)
        self.live[lease.job] = self.table.discard(lease, damaged)
        job.checkpoints = {step: file for step, file in job.checkpoints.items() if file != damaged.artifact}
        assert self.live[lease.job].checkpoints == job.held

    @precondition(lambda self: self.live)
    @rule(pick=picks, device=st.booleans(), most=st.integers(1, 3), follow=st.booleans(), or_best=st.booleans())
    def complete(self, pick: int, device: bool, most: int = 1, follow: bool = False, or_best: bool = False) -> None:
        lease = _picked(self.live.values(), pick)
        run, then = self._run(self.expected[lease.job], most, follow)
        measured = {"device": DEVICES[lease.worker]}
        finished = [Finished(job.job.id, _outputs(job, device, last=job is run[-1]), measured) for job in run]
        completed = self.table.complete(
            lease,
            finished,
            _info(lease.worker),
            then=then.job.id if then else None,
            or_best=or_best,
        )
        self._lose(run[0])
        for job, done in zip(run, finished, strict=True):
            self._expect_done(job, done)
            job.measured_on = DEVICES[lease.worker]
        self._check_obsolete(completed.obsolete)
        self._check_next(completed.next, lease.worker, then, or_best)

    def _run(self, job: Expected, most: int, follow: bool) -> tuple[list[Expected], Expected | None]:
        """What a worker may complete together, this job first, and what it goes on with."""
        run = [job]
        while (following := self._following(run[-1])) is not None and len(run) < most:
            run.append(following)
            following.attempts += 1
        return run, following if follow else None

    def _following(self, job: Expected) -> Expected | None:
        """As a worker asks for it; not where plans branch, which may ask for the other branch's state later."""
        branches = [each for each in self.graph if job.job.id in each.parents and each.stage is Stage.TRAIN]
        upcoming = self.table.following(job.job.id) if len(branches) == 1 else None
        return None if upcoming is None else self.expected[upcoming.job]

    def _expect_done(self, job: Expected, done: Finished) -> None:
        job.state, job.checkpoints, job.outputs = JobState.DONE, {}, dict(done.outputs)
        for parent in job.job.parents:
            if all(child.state is JobState.DONE and child.job.stage is Stage.TRAIN for child in self._children(parent)):
                self.expected[parent].outputs.pop("state", None)

    def _check_next(self, lease: Lease | None, worker: str, then: Expected | None, or_best: bool) -> None:
        allowed = (
            {then.job.id} if then is not None and self._claimable(then) else self._best(worker) if or_best else set()
        )
        assert (lease.job if lease else None) in (allowed or (None,))
        if lease is not None:
            self._expect_claimed(lease, worker)

    @precondition(lambda self: self.live)
    @rule(pick=picks)
    def fail(self, pick: int) -> None:
        lease = _picked(self.live.values(), pick)
        job = self.expected[lease.job]
        state = self.table.fail(lease, f"attempt {lease.attempt} failed")
        self._lose(job)
        job.fail(self.tries)
        assert state is job.state
        job.not_before = self._row(lease.job).not_before
        wait = job.not_before - self.backend.clock
        assert FIRST_BACK_OFF_SECONDS <= wait <= LONGEST_BACK_OFF_SECONDS

    @rule(misfortunes=st.lists(st.sampled_from(["fail", "die"]), min_size=2, max_size=6))
    def much_goes_wrong(self, misfortunes: list[str]) -> None:
        """As often as it takes to quarantine a job: events one by one come to that too rarely."""
        for misfortune in misfortunes:
            self.claim("w1")
            self.the_table_is_as_expected_and_its_promises_hold()
            if self.live and misfortune == "fail":
                self.fail(len(self.live) - 1)
                self.the_table_is_as_expected_and_its_promises_hold()
            self.backend.clock += FIRST_BACK_OFF_SECONDS * 8 + 1

    @precondition(lambda self: self.live)
    @rule(pick=picks)
    def release(self, pick: int) -> None:
        lease = _picked(self.live.values(), pick)
        self.table.release(lease, "the session ends")
        self._lose(self.expected[lease.job])
        self.expected[lease.job].state = JobState.READY

    @precondition(lambda self: self.stale)
    @rule(pick=picks, write=st.sampled_from(["renew", "save", "discard", "complete", "fail", "release"]))
    def write_under_a_lease_that_was_lost(self, pick: int, write: str) -> None:
        lease = _picked(self.stale, pick)
        checkpoint = Checkpoint(39, artifact("late"))
        late: Mapping[str, Callable[[], object]] = {
            "renew": lambda: self.table.renew(lease, {"step": 39}),
            "save": lambda: self.table.renew(lease, checkpoint=checkpoint),
            "discard": lambda: self.table.discard(lease, next(iter(lease.checkpoints), checkpoint)),
            "complete": lambda: complete(self.table, lease, {"state": artifact("late")}, {"late": True}),
            "fail": lambda: self.table.fail(lease, "late"),
            "release": lambda: self.table.release(lease, "late"),
        }
        with pytest.raises(LeaseLost):
            late[write]()
        assert contents(self.backend) == self.seen

    @rule(pick=picks)
    def retry(self, pick: int) -> None:
        job = _picked(self.expected.values(), pick)
        if job.state is JobState.QUARANTINED:
            self.table.retry(job.job.id)
            job.forget()
        else:
            with pytest.raises(UsageError, match="only a quarantined job"):
                self.table.retry(job.job.id)
            assert contents(self.backend) == self.seen

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        job = _picked(self.expected.values(), pick)
        if job.state is JobState.DONE:
            with pytest.raises(UsageError, match="stays done"):
                self.table.cancel(job.job.id)
            assert contents(self.backend) == self.seen
        else:
            cancelled = self.table.cancel(job.job.id)
            assert cancelled == sum(self._expect_cancelled(known) for known in self._with_descendants(job))

    @rule()
    def fall_silent_for_longer_than_every_lease(self) -> None:
        self.backend.clock += 5.1

    @rule(seconds=st.floats(-3, 3))
    def clock_slips(self, seconds: float) -> None:
        self.backend.clock += seconds

    @invariant()
    def the_table_is_as_expected_and_its_promises_hold(self) -> None:
        before, self.seen = self.seen, contents(self.backend)
        _check_jobs(self.seen)
        _check_attempts(self.seen)
        _check_nothing_settled_was_changed(before, self.seen)
        assert {row.id: _told(row, self.seen) for row in self.seen["jobs"]} == {
            id_: self._told(job) for id_, job in self.expected.items()
        }
        assert {row.id: row.token for row in self.seen["jobs"] if row.token} == {
            id_: lease.token for id_, lease in self.live.items()
        }

    def teardown(self) -> None:
        """Whatever happened, all that is not cancelled can be done in the end."""
        try:
            if sys.exception() is None:
                self._finish_everything()
        finally:
            self.table.close()

    def _finish_everything(self) -> None:
        states = {JobState.READY}
        while not states <= {JobState.DONE, JobState.CANCELLED}:
            self.backend.clock += LONGEST_BACK_OFF_SECONDS + 1
            for worker in ONE_OF_EACH_DEVICE:
                self.claim(worker)
                self.the_table_is_as_expected_and_its_promises_hold()
                if self.live:
                    self.complete(0, device=False)
            for number, job in enumerate(self.expected.values()):
                if job.state is JobState.QUARANTINED:
                    self.retry(number)
            self.the_table_is_as_expected_and_its_promises_hold()
            states = {job.state for job in self.expected.values()}
        assert not self.table.unfinished()

    # --- the model ---

    def _claimable(self, job: Expected) -> bool:
        return job.state is JobState.READY and job.not_before <= self.backend.clock and not self._pending_parents(job)

    def _pending_parents(self, job: Expected) -> int:
        return sum(self.expected[parent].state is not JobState.DONE for parent in job.job.parents)

    def _children(self, parent: str) -> list[Expected]:
        return [job for job in self.expected.values() if parent in job.job.parents]

    def _with_descendants(self, job: Expected) -> list[Expected]:
        found = {job.job.id: job}
        for later in self.graph:
            if later.id in self.expected and found.keys() & set(later.parents):
                found[later.id] = self.expected[later.id]
        return list(found.values())

    def _expect_reaping(self) -> None:
        for id_ in list(self.live):
            job = self.expected[id_]
            if job.expires < self.backend.clock:
                self._lose(job)
                job.die(self.tries)

    def _expect_cancelled(self, job: Expected) -> bool:
        if job.state in (JobState.DONE, JobState.CANCELLED):
            return False
        if job.state is JobState.RUNNING:
            self._lose(job)
        job.state = JobState.CANCELLED
        return True

    def _lose(self, job: Expected) -> None:
        self.stale.append(self.live.pop(job.job.id))

    def _told(self, job: Expected) -> tuple[Any, ...]:
        blocked = job.state is JobState.READY and self._pending_parents(job)
        return (
            JobState.BLOCKED if blocked else job.state,
            job.planned,
            job.attempts,
            job.failures,
            job.checkpoints,
            job.outputs,
        )

    # --- the table ---

    def _row(self, id_: str) -> Row[Any]:
        return next(row for row in contents(self.backend)["jobs"] if row.id == id_)

    def _check_obsolete(self, obsolete: Collection[Artifact], offered: Collection[str] = ()) -> None:
        """What a worker may delete is exactly what was named before, or it offered just now, and is not named now."""
        assert {file.sha256 for file in obsolete} == _named(self.seen).union(offered) - _named(contents(self.backend))


def _info(worker: str) -> WorkerInfo:
    return WorkerInfo(worker, "host", "CPU", frozenset({Device.CPU, device_key(DEVICES[worker])}))


def _told(row: Row[Any], now: Contents) -> tuple[Any, ...]:
    """What the table says of a job, as `JobTableMachine._told`."""
    return (
        row.state,
        row.planned,
        row.attempts,
        row.failures,
        {held.step: _artifact(held) for held in now["checkpoints"] if held.job == row.id},
        {output.name: _artifact(output) for output in now["outputs"] if output.job == row.id},
    )


def _check_jobs(now: Contents) -> None:
    rows = {row.id: row for row in now["jobs"]}
    for row in rows.values():
        pending = sum(rows[edge.parent].state != JobState.DONE for edge in now["edges"] if edge.child == row.id)
        assert row.failures <= row.tries
        assert (row.token is not None) == (row.state == JobState.RUNNING)
        if row.state != JobState.CANCELLED:
            assert row.undone_parents == pending
            assert (pending == 0) == (row.state != JobState.BLOCKED)
            assert row.planned or row.state == JobState.DONE


def _check_attempts(now: Contents) -> None:
    for row in now["jobs"]:
        kept = [attempt for attempt in now["attempts"] if attempt.job == row.id]
        assert [attempt.number for attempt in kept] == list(range(1, row.attempts + 1))
        assert all(attempt.ended is not None for attempt in kept[:-1])
        assert (bool(kept) and kept[-1].ended is None) == (row.state == JobState.RUNNING)
        assert sum(attempt.outcome == Ending.DONE for attempt in kept) == (row.state == JobState.DONE)
        assert sum(held.job == row.id for held in now["checkpoints"]) <= KEPT_CHECKPOINTS


def _check_nothing_settled_was_changed(before: Contents, now: Contents) -> None:
    """History is only added to, done stays done, and what a done job made is never replaced."""
    ended = {attempt for attempt in before["attempts"] if attempt.ended is not None}
    assert ended <= set(now["attempts"])
    after = {row.id: row for row in now["jobs"]}
    for row in before["jobs"]:
        if row.state == JobState.DONE:
            assert (after[row.id].state, after[row.id].metrics) == (JobState.DONE, row.metrics)
    assert {row for row in now["outputs"] if row.job in _done(before)} <= set(before["outputs"])


def _done(at: Contents) -> set[str]:
    return {row.id for row in at["jobs"] if row.state == JobState.DONE}


def _named(at: Contents) -> set[str]:
    return {row.sha256 for table in ("checkpoints", "outputs", "data") for row in at[table]}


def _artifact(row: Row[Any]) -> Artifact:
    return Artifact(row.sha256, row.size, row.location)


def _state(job: Expected, step: int, device: bool) -> Artifact:
    """A training is a function of its job, up to the device: the same step is the same file again."""
    return artifact(f"{job.job.name} at {step} on {'a GPU' if device else 'a CPU'}")


def _outputs(job: Expected, device: bool, *, last: bool) -> dict[str, Artifact]:
    """Of a run only the last state is kept."""
    names = [name for name in output_names(job.job.stage) if last or name != "state"]
    return {name: _output(job, name, device) for name in names}


def _output(job: Expected, name: str, device: bool) -> Artifact:
    """The state that a training ends in is its checkpoint at the last step."""
    return _state(job, 40, device) if name == "state" else artifact(f"{name} of {job.job.name}")


def _picked(things: Collection[T], pick: int) -> T:
    return list(things)[pick % len(things)]


def _with_ancestors(graph: tuple[PlannedJob, ...], chosen: Collection[int]) -> list[PlannedJob]:
    """The chosen jobs with all that they wait for, parents first."""
    wanted = {graph[number].id for number in chosen if number < len(graph)}
    for job in reversed(graph):
        if job.id in wanted:
            wanted.update(job.parents)
    return [job for job in graph if job.id in wanted]
