"""Handing in and claiming in one transaction, and jobs that only some workers are given."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from orchestrator.jobs import Checkpoint, Claimant, Completion, Device, JobState, Lease, PlannedJob, Stage
from orchestrator.jobtable import JobTable
from tests.jobtable_places import (
    PlaceOf,
    SettablePlace,
    artifact,
    fixture_place_of,  # noqa: F401
    output_names,
    plan_of,
    planned_job,
)

WORKER = Claimant("w1", "host", "CPU")
WITH_GPU = Claimant("w2", "host", "T4", frozenset({Device.CPU, Device.GPU}))


@pytest.fixture
def place(place_of: PlaceOf) -> SettablePlace:
    return place_of("jobs")


@pytest.fixture
def table(place: SettablePlace) -> Iterator[JobTable]:
    table = JobTable(place, "here")
    table.create()
    yield table
    table.close()


def done(lease: Lease) -> Completion:
    return Completion(lease, {name: artifact(f"{name} of {lease.name}") for name in output_names(lease.stage)}, {})


def independent(count: int) -> list[PlannedJob]:
    return [planned_job(f"job{number}") for number in range(count)]


def chain(*names: str) -> list[PlannedJob]:
    made: list[PlannedJob] = []
    for name in names:
        made.append(planned_job(name, Stage.TRAIN, made[-1:]))
    return made


def test_what_a_handed_in_job_made_ready_is_claimed_in_the_same_transaction(table: JobTable) -> None:
    table.publish(plan_of(chain("first", "second")))
    (first,) = table.exchange((), WORKER).leases
    (second,) = table.exchange([done(first)], WORKER).leases
    assert (first.name, second.name) == ("first", "second")
    assert second.inputs == {"state": artifact("state of first")}


def test_as_many_jobs_are_claimed_as_were_asked_for_and_are_ready(table: JobTable) -> None:
    table.publish(plan_of(independent(5)))
    claimed = table.exchange((), WORKER, most=3).leases
    rest = table.exchange([done(lease) for lease in claimed], WORKER, most=3).leases
    assert (len(claimed), len(rest)) == (3, 2)
    assert len({lease.job for lease in (*claimed, *rest)}) == 5
    table.exchange([done(lease) for lease in rest], WORKER)
    assert table.overview().counts == {JobState.DONE: 5}


def test_a_lost_lease_among_those_handed_in_is_told_and_the_others_stand(table: JobTable, place: SettablePlace) -> None:
    table.publish(plan_of(independent(2)))
    late = table.exchange((), WORKER).leases[0]
    place.clock += 3
    kept = table.exchange((), WORKER).leases[0]
    place.clock += 3
    (holder,) = table.exchange((), WITH_GPU).leases
    table.renew(holder, {"step": 1}, Checkpoint(1, artifact("the holder's")))
    exchange = table.exchange([done(late), done(kept)], WORKER)
    assert exchange.lost == (late,)
    assert (table.job(kept.job).state, table.job(late.job).state) == (JobState.DONE, JobState.RUNNING)
    assert table.checkpoints(late.job) == (Checkpoint(1, artifact("the holder's")),)
    table.complete(holder, {"model": artifact("the holder's model")}, {})
    assert table.outputs(late.job) == {"model": artifact("the holder's model")}


def test_two_parents_that_are_handed_in_together_are_both_counted_off(table: JobTable) -> None:
    parents = independent(2)
    table.publish(plan_of([*parents, planned_job("child", parents=parents)]))
    claimed = table.exchange((), WORKER, most=2).leases
    (child,) = table.exchange([done(lease) for lease in claimed], WORKER).leases
    assert child.name == "child"


def test_a_job_that_needs_a_gpu_is_left_to_a_worker_that_has_one(table: JobTable) -> None:
    small, large = independent(2)
    table.publish(plan_of([small, dataclasses.replace(large, needs=Device.GPU)]))
    assert table.overview().waiting_for_gpu == 1
    assert [lease.name for lease in table.exchange((), WORKER, most=2).leases] == [small.name]
    assert [lease.name for lease in table.exchange((), WITH_GPU, most=2).leases] == [large.name]
    assert table.overview().waiting_for_gpu == 0


def test_a_worker_with_a_gpu_takes_what_needs_one_before_what_others_could_do(table: JobTable) -> None:
    small, large = independent(2)
    table.publish(plan_of([small, dataclasses.replace(large, needs=Device.GPU)]))
    assert [lease.name for lease in table.exchange((), WITH_GPU, most=2).leases] == [large.name, small.name]


def test_a_study_that_lets_any_worker_train_frees_jobs_that_waited_for_a_gpu(table: JobTable) -> None:
    (job,) = independent(1)
    table.publish(plan_of([dataclasses.replace(job, needs=Device.GPU)]))
    assert table.claim("w1") is None
    table.publish(plan_of([job]))
    assert table.claim("w1") is not None


@pytest.mark.parametrize("said", ['{"quoted"}', "back\\slash", "comma, and NULL", "ü – ✓", "new\nline", ""])
def test_any_text_survives_the_table(table: JobTable, said: str) -> None:
    (job,) = independent(1)
    table.publish(plan_of([job]))
    (lease,) = table.exchange((), dataclasses.replace(WORKER, host=said)).leases
    table.exchange([Completion(lease, {"model": artifact("m")}, {said: said})], WORKER)
    assert table.job(lease.job).metrics == {said: said}
    assert table.attempts()[0].host == said
