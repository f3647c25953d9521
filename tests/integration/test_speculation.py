"""Two workers at one job: who wins, what the end of either means for the other, and what they say and save."""

from __future__ import annotations

from contextlib import closing

import pytest
from sqlalchemy import Connection, select, update

from orchestrator.errors import HomeError
from orchestrator.jobs import (
    Checkpoint,
    Ending,
    JobState,
    Lease,
    Stage,
    WorkerInfo,
)
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.schema.tables import attempts, jobs
from orchestrator.jobtable.transactions.speculation import LATE_FACTOR
from tests.support.jobtable_backends import (
    SettableBackend,
    SettablePostgresqlBackend,
    artifact,
    planned_job,
)
from tests.support.late_trainings import (
    IDLE,
    LEASE_SECONDS,
    QUICK,
    SLOW,
    THIRD,
    WRITES,
    begun_late,
    claimed,
    done,
    is_lost,
    last,
    outcomes,
    publish,
    shards,
    with_merge,
)
from tests.support.postgres_server import fresh_database

# --- who wins ---


@pytest.mark.parametrize("winner", [SLOW, IDLE])
def test_the_first_to_be_done_wins_and_the_other_is_told(winner: str, table: JobTable, late: Lease) -> None:
    other = claimed(table, IDLE)
    first, second = (late, other) if winner == SLOW else (other, late)
    done(table, first)
    assert is_lost(table, second)
    assert outcomes(table, late) == [
        (SLOW, Ending.DONE if winner == SLOW else Ending.SUPERSEDED),
        (IDLE, Ending.DONE if winner == IDLE else Ending.SUPERSEDED),
    ]
    assert [attempt.speculative for attempt in table.attempts(late.job)] == [False, True]
    assert table.outputs(late.job)["state"] == artifact(f"state of {late.name}")
    job = table.job(late.job)
    assert (job.state, job.failures, job.worker) == (JobState.DONE, 0, None)
    assert claimed(table, THIRD).stage is Stage.MERGE


def test_a_superseded_worker_is_not_counted_as_heard_of(table: JobTable, backend: SettableBackend, late: Lease) -> None:
    heard = backend.clock
    table.renew(late, {"step": 5})
    other = claimed(table, IDLE)
    backend.clock += 20
    done(table, other)
    superseded, winner = table.attempts(late.job)
    assert (superseded.ended, superseded.last_sign, superseded.to_step) == (backend.clock, heard, 5)
    assert (winner.last_sign, winner.to_step) == (backend.clock, 40)
    assert {worker.name: worker.seen for worker in table.overview().workers}[SLOW] == heard


def test_a_holder_that_died_before_the_other_was_done_is_a_death(
    table: JobTable, backend: SettableBackend, late: Lease
) -> None:
    other = claimed(table, IDLE)
    backend.clock += LEASE_SECONDS - 10
    other = table.renew(other)
    backend.clock += 20
    done(table, other)
    assert outcomes(table, late) == [(SLOW, Ending.EXPIRED), (IDLE, Ending.DONE)]


# --- what else may end ---


def test_a_speculative_attempt_goes_on_alone_when_its_holder_dies(table: JobTable, backend: SettableBackend) -> None:
    publish(table, with_merge(shards(2)), seconds=LATE_FACTOR * QUICK + 10)
    late = begun_late(table, backend)
    other = claimed(table, IDLE)
    backend.clock += 10
    assert table.claim(WorkerInfo(THIRD)) is None, "nobody runs it a third time"
    assert is_lost(table, late)
    other = table.renew(other)
    assert not other.speculative
    job = table.job(late.job)
    assert (job.state, job.worker, job.attempts, job.failures) == (JobState.RUNNING, IDLE, 2, 0)
    assert outcomes(table, late) == [(SLOW, Ending.EXPIRED), (IDLE, None)]
    assert not last(table, late).speculative
    done(table, other)
    assert outcomes(table, late) == [(SLOW, Ending.EXPIRED), (IDLE, Ending.DONE)]


