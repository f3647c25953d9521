"""Completing and claiming in one transaction, runs of a chain at once, and jobs that only some workers are given."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from orchestrator.jobs import (
    Checkpoint,
    Device,
    Ending,
    Finished,
    JobState,
    Lease,
    PlannedJob,
    Stage,
    WorkerInfo,
    capabilities_of,
)
from orchestrator.jobtable import ChainBroken, JobTable, LeaseLost
from orchestrator.jobtable.transactions.overview import Waiting
from tests.support.jobtable_backends import (
    SettableBackend,
    artifact,
    complete,
    output_names,
    plan_of,
    planned_job,
)

WORKER = WorkerInfo("w1", "host", "CPU")
WITH_GPU = WorkerInfo("w2", "host", "T4", capabilities_of("GPU"))


@pytest.fixture
def table(backend: SettableBackend) -> Iterator[JobTable]:
    table = JobTable(backend, "here")
    table.create()
    yield table
    table.close()


def claimed(table: JobTable, worker: WorkerInfo = WORKER) -> Lease:
    lease = table.claim(worker)
    assert lease is not None
    return lease


def done(lease: Lease) -> list[Finished]:
    outputs = {name: artifact(f"{name} of {lease.name}") for name in output_names(lease.stage)}
    return [Finished(lease.job, outputs, {})]


def independent(count: int) -> list[PlannedJob]:
    return [planned_job(f"job{number}") for number in range(count)]


def chain(*names: str) -> list[PlannedJob]:
    made: list[PlannedJob] = []
    for name in names:
        made.append(planned_job(name, Stage.TRAIN, made[-1:]))
    return made


def test_what_a_completed_job_made_ready_is_claimed_in_the_same_transaction(table: JobTable) -> None:
    table.publish(plan_of(chain("first", "second")))
    first = claimed(table)
    second = table.complete(first, done(first), WORKER, or_best=True).next
    assert second is not None
    assert (first.name, second.name) == ("first", "second")
    assert second.inputs == {"state": artifact("state of first")}


def test_a_worker_that_asks_for_no_job_is_given_none(table: JobTable) -> None:
    table.publish(plan_of(independent(2)))
    lease = claimed(table)
    assert table.complete(lease, done(lease), WORKER).next is None
    assert table.overview().counts == {JobState.DONE: 1, JobState.READY: 1}


def test_a_lost_lease_costs_the_holder_nothing_and_claims_nothing(table: JobTable, backend: SettableBackend) -> None:
    table.publish(plan_of(independent(2)))
    late = claimed(table)
    backend.clock += 5.1
    holder = claimed(table, WITH_GPU)
    assert holder.job == late.job
    table.renew(holder, {"step": 1}, Checkpoint(1, artifact("the holder's")))
    with pytest.raises(LeaseLost):
        table.complete(late, done(late), WORKER, or_best=True)
    assert table.checkpoints(late.job) == (Checkpoint(1, artifact("the holder's")),)
    assert table.overview().counts == {JobState.RUNNING: 1, JobState.READY: 1}
    complete(table, holder, {"model": artifact("the holder's model")}, {})
    assert table.outputs(late.job) == {"model": artifact("the holder's model")}


def test_a_job_that_needs_a_gpu_is_left_to_a_worker_that_has_one(table: JobTable) -> None:
    small, large = independent(2)
    table.publish(plan_of([small, dataclasses.replace(large, requires=Device.GPU)]))
    assert table.overview().waiting == table.waiting() == (Waiting(Device.GPU, 1),)
    assert (claimed(table).name, table.claim(WORKER)) == (small.name, None)
    assert claimed(table, WITH_GPU).name == large.name
    assert table.waiting() == ()


def test_what_needs_a_gpu_is_not_given_to_a_tpu_and_what_either_can_do_is(table: JobTable) -> None:
    for_gpu, for_tpu, for_either = independent(3)
    needs = [(for_gpu, Device.GPU), (for_tpu, Device.TPU), (for_either, Device.GPU_OR_TPU)]
    table.publish(plan_of(dataclasses.replace(job, requires=device) for job, device in needs))
    assert table.waiting() == tuple(Waiting(device, 1) for _, device in needs)
    with_tpu = WorkerInfo("w3", "host", "TPU v5e", capabilities_of("TPU"))
    assert table.claim(WORKER) is None
    assert {claimed(table, with_tpu).name for _ in range(2)} == {for_tpu.name, for_either.name}
    assert table.claim(with_tpu) is None
    assert table.waiting() == (), "whoever is at what either can do may have a GPU"
    assert claimed(table, WITH_GPU).name == for_gpu.name


def test_a_worker_with_a_gpu_takes_what_needs_one_before_what_others_could_do(table: JobTable) -> None:
    small, large = independent(2)
    table.publish(plan_of([small, dataclasses.replace(large, requires=Device.GPU)]))
    assert [claimed(table, WITH_GPU).name for _ in range(2)] == [large.name, small.name]


def test_a_study_that_lets_any_worker_train_frees_jobs_that_waited_for_a_gpu(table: JobTable) -> None:
    (job,) = independent(1)
    table.publish(plan_of([dataclasses.replace(job, requires=Device.GPU)]))
    assert table.claim(WorkerInfo("w1")) is None
    table.publish(plan_of([job]))
    assert table.claim(WorkerInfo("w1")) is not None


@pytest.mark.parametrize("said", ['{"quoted"}', "back\\slash", "comma, and NULL", "ü – ✓", "new\nline", ""])
def test_any_text_survives_the_table(table: JobTable, said: str) -> None:
    (job,) = independent(1)
    table.publish(plan_of([job]))
    lease = claimed(table, dataclasses.replace(WORKER, host=said))
    complete(table, lease, {"model": artifact("m")}, {said: said})
    assert table.job(lease.job).metrics == {said: said}
    assert table.attempts()[0].host == said


# --- a chain in one go ---


def finished(job: PlannedJob, *names: str) -> Finished:
    return Finished(job.id, {name: artifact(f"{name} of {job.name}") for name in names}, {"of": job.name})


def test_what_follows_a_training_is_known_before_it_is_done(table: JobTable) -> None:
    first, second = chain("first", "second")
    table.publish(plan_of([first, second]))
    upcoming = table.following(first.id)
    assert upcoming is not None
    assert (upcoming.job, upcoming.name, dict(upcoming.inputs)) == (second.id, "second", {})
    assert table.following(second.id) is None


def test_nothing_follows_where_two_trainings_or_another_stage_go_on(table: JobTable) -> None:
    first = planned_job("first", Stage.TRAIN)
    both = [planned_job(name, Stage.TRAIN, [first]) for name in ("a", "b")]
    table.publish(plan_of([first, *both, planned_job("compress", Stage.COMPRESS, [both[0]])]))
    assert table.following(first.id) is None
    assert table.following(both[0].id) is None


def test_a_run_of_a_chain_is_completed_at_once_with_the_last_state_alone(table: JobTable) -> None:
    a, b, c, d = jobs = chain("a", "b", "c", "d")
    table.publish(plan_of(jobs))
    lease = claimed(table)
    lease = table.renew(lease, {"step": 3}, Checkpoint(3, artifact("mid-a")))
    completed = table.complete(lease, [finished(a), finished(b), finished(c, "state")], WORKER, then=d.id)
    following = completed.next
    assert following is not None
    assert (following.job, following.inputs) == (d.id, {"state": artifact("state of c")})
    assert completed.obsolete == (artifact("mid-a"),)
    assert [table.job(job.id).metrics for job in (a, b, c)] == [{"of": job.name} for job in (a, b, c)]
    outcomes = {attempt.job: attempt.outcome for attempt in table.attempts()}
    assert outcomes == {a.id: Ending.DONE, b.id: Ending.DONE, c.id: Ending.DONE, d.id: None}
    complete(table, following, {"state": artifact("end")}, {})
    assert table.overview().counts == {JobState.DONE: 4}


@pytest.mark.parametrize("then", ["none", "one that is cancelled"])
def test_where_nothing_goes_on_another_job_is_claimed_in_the_same_transaction(table: JobTable, then: str) -> None:
    a, b = chain("a", "b")
    other = planned_job("other", Stage.COMPRESS)
    table.publish(plan_of([a, b, other]))
    lease = claimed(table)
    table.cancel(b.id)
    after = None if then == "none" else b.id
    next_one = table.complete(lease, [finished(a, "state")], WORKER, then=after, or_best=True).next
    assert next_one is not None
    assert next_one.job == other.id
    assert table.complete(next_one, [finished(other, "model")], WORKER, or_best=True).next is None


def test_a_run_that_was_cut_in_the_middle_is_not_completed_at_all(table: JobTable) -> None:
    a, b, c = jobs = chain("a", "b", "c")
    table.publish(plan_of(jobs))
    lease = claimed(table)
    table.cancel(b.id)
    with pytest.raises(ChainBroken):
        table.complete(lease, [finished(a), finished(b, "state")], WORKER, then=c.id)
    assert table.job(a.id).state is JobState.RUNNING
    assert table.complete(lease, [finished(a, "state")], WORKER, then=b.id).next is None
    assert table.outputs(a.id) == {"state": artifact("state of a")}


def test_the_run_of_a_lost_lease_changes_nothing(table: JobTable, backend: SettableBackend) -> None:
    a, b = jobs = chain("a", "b")
    table.publish(plan_of(jobs))
    late = claimed(table)
    backend.clock += 5.1
    holder = claimed(table, WITH_GPU)
    with pytest.raises(LeaseLost):
        table.complete(late, [finished(a), finished(b, "state")], WORKER)
    assert (table.job(a.id).worker, table.job(b.id).state) == (WITH_GPU.name, JobState.BLOCKED)
    complete(table, holder, {"state": artifact("the holder's")}, {})
