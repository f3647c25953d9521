"""What `orch status` is told of the job table."""

from __future__ import annotations

import pytest

from orchestrator.jobs import Artifact, Finished, JobState, Lease, WorkerInfo
from orchestrator.jobtable import JobTable
from orchestrator.planning.planner import Plan
from orchestrator.progress.summary import snapshot
from tests.support.jobtable_backends import (
    SettableBackend,
    complete,
    digest,
)


@pytest.fixture
def table(backend: SettableBackend, small_plan: Plan) -> JobTable:
    table = JobTable(backend, "here")
    table.create()
    table.publish(small_plan, {name: artifact(name[-9:]) for name in (*small_plan.shard_names, small_plan.test_name)})
    return table


def artifact(name: str) -> Artifact:
    return Artifact(digest(name), 1, name)


def claimed(table: JobTable, worker: str = "w1") -> Lease:
    lease = table.claim(WorkerInfo(worker, "host", "CPU"))
    assert lease is not None
    return lease


def test_a_job_that_was_given_another_chance_waits_for_nobody_and_shows_no_old_error(
    table: JobTable, backend: SettableBackend
) -> None:
    for _ in range(2):
        lease = claimed(table)
        table.fail(lease, "ValueError: of old")
        backend.clock += 10
    assert table.job(lease.job).state is JobState.QUARANTINED
    table.retry(lease.job)
    assert snapshot("s", "h", table.overview()).problems == ()
    assert table.job(lease.job).error is None


def test_a_worker_that_completed_a_run_of_jobs_is_listed_once(table: JobTable, small_plan: Plan) -> None:
    *first_three, fourth = (job for job in small_plan.jobs if job.stage == "train")
    done = [Finished(job.id, {"state": artifact(job.name), "log": artifact("log")}, {}) for job in first_three]
    table.complete(claimed(table), done, WorkerInfo("w1"), then=fourth.id)
    (worker,) = table.overview().workers
    assert (worker.name, worker.job) == ("w1", fourth.name)


def test_a_clock_that_is_set_back_makes_no_time_negative(table: JobTable, backend: SettableBackend) -> None:
    lease = claimed(table)
    backend.clock -= 1800
    table.renew(lease, {"step": 2, "loss": 1.0})
    complete(table, lease, {"state": artifact("after"), "log": artifact("log")}, {})
    seen = table.overview()
    assert (seen.trainings[0].worked_steps, seen.trainings[0].worked_seconds) == (0, 0.0)
    assert table.failure_statistics().worked_seconds == 0.0
    (attempt,) = table.attempts()
    assert attempt.last_sign == attempt.started
    told = snapshot("s", "h", seen)
    assert (told.eta_seconds, told.workers[0].last_seen_seconds) == (None, 0.0)


def test_after_the_clock_was_set_back_a_worker_is_shown_at_what_it_does_now(
    table: JobTable, backend: SettableBackend
) -> None:
    first = claimed(table)
    complete(table, first, {"state": artifact("after"), "log": artifact("log")}, {})
    backend.clock -= 1800
    second = claimed(table)
    (worker,) = table.overview().workers
    assert worker.job == second.name != first.name