def test_a_job_that_kills_holder_after_holder_is_quarantined_when_the_last_has_died(
    table: JobTable, backend: SettableBackend, late: Lease
) -> None:
    for number in range(5):
        other = claimed(table, f"idle{number}")
        backend.clock += LEASE_SECONDS
        table.renew(other)
        backend.clock += 1
    assert table.claim(WorkerInfo(SLOW)) is None
    assert [outcome for _, outcome in outcomes(table, late)] == [Ending.EXPIRED] * 5 + [None]
    assert table.job(late.job).state is JobState.RUNNING, "the one that is left may yet do it"
    backend.clock += LEASE_SECONDS + 1
    assert table.claim(WorkerInfo(THIRD)) is None
    assert table.job(late.job).state is JobState.QUARANTINED


def test_a_speculative_attempt_that_dies_where_its_holder_dies_later_counts(
    table: JobTable, backend: SettableBackend, late: Lease
) -> None:
    claimed(table, IDLE)
    backend.clock += LEASE_SECONDS / 2
    table.renew(late)
    backend.clock += LEASE_SECONDS / 2 + 1
    assert table.claim(WorkerInfo(IDLE)) is None, "it died at this job before"
    backend.clock += LEASE_SECONDS
    assert table.claim(WorkerInfo(IDLE)) is None
    assert table.job(late.job).state is JobState.QUARANTINED


def test_a_checkpoint_gained_by_either_takes_the_deaths_before_it_back(
    table: JobTable, backend: SettableBackend, late: Lease
) -> None:
    for number in range(3):
        other = claimed(table, f"idle{number}")
        backend.clock += LEASE_SECONDS
        table.renew(other, None, Checkpoint(5 + number, artifact(f"step {5 + number}")))
        backend.clock += 1
    backend.clock += LEASE_SECONDS
    assert claimed(table, SLOW).job == late.job


def test_the_death_of_a_speculative_attempt_is_nothing_to_the_job(
    table: JobTable, backend: SettableBackend, late: Lease
) -> None:
    other = claimed(table, IDLE)
    backend.clock += LEASE_SECONDS / 2
    table.renew(late)
    backend.clock += LEASE_SECONDS / 2 + 1
    assert table.claim(WorkerInfo(IDLE)) is None, "it died at this job before"
    assert outcomes(table, late) == [(SLOW, None), (IDLE, Ending.EXPIRED)]
    assert is_lost(table, other)
    assert claimed(table, THIRD).attempt == 3
    done(table, late)
    assert table.job(late.job).failures == 0


def test_when_both_have_died_the_job_is_ready_after_one_death(
    table: JobTable, backend: SettableBackend, late: Lease
) -> None:
    other = claimed(table, IDLE)
    backend.clock += LEASE_SECONDS + 1
    again = claimed(table, THIRD)
    assert (again.job, again.speculative, again.attempt) == (late.job, False, 3)
    assert outcomes(table, late) == [(SLOW, Ending.EXPIRED), (IDLE, Ending.EXPIRED), (THIRD, None)]
    assert is_lost(table, late) and is_lost(table, other)
    with backend.reading() as connection:
        assert connection.execute(select(jobs.c.stuck_deaths).where(jobs.c.id == late.job)).scalar_one() == 1


def test_a_speculative_attempt_from_before_the_clock_was_set_back_stands_in_nobodys_way(
    table: JobTable, backend: SettableBackend, late: Lease
) -> None:
    backend.clock += 7200
    table.renew(late)
    claimed(table, IDLE)
    backend.clock -= 7200
    table.renew(late)
    assert table.claim(WorkerInfo(THIRD)) is None
    backend.clock += LEASE_SECONDS - 1
    table.renew(late)
    backend.clock += 2
    assert claimed(table, THIRD).job == late.job


@pytest.mark.parametrize(("end", "ending"), [("fail", Ending.FAILED), ("release", Ending.RELEASED)])
def test_a_holder_goes_on_when_the_other_leaves(end: str, ending: Ending, table: JobTable, late: Lease) -> None:
    other = claimed(table, IDLE)
    table.renew(late, {"step": 7})
    WRITES[end](table, other)
    assert is_lost(table, other)
    assert outcomes(table, late) == [(SLOW, None), (IDLE, ending)]
    assert last(table, late).to_step == 0, "the other's own, not the holder's"
    job = table.job(late.job)
    assert (job.state, job.worker, job.failures, job.error) == (JobState.RUNNING, SLOW, 0, None)
    done(table, late)


