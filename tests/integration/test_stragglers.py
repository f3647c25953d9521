"""When a job is late and is run a second time, and which jobs are left to others because a worker cannot do them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestrator.jobs import (
    Checkpoint,
    Device,
    Finished,
    JobState,
    Lease,
    Stage,
    WorkerInfo,
)
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.transactions.overview import overview
from orchestrator.jobtable.transactions.speculation import FEWEST_SECONDS, LATE_FACTOR
from orchestrator.progress.summary import snapshot
from tests.support.jobtable_backends import (
    SettableBackend,
    artifact,
    complete,
    planned_job,
)
from tests.support.late_trainings import (
    GPU,
    IDLE,
    QUICK,
    SLOW,
    THIRD,
    WRITES,
    begun_late,
    claimed,
    done,
    publish,
    shards,
    with_merge,
)

# --- when ---


def test_an_idle_worker_is_given_a_late_training_beside_its_holder(table: JobTable, late: Lease) -> None:
    other = claimed(table, IDLE)
    assert (other.job, other.attempt, other.speculative) == (late.job, late.attempt + 1, True)
    assert other.token != late.token
    job = table.job(late.job)
    assert (job.state, job.worker, job.attempts) == (JobState.RUNNING, SLOW, 2)
    told = {worker.name: worker.job for worker in table.overview().workers}
    assert told == {SLOW: late.name, IDLE: late.name, "quick": None}


def test_a_training_is_not_late_before_twice_what_its_siblings_took(table: JobTable, backend: SettableBackend) -> None:
    publish(table, with_merge(shards(2)))
    begun_late(table, backend)
    backend.clock -= 2
    assert table.claim(WorkerInfo(IDLE)) is None
    backend.clock += 2
    assert table.claim(WorkerInfo(IDLE)) is not None


def test_what_siblings_took_is_their_median(table: JobTable, backend: SettableBackend) -> None:
    publish(table, with_merge(shards(4)))
    claimed(table, SLOW)
    for worker, seconds in (("a", 1.0), ("b", 50.0), ("c", 300.0)):
        backend.clock = 1_000_000.0
        lease = claimed(table, worker)
        backend.clock += seconds
        done(table, lease)
    backend.clock = 1_000_000.0 + 99
    assert table.claim(WorkerInfo(IDLE)) is None
    backend.clock += 2
    assert table.claim(WorkerInfo(IDLE)) is not None


def test_a_holder_that_began_at_a_checkpoint_is_judged_by_the_steps_it_has_to_do(
    table: JobTable, backend: SettableBackend
) -> None:
    publish(table, with_merge(shards(2)))
    first, quick = claimed(table, "first"), claimed(table, "quick")
    table.renew(first, checkpoint=Checkpoint(20, artifact("half")))
    backend.clock += QUICK
    done(table, quick)
    table.release(first)
    assert claimed(table, SLOW).checkpoints == (Checkpoint(20, artifact("half")),)
    backend.clock += LATE_FACTOR * QUICK / 2 - 1
    assert table.claim(WorkerInfo(IDLE)) is None
    backend.clock += 2
    assert claimed(table, IDLE).checkpoints == (Checkpoint(20, artifact("half")),)


def test_very_short_trainings_are_given_time_to_begin(table: JobTable, backend: SettableBackend) -> None:
    publish(table, with_merge(shards(2)))
    claimed(table, SLOW)
    quick = claimed(table, "quick")
    backend.clock += 1
    done(table, quick)
    backend.clock += FEWEST_SECONDS - 1
    assert table.claim(WorkerInfo(IDLE)) is None
    backend.clock += 1
    assert table.claim(WorkerInfo(IDLE)) is not None


def test_while_no_sibling_is_done_nothing_is_late(table: JobTable, backend: SettableBackend) -> None:
    publish(table, with_merge(shards(2)))
    claimed(table, SLOW), claimed(table, "slow too")
    backend.clock += 900
    assert table.claim(WorkerInfo(IDLE)) is None


def test_only_what_a_merge_waits_for_is_run_twice(table: JobTable, backend: SettableBackend) -> None:
    first, second = shards(2)
    publish(table, [first, second, planned_job("compress", Stage.COMPRESS, [first, second])])
    begun_late(table, backend)
    assert table.claim(WorkerInfo(IDLE)) is None


def test_a_job_has_one_speculative_attempt_at_most(table: JobTable, late: Lease) -> None:
    assert claimed(table, IDLE).job == late.job
    assert table.claim(WorkerInfo(THIRD)) is None


def test_a_holder_is_given_no_speculative_attempt_at_its_own_job(table: JobTable, late: Lease) -> None:
    assert table.claim(WorkerInfo(SLOW)) is None
    assert table.renew(late).speculative is False


def test_of_many_idle_workers_one_makes_the_speculative_attempt(table: JobTable, late: Lease) -> None:
    with ThreadPoolExecutor(4) as threads:
        leases = list(threads.map(table.claim, [WorkerInfo(f"idle{number}") for number in range(8)]))
    assert [lease.job for lease in leases if lease] == [late.job]


def test_the_longest_running_of_late_trainings_is_run_twice_first(table: JobTable, backend: SettableBackend) -> None:
    publish(table, with_merge(shards(3)))
    slowest = claimed(table, "slowest")
    backend.clock += 1
    slow = begun_late(table, backend)
    assert (claimed(table, IDLE).job, claimed(table, THIRD).job) == (slowest.job, slow.job)


def test_what_is_ready_goes_before_what_is_late(table: JobTable, backend: SettableBackend) -> None:
    publish(table, [*with_merge(shards(2)), planned_job("other")])
    late = begun_late(table, backend)
    assert claimed(table, IDLE).name == "other"
    assert claimed(table, THIRD).job == late.job


def test_a_speculative_attempt_is_leased_in_the_transaction_that_completes_the_last_sibling(
    table: JobTable, backend: SettableBackend
) -> None:
    publish(table, with_merge(shards(2)))
    slow, idle = claimed(table, SLOW), claimed(table, IDLE)
    table.renew(idle, checkpoint=Checkpoint(20, artifact("half")))
    table.release(idle)
    backend.clock += QUICK
    again = claimed(table, IDLE)
    finished = [Finished(again.job, {"state": artifact("state"), "log": artifact("log")}, {})]
    other = table.complete(again, finished, WorkerInfo(IDLE), or_best=True).next
    assert other is not None
    assert (other.job, other.speculative) == (slow.job, True)


def test_a_late_training_that_needs_a_gpu_is_left_to_workers_that_have_one(
    table: JobTable, backend: SettableBackend
) -> None:
    publish(table, with_merge(shards(2, requires=Device.GPU)))
    late = begun_late(table, backend)
    assert table.claim(WorkerInfo(IDLE, capabilities=frozenset({Device.CPU}))) is None
    assert claimed(table, IDLE, capabilities=GPU).job == late.job


def test_a_late_training_is_not_given_to_a_worker_that_cannot_do_it(table: JobTable, late: Lease) -> None:
    assert table.claim(WorkerInfo(IDLE, excluded=frozenset({late.job}))) is None
    assert claimed(table, THIRD).job == late.job


@pytest.mark.parametrize("end", ["fail", "release"])
def test_a_worker_that_gave_a_late_training_up_is_not_given_it_again(end: str, table: JobTable, late: Lease) -> None:
    WRITES[end](table, claimed(table, IDLE))
    assert table.claim(WorkerInfo(IDLE)) is None
    assert claimed(table, THIRD).job == late.job


# --- what a worker cannot do ---


def test_a_worker_is_given_what_comes_after_the_jobs_that_it_cannot_do(table: JobTable) -> None:
    first, second, third = planned = [planned_job(f"job{number}") for number in range(3)]
    publish(table, planned)
    worker = WorkerInfo(IDLE, excluded=frozenset({first.id, second.id}))
    lease = table.claim(worker)
    assert lease is not None
    assert lease.job == third.id
    assert table.claim(worker) is None
    assert table.claim(WorkerInfo(THIRD)) is not None


def problems(backend: SettableBackend) -> tuple[str, ...]:
    with backend.reading() as connection:
        return snapshot("s", "h", overview(connection, backend.clock)).problems


def test_a_rejected_job_is_told_with_the_reason_until_another_takes_it(
    table: JobTable, backend: SettableBackend
) -> None:
    publish(table, [planned_job("job")])
    table.release(claimed(table, IDLE), "it needs 9 GB and there are 4", rejected=True)
    (problem,) = problems(backend)
    assert problem == "job waits for another worker: idle cannot do it: it needs 9 GB and there are 4."
    job = table.job("job")
    assert (job.state, job.failures) == (JobState.READY, 0)
    lease = claimed(table, THIRD)
    assert problems(backend) == ()
    complete(table, lease, {}, {})
    assert table.job("job").error is None


def test_a_job_that_is_given_back_for_another_reason_is_no_problem(table: JobTable, backend: SettableBackend) -> None:
    publish(table, [planned_job("job")])
    table.release(claimed(table, IDLE), "the session ends")
    assert problems(backend) == ()


def test_what_a_speculative_attempt_cannot_do_its_holder_does(
    table: JobTable, backend: SettableBackend, late: Lease
) -> None:
    table.release(claimed(table, IDLE), "too little memory", rejected=True)
    assert table.job(late.job).error is None
    assert problems(backend) == ()
    done(table, late)
