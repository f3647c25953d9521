"""Jobs that are late are run a second time beside their holders; jobs that a worker cannot do are left to others."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from orchestrator.jobs import (
    Artifact,
    Attempt,
    Checkpoint,
    Claimant,
    Completion,
    Device,
    Ending,
    JobState,
    Lease,
    PlannedJob,
    Stage,
)
from orchestrator.jobtable import JobTable, LeaseLost
from orchestrator.jobtable.overview import overview
from orchestrator.jobtable.postgresql import PostgresqlPlace
from orchestrator.jobtable.schema import attempts, jobs
from orchestrator.jobtable.settling import KEPT_CHECKPOINTS
from orchestrator.jobtable.sqlite import SqlitePlace
from orchestrator.jobtable.stragglers import FEWEST_SECONDS, LATE_FACTOR
from orchestrator.progress import snapshot
from tests.jobtable_places import Contents, SettablePlace, artifact, contents, plan_of, planned_job
from tests.postgres_server import fresh_database

LEASE_SECONDS = 1000.0
QUICK = 40.0
"""Seconds that a training takes on a worker that is not late."""
SLOW, IDLE, THIRD = "slow", "idle", "third"
GPU = frozenset({Device.CPU, Device.GPU})


class SettableSqlite(SqlitePlace):
    clock = 1_000_000.0

    def now(self, connection: object) -> float:  # noqa: ARG002
        return self.clock


class SettablePostgresql(PostgresqlPlace):
    clock = 1_000_000.0

    def now(self, connection: object) -> float:  # noqa: ARG002
        return self.clock


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SettablePlace]:
    place: SettablePlace
    with ExitStack() as stack:
        if request.param == "sqlite":
            place = SettableSqlite(tmp_path / "jobs.db")
        else:
            place = SettablePostgresql(stack.enter_context(fresh_database(request.getfixturevalue("postgres"))))
        stack.callback(place.close)
        yield place


@pytest.fixture
def table(place: SettablePlace) -> JobTable:
    table = JobTable(place, "here")
    table.create()
    return table


def shards(count: int, prefix: str = "", needs: Device = Device.CPU) -> list[PlannedJob]:
    named = [planned_job(f"{prefix}s{number}", Stage.TRAIN) for number in range(count)]
    return [dataclasses.replace(job, needs=needs) for job in named]


def with_merge(trainings: Collection[PlannedJob]) -> list[PlannedJob]:
    """The trainings of one round and what waits for them."""
    names = " ".join(training.name for training in trainings)
    return [*trainings, planned_job(f"merge of {names}", Stage.MERGE, trainings)]


def publish(
    table: JobTable, planned: Collection[PlannedJob], *, seconds: float = LEASE_SECONDS, tries: int = 2
) -> None:
    table.publish(plan_of(planned, seconds=seconds, tries=tries))


def claimed(table: JobTable, worker: str, has: Collection[Device] = GPU) -> Lease:
    lease = table.claim(worker, "host", "CPU", has)
    assert lease is not None
    return lease


def done(table: JobTable, lease: Lease) -> tuple[object, ...]:
    return table.complete(lease, {"state": artifact(f"state of {lease.name}"), "log": artifact("log")}, {"loss": 1.0})


@pytest.fixture
def late(table: JobTable, place: SettablePlace) -> Lease:
    """The lease of a training that is late; nothing is ready."""
    publish(table, with_merge(shards(2)))
    return begun_late(table, place)


def begun_late(table: JobTable, place: SettablePlace) -> Lease:
    slow, quick = claimed(table, SLOW), claimed(table, "quick")
    place.clock += QUICK
    done(table, quick)
    place.clock += (LATE_FACTOR - 1) * QUICK + 1
    return slow


def outcomes(table: JobTable, lease: Lease) -> list[tuple[str, Ending | None]]:
    return [(attempt.worker, attempt.outcome) for attempt in table.attempts(lease.job)]


def last(table: JobTable, lease: Lease) -> Attempt:
    return table.attempts(lease.job)[-1]


WRITES: dict[str, Callable[[JobTable, Lease], object]] = {
    "renew": lambda table, lease: table.renew(lease, {"step": 39}),
    "save": lambda table, lease: table.renew(lease, checkpoint=Checkpoint(39, artifact("late"))),
    "refuse": lambda table, lease: table.refuse(lease, Checkpoint(39, artifact("late"))),
    "complete": lambda table, lease: table.complete(lease, {"state": artifact("late")}, {}),
    "fail": lambda table, lease: table.fail(lease, "late"),
    "release": lambda table, lease: table.release(lease),
}


def is_lost(table: JobTable, lease: Lease) -> bool:
    for write in WRITES.values():
        with pytest.raises(LeaseLost):
            write(table, lease)
    return True


# --- when ---


def test_an_idle_worker_is_given_a_late_training_beside_its_holder(table: JobTable, late: Lease) -> None:
    twin = claimed(table, IDLE)
    assert (twin.job, twin.attempt, twin.twin) == (late.job, late.attempt + 1, True)
    assert twin.token != late.token
    job = table.job(late.job)
    assert (job.state, job.worker, job.attempts) == (JobState.RUNNING, SLOW, 2)
    told = {worker.name: worker.job for worker in table.overview().workers}
    assert told == {SLOW: late.name, IDLE: late.name, "quick": None}


def test_a_training_is_not_late_before_twice_what_its_siblings_took(table: JobTable, place: SettablePlace) -> None:
    publish(table, with_merge(shards(2)))
    begun_late(table, place)
    place.clock -= 2
    assert table.claim(IDLE) is None
    place.clock += 2
    assert table.claim(IDLE) is not None


def test_what_siblings_took_is_their_median(table: JobTable, place: SettablePlace) -> None:
    publish(table, with_merge(shards(4)))
    claimed(table, SLOW)
    for worker, seconds in (("a", 1.0), ("b", 50.0), ("c", 300.0)):
        place.clock = 1_000_000.0
        lease = claimed(table, worker)
        place.clock += seconds
        done(table, lease)
    place.clock = 1_000_000.0 + 99
    assert table.claim(IDLE) is None
    place.clock += 2
    assert table.claim(IDLE) is not None


def test_a_holder_that_began_at_a_checkpoint_is_judged_by_the_steps_it_has_to_do(
    table: JobTable, place: SettablePlace
) -> None:
    publish(table, with_merge(shards(2)))
    first, quick = claimed(table, "first"), claimed(table, "quick")
    table.renew(first, checkpoint=Checkpoint(20, artifact("half")))
    place.clock += QUICK
    done(table, quick)
    table.release(first)
    assert claimed(table, SLOW).checkpoints == (Checkpoint(20, artifact("half")),)
    place.clock += LATE_FACTOR * QUICK / 2 - 1
    assert table.claim(IDLE) is None
    place.clock += 2
    assert claimed(table, IDLE).checkpoints == (Checkpoint(20, artifact("half")),)


def test_very_short_trainings_are_given_time_to_begin(table: JobTable, place: SettablePlace) -> None:
    publish(table, with_merge(shards(2)))
    claimed(table, SLOW)
    quick = claimed(table, "quick")
    place.clock += 1
    done(table, quick)
    place.clock += FEWEST_SECONDS - 1
    assert table.claim(IDLE) is None
    place.clock += 1
    assert table.claim(IDLE) is not None


def test_while_no_sibling_is_done_nothing_is_late(table: JobTable, place: SettablePlace) -> None:
    publish(table, with_merge(shards(2)))
    claimed(table, SLOW), claimed(table, "slow too")
    place.clock += 900
    assert table.claim(IDLE) is None


def test_only_what_a_merge_waits_for_is_run_twice(table: JobTable, place: SettablePlace) -> None:
    first, second = shards(2)
    publish(table, [first, second, planned_job("compress", Stage.COMPRESS, [first, second])])
    begun_late(table, place)
    assert table.claim(IDLE) is None


def test_a_job_has_one_twin_at_most(table: JobTable, late: Lease) -> None:
    assert claimed(table, IDLE).job == late.job
    assert table.claim(THIRD) is None


def test_a_holder_is_not_its_own_twin(table: JobTable, late: Lease) -> None:
    assert table.claim(SLOW) is None
    assert table.renew(late).twin is False


def test_of_many_idle_workers_one_becomes_the_twin(table: JobTable, late: Lease) -> None:
    with ThreadPoolExecutor(4) as threads:
        leases = list(threads.map(table.claim, [f"idle{number}" for number in range(8)]))
    assert [lease.job for lease in leases if lease] == [late.job]


def test_the_longest_running_of_late_trainings_is_run_twice_first(table: JobTable, place: SettablePlace) -> None:
    publish(table, with_merge(shards(3)))
    slowest = claimed(table, "slowest")
    place.clock += 1
    slow = begun_late(table, place)
    assert (claimed(table, IDLE).job, claimed(table, THIRD).job) == (slowest.job, slow.job)


def test_what_is_ready_goes_before_what_is_late(table: JobTable, place: SettablePlace) -> None:
    publish(table, [*with_merge(shards(2)), planned_job("other")])
    late = begun_late(table, place)
    assert claimed(table, IDLE).name == "other"
    assert claimed(table, THIRD).job == late.job


def test_a_worker_that_asks_for_nothing_gets_no_twin(table: JobTable, late: Lease) -> None:
    assert table.exchange((), Claimant(IDLE), most=0).leases == ()
    assert len(table.attempts(late.job)) == 1


def test_a_twin_is_leased_in_the_transaction_that_hands_in_the_last_sibling(
    table: JobTable, place: SettablePlace
) -> None:
    publish(table, with_merge(shards(2)))
    slow, idle = claimed(table, SLOW), claimed(table, IDLE)
    table.renew(idle, checkpoint=Checkpoint(20, artifact("half")))
    table.release(idle)
    place.clock += QUICK
    handed_in = Completion(claimed(table, IDLE), {"state": artifact("state"), "log": artifact("log")}, {})
    (twin,) = table.exchange([handed_in], Claimant(IDLE), most=3).leases
    assert (twin.job, twin.twin) == (slow.job, True)


def test_a_late_training_that_needs_a_gpu_is_left_to_workers_that_have_one(
    table: JobTable, place: SettablePlace
) -> None:
    publish(table, with_merge(shards(2, needs=Device.GPU)))
    late = begun_late(table, place)
    assert table.claim(IDLE, has=[Device.CPU]) is None
    assert claimed(table, IDLE, has=GPU).job == late.job


def test_a_late_training_is_not_given_to_a_worker_that_cannot_do_it(table: JobTable, late: Lease) -> None:
    assert table.exchange((), Claimant(IDLE, cannot=frozenset({late.job}))).leases == ()
    assert claimed(table, THIRD).job == late.job


@pytest.mark.parametrize("end", ["fail", "release"])
def test_a_worker_that_gave_a_late_training_up_is_not_given_it_again(end: str, table: JobTable, late: Lease) -> None:
    WRITES[end](table, claimed(table, IDLE))
    assert table.claim(IDLE) is None
    assert claimed(table, THIRD).job == late.job


# --- who wins ---


@pytest.mark.parametrize("winner", [SLOW, IDLE])
def test_the_first_to_be_done_wins_and_the_other_is_told(winner: str, table: JobTable, late: Lease) -> None:
    twin = claimed(table, IDLE)
    first, second = (late, twin) if winner == SLOW else (twin, late)
    done(table, first)
    assert is_lost(table, second)
    assert outcomes(table, late) == [
        (SLOW, Ending.DONE if winner == SLOW else Ending.OUTRUN),
        (IDLE, Ending.DONE if winner == IDLE else Ending.OUTRUN),
    ]
    assert [attempt.twin for attempt in table.attempts(late.job)] == [False, True]
    assert table.outputs(late.job)["state"] == artifact(f"state of {late.name}")
    job = table.job(late.job)
    assert (job.state, job.failures, job.worker) == (JobState.DONE, 0, None)
    assert claimed(table, THIRD).stage is Stage.MERGE


def test_an_outrun_worker_is_not_counted_as_heard_of(table: JobTable, place: SettablePlace, late: Lease) -> None:
    heard = place.clock
    table.renew(late, {"step": 5})
    twin = claimed(table, IDLE)
    place.clock += 20
    done(table, twin)
    outrun, winner = table.attempts(late.job)
    assert (outrun.ended, outrun.last_sign, outrun.to_step) == (place.clock, heard, 5)
    assert (winner.last_sign, winner.to_step) == (place.clock, 40)
    assert {worker.name: worker.seen for worker in table.overview().workers}[SLOW] == heard


def test_a_holder_that_died_before_its_twin_was_done_is_a_death(
    table: JobTable, place: SettablePlace, late: Lease
) -> None:
    twin = claimed(table, IDLE)
    place.clock += LEASE_SECONDS - 10
    twin = table.renew(twin)
    place.clock += 20
    done(table, twin)
    assert outcomes(table, late) == [(SLOW, Ending.EXPIRED), (IDLE, Ending.DONE)]


# --- what else may end ---


def test_a_twin_goes_on_alone_when_its_holder_dies(table: JobTable, place: SettablePlace) -> None:
    publish(table, with_merge(shards(2)), seconds=LATE_FACTOR * QUICK + 10)
    late = begun_late(table, place)
    twin = claimed(table, IDLE)
    place.clock += 10
    assert table.claim(THIRD) is None, "nobody runs it a third time"
    assert is_lost(table, late)
    twin = table.renew(twin)
    assert not twin.twin
    job = table.job(late.job)
    assert (job.state, job.worker, job.attempts, job.failures) == (JobState.RUNNING, IDLE, 2, 0)
    assert outcomes(table, late) == [(SLOW, Ending.EXPIRED), (IDLE, None)]
    assert not last(table, late).twin
    done(table, twin)
    assert outcomes(table, late) == [(SLOW, Ending.EXPIRED), (IDLE, Ending.DONE)]


def test_deaths_of_holders_whose_twins_go_on_never_quarantine_a_job(
    table: JobTable, place: SettablePlace, late: Lease
) -> None:
    for number in range(5):
        twin = claimed(table, f"idle{number}")
        place.clock += LEASE_SECONDS
        table.renew(twin)
        place.clock += 1
    assert table.claim(SLOW) is None
    assert [outcome for _, outcome in outcomes(table, late)] == [Ending.EXPIRED] * 5 + [None]
    assert table.job(late.job).state is JobState.RUNNING


def test_the_death_of_a_twin_is_nothing_to_the_job(table: JobTable, place: SettablePlace, late: Lease) -> None:
    twin = claimed(table, IDLE)
    place.clock += LEASE_SECONDS / 2
    table.renew(late)
    place.clock += LEASE_SECONDS / 2 + 1
    assert table.claim(IDLE) is None, "it died at this job before"
    assert outcomes(table, late) == [(SLOW, None), (IDLE, Ending.EXPIRED)]
    assert is_lost(table, twin)
    assert claimed(table, THIRD).attempt == 3
    done(table, late)
    assert table.job(late.job).failures == 0


def test_when_both_have_died_the_job_is_ready_after_one_death(
    table: JobTable, place: SettablePlace, late: Lease
) -> None:
    twin = claimed(table, IDLE)
    place.clock += LEASE_SECONDS + 1
    again = claimed(table, THIRD)
    assert (again.job, again.twin, again.attempt) == (late.job, False, 3)
    assert outcomes(table, late) == [(SLOW, Ending.EXPIRED), (IDLE, Ending.EXPIRED), (THIRD, None)]
    assert is_lost(table, late) and is_lost(table, twin)
    with place.reading() as connection:
        assert connection.execute(select(jobs.c.stuck_deaths).where(jobs.c.id == late.job)).scalar_one() == 1


@pytest.mark.parametrize(("end", "ending"), [("fail", Ending.FAILED), ("release", Ending.RELEASED)])
def test_a_holder_goes_on_when_its_twin_leaves(end: str, ending: Ending, table: JobTable, late: Lease) -> None:
    twin = claimed(table, IDLE)
    table.renew(late, {"step": 7})
    WRITES[end](table, twin)
    assert is_lost(table, twin)
    assert outcomes(table, late) == [(SLOW, None), (IDLE, ending)]
    assert last(table, late).to_step == 0, "the twin's own, not the holder's"
    job = table.job(late.job)
    assert (job.state, job.worker, job.failures, job.error) == (JobState.RUNNING, SLOW, 0, None)
    done(table, late)


def test_a_twin_goes_on_when_its_holder_fails_and_the_failure_counts(table: JobTable, late: Lease) -> None:
    twin = claimed(table, IDLE)
    assert table.fail(late, "ValueError: no") is JobState.RUNNING
    assert is_lost(table, late)
    job = table.job(late.job)
    assert (job.worker, job.failures, job.error) == (IDLE, 1, "ValueError: no")
    assert outcomes(table, late) == [(SLOW, Ending.FAILED), (IDLE, None)]
    done(table, twin)
    assert table.job(late.job).error is None


def test_a_job_is_quarantined_when_its_last_worker_has_failed(table: JobTable, place: SettablePlace) -> None:
    publish(table, with_merge(shards(2)), tries=1)
    late = begun_late(table, place)
    twin = claimed(table, IDLE)
    assert table.fail(late, "no") is JobState.RUNNING
    assert table.fail(twin, "no again") is JobState.QUARANTINED
    assert table.retry(late.job).state is JobState.READY


def test_a_twin_goes_on_when_its_holder_gives_the_job_back(table: JobTable, late: Lease) -> None:
    twin = claimed(table, IDLE)
    table.release(late, "the session ends")
    assert is_lost(table, late)
    job = table.job(late.job)
    assert (job.state, job.worker, job.failures) == (JobState.RUNNING, IDLE, 0)
    assert outcomes(table, late) == [(SLOW, Ending.RELEASED), (IDLE, None)]
    done(table, twin)


@pytest.mark.parametrize("how", ["cancel", "replan"])
def test_a_job_that_is_not_wanted_any_more_is_taken_from_both(how: str, table: JobTable, late: Lease) -> None:
    twin = claimed(table, IDLE)
    if how == "cancel":
        table.cancel(late.job)
    else:
        publish(table, [planned_job("another")])
    assert is_lost(table, late) and is_lost(table, twin)
    assert outcomes(table, late) == [(SLOW, Ending.CANCELLED), (IDLE, Ending.CANCELLED)]
    assert table.job(late.job).state is JobState.CANCELLED


# --- what the two say and save ---


def test_the_one_that_is_further_along_is_shown(table: JobTable, late: Lease) -> None:
    table.renew(late, {"step": 10, "loss": 2.0})
    twin = claimed(table, IDLE)
    assert table.job(late.job).progress == {"step": 10, "loss": 2.0}, "a twin that has just begun changes nothing"
    table.renew(twin, {"step": 4, "loss": 3.0})
    table.renew(twin)
    assert table.job(late.job).progress == {"step": 10, "loss": 2.0}
    table.renew(twin, {"step": 12, "loss": 1.5})
    table.renew(late, {"step": 11, "loss": 1.6})
    assert table.job(late.job).progress == {"step": 12, "loss": 1.5}
    assert [attempt.to_step for attempt in table.attempts(late.job)] == [11, 12]


def test_a_renewal_of_either_counts_for_its_own_lease_alone(table: JobTable, place: SettablePlace, late: Lease) -> None:
    twin = claimed(table, IDLE)
    begun = place.clock
    place.clock += 100
    table.renew(twin)
    with place.reading() as connection:
        expires = select(jobs.c.lease_expires, jobs.c.twin_expires).where(jobs.c.id == late.job)
        held, beside = connection.execute(expires).one()
    assert held < begun + LEASE_SECONDS
    assert beside == place.clock + LEASE_SECONDS


def test_a_twin_begins_at_the_newest_checkpoint(table: JobTable, late: Lease) -> None:
    table.renew(late, checkpoint=Checkpoint(10, artifact("at 10")))
    twin = claimed(table, IDLE)
    assert twin.checkpoints == (Checkpoint(10, artifact("at 10")),)
    assert last(table, late).from_step == 10


def test_the_newest_two_checkpoints_are_kept_whoever_made_them(table: JobTable, late: Lease) -> None:
    table.renew(late, checkpoint=Checkpoint(10, artifact("at 10")))
    twin = claimed(table, IDLE)
    table.renew(late, checkpoint=Checkpoint(20, artifact("at 20")))
    renewed = table.renew(twin, checkpoint=Checkpoint(30, artifact("at 30")))
    assert [checkpoint.step for checkpoint in renewed.checkpoints] == [30, 20]
    assert renewed.superseded == (artifact("at 10"),)
    behind = table.renew(late, checkpoint=Checkpoint(15, artifact("at 15")))
    assert [checkpoint.step for checkpoint in behind.checkpoints] == [30, 20]
    assert behind.superseded == (artifact("at 15"),), "never named, so its owner deletes it"


def test_equal_bits_of_two_workers_are_one_file_that_stays(table: JobTable, late: Lease) -> None:
    twin = claimed(table, IDLE)
    table.renew(late, checkpoint=Checkpoint(20, artifact("at 20")))
    renewed = table.renew(twin, checkpoint=Checkpoint(20, artifact("at 20")))
    assert renewed.superseded == ()
    assert table.checkpoints(late.job) == (Checkpoint(20, artifact("at 20")),)


def test_a_damaged_checkpoint_that_a_twin_refuses_does_not_set_its_holder_back(table: JobTable, late: Lease) -> None:
    table.renew(late, {"step": 25}, checkpoint=Checkpoint(20, artifact("at 20")))
    twin = claimed(table, IDLE)
    assert table.refuse(twin, twin.checkpoints[0]).checkpoints == ()
    assert table.job(late.job).progress == {"step": 25}
    assert last(table, late).from_step == 0


def test_the_winner_deletes_the_checkpoints_of_both(table: JobTable, late: Lease) -> None:
    table.renew(late, checkpoint=Checkpoint(10, artifact("at 10")))
    twin = claimed(table, IDLE)
    table.renew(twin, checkpoint=Checkpoint(20, artifact("at 20")))
    assert set(done(table, late)) == {artifact("at 10"), artifact("at 20")}


# --- what the schema refuses, and what nobody waits for ---


@pytest.mark.parametrize(
    "values",
    [
        {"twin_token": "t"},
        {"twin_token": "t", "twin_worker": SLOW, "twin_expires": 1.0},
        {"token": None, "worker": None, "lease_expires": None, "state": "ready"},
    ],
    ids=["half a twin", "its own twin", "a twin without a holder"],
)
def test_the_schema_refuses(values: dict[str, object], table: JobTable, place: SettablePlace, late: Lease) -> None:
    if "token" in values:
        claimed(table, IDLE)
    with pytest.raises(IntegrityError), place.transaction() as connection:
        connection.execute(update(jobs).where(jobs.c.id == late.job).values(**values))


def test_the_schema_refuses_a_third_open_attempt(table: JobTable, place: SettablePlace, late: Lease) -> None:
    claimed(table, IDLE)
    with pytest.raises(IntegrityError), place.transaction() as connection:
        connection.execute(update(attempts).where(attempts.c.job == late.job).values(twin=False))


def test_nobody_waits_for_a_holder_that_is_just_now_writing(postgres: str) -> None:
    """It may be waiting for a row that the idle worker has locked by handing in a sibling."""
    with (
        fresh_database(postgres) as url,
        closing(SettablePostgresql(url)) as place,
        closing(SettablePostgresql(url)) as other,
    ):
        table = JobTable(place, "here")
        table.create()
        publish(table, with_merge(shards(2)))
        late = begun_late(table, place)
        with other.transaction() as writing:
            writing.execute(select(jobs.c.id).where(jobs.c.id == late.job).with_for_update())
            assert table.claim(IDLE) is None
        assert claimed(table, IDLE).job == late.job


# --- what a worker cannot do ---


def test_a_worker_is_given_what_comes_after_the_jobs_that_it_cannot_do(table: JobTable) -> None:
    first, second, third = planned = [planned_job(f"job{number}") for number in range(3)]
    publish(table, planned)
    worker = Claimant(IDLE, cannot=frozenset({first.id, second.id}))
    assert [lease.job for lease in table.exchange((), worker).leases] == [third.id]
    assert table.exchange((), worker).leases == ()
    assert table.claim(THIRD) is not None


def problems(place: SettablePlace) -> tuple[str, ...]:
    with place.reading() as connection:
        return snapshot("s", "h", overview(connection, place.clock)).problems


def test_a_refused_job_is_told_with_the_reason_until_another_takes_it(table: JobTable, place: SettablePlace) -> None:
    publish(table, [planned_job("job")])
    table.release(claimed(table, IDLE), "it needs 9 GB and there are 4", refused=True)
    (problem,) = problems(place)
    assert problem == "job waits for another worker: idle cannot do it: it needs 9 GB and there are 4"
    job = table.job("job")
    assert (job.state, job.failures) == (JobState.READY, 0)
    lease = claimed(table, THIRD)
    assert problems(place) == ()
    table.complete(lease, {}, {})
    assert table.job("job").error is None


def test_a_job_that_is_given_back_for_another_reason_is_no_problem(table: JobTable, place: SettablePlace) -> None:
    publish(table, [planned_job("job")])
    table.release(claimed(table, IDLE), "the session ends")
    assert problems(place) == ()


def test_what_a_twin_cannot_do_its_holder_does(table: JobTable, place: SettablePlace, late: Lease) -> None:
    table.release(claimed(table, IDLE), "too little memory", refused=True)
    assert table.job(late.job).error is None
    assert problems(place) == ()
    done(table, late)


# --- whatever happens, in whatever order ---


def check_promises(now: Contents) -> None:
    for job in now["jobs"]:
        mine = [attempt for attempt in now["attempts"] if attempt.job == job.id]
        open_ = sorted((attempt.twin, attempt.worker) for attempt in mine if attempt.ended is None)
        at_it = [(False, job.worker)] * (job.token is not None) + [(True, job.twin_worker)] * (
            job.twin_token is not None
        )
        assert open_ == at_it
        assert [attempt.number for attempt in mine] == list(range(1, job.attempts + 1))
        assert sum(attempt.outcome == Ending.DONE for attempt in mine) == (job.state == JobState.DONE)
        assert sum(attempt.outcome == Ending.FAILED for attempt in mine) >= job.failures
        assert sum(held.job == job.id for held in now["checkpoints"]) <= KEPT_CHECKPOINTS


@dataclasses.dataclass
class Walk:
    """Workers that each do what chance says, on a round of three trainings."""

    table: JobTable
    place: SettablePlace
    chance: random.Random
    held: dict[str, Lease] = dataclasses.field(default_factory=dict)
    stored: set[str] = dataclasses.field(default_factory=set)
    """Files that were put and not deleted, by digest."""
    twins: int = 0

    def step(self) -> None:
        worker = f"w{self.chance.randrange(5)}"
        self.place.clock += self.chance.choice([0, 5, 10, 20])
        try:
            if worker in self.held:
                self._work(worker, self.held[worker])
            else:
                self._claim(worker)
        except LeaseLost:
            self.held.pop(worker, None)

    def _claim(self, worker: str) -> None:
        lease = self.table.claim(worker)
        if lease is not None:
            self.held[worker] = lease
            self.twins += lease.twin

    def _work(self, worker: str, lease: Lease) -> None:
        step = self.chance.randrange(1, 41)
        match self.chance.choice(["renew", "renew", "save", "save", "complete", "fail", "release", "die"]):
            case "renew":
                self.held[worker] = self.table.renew(lease, {"step": step})
            case "save":
                file = artifact(f"{lease.name} at {step}")
                self.stored.add(file.sha256)
                self.held[worker] = self.table.renew(lease, {"step": step}, Checkpoint(step, file))
                self._delete(self.held[worker].superseded)
            case "complete":
                outputs = {"state": artifact(f"{lease.name} at 40"), "log": artifact(f"log of {lease.name}")}
                self.stored |= {file.sha256 for file in outputs.values()}
                del self.held[worker]
                self._delete(self.table.complete(lease, outputs, {}))
            case "fail" | "release" as end:
                del self.held[worker]
                WRITES[end](self.table, lease)
            case "die":
                del self.held[worker]

    def _delete(self, files: Collection[Artifact]) -> None:
        self.stored -= {file.sha256 for file in files}

    def until_the_end(self) -> None:
        before = contents(self.place)
        while self.table.unfinished():
            self.step()
            now = contents(self.place)
            check_promises(now)
            ended = {attempt for attempt in before["attempts"] if attempt.ended is not None}
            assert ended <= set(now["attempts"]), "history is only added to"
            named = {row.sha256 for rows in (now["checkpoints"], now["outputs"]) for row in rows}
            assert named <= self.stored, "what is named was not deleted"
            before = now


def test_each_job_is_done_once_in_every_order_of_events(table: JobTable, place: SettablePlace) -> None:
    walk = Walk(table, place, random.Random(9))
    for number in range(6):
        publish(table, with_merge(shards(3, f"round{number}.")), seconds=120.0, tries=50)
        walk.held.clear()
        walk.until_the_end()
        assert {job.state for job in table.jobs()} <= {JobState.DONE, JobState.QUARANTINED, JobState.BLOCKED}
    assert walk.twins > 10, "what is proved here happened"
    endings = [attempt.outcome for attempt in table.attempts()]
    assert all(endings.count(ending) > 1 for ending in (Ending.OUTRUN, Ending.EXPIRED, Ending.FAILED, Ending.RELEASED))