def test_a_speculative_attempt_goes_on_when_its_holder_fails_and_the_failure_counts(
    table: JobTable, late: Lease
) -> None:
    other = claimed(table, IDLE)
    assert table.fail(late, "ValueError: no") is JobState.RUNNING
    assert is_lost(table, late)
    job = table.job(late.job)
    assert (job.worker, job.failures, job.error) == (IDLE, 1, "ValueError: no")
    assert outcomes(table, late) == [(SLOW, Ending.FAILED), (IDLE, None)]
    done(table, other)
    assert table.job(late.job).error is None


def test_a_final_failure_of_one_leaves_the_job_to_the_other(table: JobTable, late: Lease) -> None:
    other = claimed(table, IDLE)
    assert table.fail(late, "the loss became nan", final=True) is JobState.RUNNING
    done(table, other)
    assert table.job(late.job).state is JobState.DONE


def test_a_job_is_quarantined_when_its_last_worker_has_failed(table: JobTable, backend: SettableBackend) -> None:
    publish(table, with_merge(shards(2)), tries=1)
    late = begun_late(table, backend)
    other = claimed(table, IDLE)
    assert table.fail(late, "no") is JobState.RUNNING
    assert table.fail(other, "no again") is JobState.QUARANTINED
    assert table.retry(late.job).state is JobState.READY


def test_a_speculative_attempt_goes_on_when_its_holder_gives_the_job_back(table: JobTable, late: Lease) -> None:
    other = claimed(table, IDLE)
    table.release(late, "the session ends")
    assert is_lost(table, late)
    job = table.job(late.job)
    assert (job.state, job.worker, job.failures) == (JobState.RUNNING, IDLE, 0)
    assert outcomes(table, late) == [(SLOW, Ending.RELEASED), (IDLE, None)]
    done(table, other)


@pytest.mark.parametrize("how", ["cancel", "replan"])
def test_a_job_that_is_not_wanted_any_more_is_taken_from_both(how: str, table: JobTable, late: Lease) -> None:
    other = claimed(table, IDLE)
    if how == "cancel":
        table.cancel(late.job)
    else:
        publish(table, [planned_job("another")])
    assert is_lost(table, late) and is_lost(table, other)
    assert outcomes(table, late) == [(SLOW, Ending.CANCELLED), (IDLE, Ending.CANCELLED)]
    assert table.job(late.job).state is JobState.CANCELLED


# --- what the two say and save ---


def test_the_one_that_is_further_along_is_shown(table: JobTable, late: Lease) -> None:
    table.renew(late, {"step": 10, "loss": 2.0})
    other = claimed(table, IDLE)
    assert table.job(late.job).progress == {"step": 10, "loss": 2.0}, "one that has just begun changes nothing"
    table.renew(other, {"step": 4, "loss": 3.0})
    table.renew(other)
    assert table.job(late.job).progress == {"step": 10, "loss": 2.0}
    table.renew(other, {"step": 12, "loss": 1.5})
    table.renew(late, {"step": 11, "loss": 1.6})
    assert table.job(late.job).progress == {"step": 12, "loss": 1.5}
    assert [attempt.to_step for attempt in table.attempts(late.job)] == [11, 12]


def test_a_renewal_of_either_counts_for_its_own_lease_alone(
    table: JobTable, backend: SettableBackend, late: Lease
) -> None:
    other = claimed(table, IDLE)
    begun = backend.clock
    backend.clock += 100
    table.renew(other)
    with backend.reading() as connection:
        expires = select(jobs.c.lease_expires, jobs.c.twin_expires).where(jobs.c.id == late.job)
        held, beside = connection.execute(expires).one()
    assert held < begun + LEASE_SECONDS
    assert beside == backend.clock + LEASE_SECONDS


def test_a_speculative_attempt_begins_at_the_newest_checkpoint(table: JobTable, late: Lease) -> None:
    table.renew(late, checkpoint=Checkpoint(10, artifact("at 10")))
    other = claimed(table, IDLE)
    assert other.checkpoints == (Checkpoint(10, artifact("at 10")),)
    assert last(table, late).from_step == 10


def test_the_newest_two_checkpoints_are_kept_whoever_made_them(table: JobTable, late: Lease) -> None:
    table.renew(late, checkpoint=Checkpoint(10, artifact("at 10")))
    other = claimed(table, IDLE)
    table.renew(late, checkpoint=Checkpoint(20, artifact("at 20")))
    renewed = table.renew(other, checkpoint=Checkpoint(30, artifact("at 30")))
    assert [checkpoint.step for checkpoint in renewed.checkpoints] == [30, 20]
    assert renewed.obsolete == (artifact("at 10"),)
    behind = table.renew(late, checkpoint=Checkpoint(15, artifact("at 15")))
    assert [checkpoint.step for checkpoint in behind.checkpoints] == [30, 20]
    assert behind.obsolete == (artifact("at 15"),), "never named, so its owner deletes it"


def test_equal_bits_of_two_workers_are_one_file_that_stays(table: JobTable, late: Lease) -> None:
    other = claimed(table, IDLE)
    table.renew(late, checkpoint=Checkpoint(20, artifact("at 20")))
    renewed = table.renew(other, checkpoint=Checkpoint(20, artifact("at 20")))
    assert renewed.obsolete == ()
    assert table.checkpoints(late.job) == (Checkpoint(20, artifact("at 20")),)


def test_a_damaged_checkpoint_that_a_speculative_attempt_discards_does_not_set_its_holder_back(
    table: JobTable, late: Lease
) -> None:
    table.renew(late, {"step": 25}, checkpoint=Checkpoint(20, artifact("at 20")))
    other = claimed(table, IDLE)
    assert table.discard(other, other.checkpoints[0]).checkpoints == ()
    assert table.job(late.job).progress == {"step": 25}
    assert last(table, late).from_step == 0


def test_the_winner_deletes_the_checkpoints_of_both(table: JobTable, late: Lease) -> None:
    table.renew(late, checkpoint=Checkpoint(10, artifact("at 10")))
    other = claimed(table, IDLE)
    table.renew(other, checkpoint=Checkpoint(20, artifact("at 20")))
    assert set(done(table, late)) == {artifact("at 10"), artifact("at 20")}


# --- what the schema refuses, and what nobody waits for ---


@pytest.mark.parametrize(
    "values",
    [
        {"twin_token": "t"},
        {"twin_token": "t", "twin_worker": SLOW, "twin_expires": 1.0},
        {"token": None, "worker": None, "lease_expires": None, "state": "ready"},
    ],
    ids=["half a speculative attempt", "its own", "one without a holder"],
)
def test_the_schema_refuses(values: dict[str, object], table: JobTable, backend: SettableBackend, late: Lease) -> None:
    if "token" in values:
        claimed(table, IDLE)
    change = update(jobs).where(jobs.c.id == late.job).values(**values)
    with pytest.raises(HomeError, match="holds what no Orch writes"):
        backend.transact(lambda connection: connection.execute(change))


def test_the_schema_refuses_a_third_open_attempt(table: JobTable, backend: SettableBackend, late: Lease) -> None:
    claimed(table, IDLE)
    change = update(attempts).where(attempts.c.job == late.job).values(twin=False)
    with pytest.raises(HomeError, match="holds what no Orch writes"):
        backend.transact(lambda connection: connection.execute(change))


def test_nobody_waits_for_a_holder_that_is_just_now_writing(postgres: str) -> None:
    """It may be waiting for a row that the idle worker has locked by completing a sibling."""
    with (
        fresh_database(postgres) as url,
        closing(SettablePostgresqlBackend(url)) as backend,
        closing(SettablePostgresqlBackend(url)) as other,
    ):
        table = JobTable(backend, "here")
        table.create()
        publish(table, with_merge(shards(2)))
        late = begun_late(table, backend)

        def meanwhile(writing: Connection) -> Lease | None:
            writing.execute(select(jobs.c.id).where(jobs.c.id == late.job).with_for_update())
            return table.claim(WorkerInfo(IDLE))

        assert other.transact(meanwhile) is None
        assert claimed(table, IDLE).job == late.job
