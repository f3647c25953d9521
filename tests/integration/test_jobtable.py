"""The job table's promises, on a real database file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from orchestrator.errors import HomeError, UsageError
from orchestrator.jobs import Artifact, Checkpoint, Ending, FailureStatistics, JobState, Lease, WorkerInfo
from orchestrator.jobtable import JobTable, LeaseLost
from orchestrator.jobtable.backends.sqlite import SqliteBackend
from orchestrator.jobtable.schema import tables
from orchestrator.planning.planner import Plan, make_plan
from orchestrator.study import Study
from tests.conftest import SMALL
from tests.support.jobtable_backends import (
    BACKENDS,
    BackendOf,
    SettableBackend,
    complete,
    digest,
    on_every_kind,
)
from tests.support.repetitions import repetitions

WHEREVER_IT_LIES = on_every_kind(often=["sqlite", "postgresql", "drive", "s3"])


@pytest.fixture(name="backend_of", params=repetitions(BACKENDS, often=["sqlite", "postgresql"]))
def fixture_backend_of(request: pytest.FixtureRequest) -> Iterator[BackendOf]:
    """Every kind: these promises are the contract of a table, wherever it lies."""
    with BACKENDS[request.param](request) as backend_of:
        yield backend_of


@pytest.fixture
def table(backend: SettableBackend, small_plan: Plan) -> JobTable:
    table = JobTable(backend, "here")
    table.create()
    table.publish(small_plan, data_of(small_plan))
    return table


def artifact(name: str) -> Artifact:
    return Artifact(digest(name), 1, name)


def data_of(plan: Plan) -> dict[str, Artifact]:
    return {name: artifact(name[-9:]) for name in (*plan.shard_names, plan.test_name)}


def claimed(table: JobTable, worker: str = "w1") -> Lease:
    lease = table.claim(WorkerInfo(worker, "host", "CPU"))
    assert lease is not None, "there should be a job to claim"
    return lease


def outputs_of(lease: Lease) -> dict[str, Artifact]:
    return {"state" if lease.stage in ("train", "merge") else "model": artifact(lease.job[:8])}


def finish_everything(table: JobTable) -> list[str]:
    order = []
    while (lease := table.claim(WorkerInfo("w1"))) is not None:
        complete(table, lease, outputs_of(lease), {"top1": 0.5})
        order.append(lease.name)
    return order


def states(table: JobTable) -> dict[str, JobState]:
    return {job.name.removeprefix("alexnet-tiny/seed0/"): job.state for job in table.jobs()}


def test_only_the_first_of_a_chain_can_be_claimed(table: JobTable) -> None:
    assert claimed(table).name.endswith("train/r00.s0")
    assert table.claim(WorkerInfo("w2")) is None


def test_a_child_gets_its_parents_output_and_its_shard(table: JobTable, small_plan: Plan) -> None:
    first = claimed(table)
    complete(table, first, {"state": artifact("after")}, {})
    second = claimed(table)
    assert second.inputs == {"state": artifact("after"), "shard": data_of(small_plan)[small_plan.shard_names[1]]}


@WHEREVER_IT_LIES
def test_everything_is_done_once_and_parents_first(table: JobTable) -> None:
    order = finish_everything(table)
    assert len(order) == len(set(order)) == 8
    assert [name.rpartition("/")[2] for name in order[:4]] == ["r00.s0", "r00.s1", "r01.s0", "r01.s1"]
    assert set(states(table).values()) == {JobState.DONE}
    assert not table.unfinished()


def test_a_late_winner_is_fenced_and_the_holders_result_stands(table: JobTable, backend: SettableBackend) -> None:
    late = claimed(table, "late")
    backend.clock += 5.1
    holder = claimed(table, "holder")
    assert holder.job == late.job
    assert holder.token != late.token
    with pytest.raises(LeaseLost):
        complete(table, late, {"state": artifact("late")}, {"top1": 0.1})
    with pytest.raises(LeaseLost):
        table.renew(late, {"step": 3})
    complete(table, holder, {"state": artifact("holder")}, {"top1": 0.2})
    with pytest.raises(LeaseLost):
        table.fail(late, "too late")
    assert table.outputs(holder.job) == {"state": artifact("holder")}
    assert table.job(holder.job).metrics == {"top1": 0.2}


def test_a_renewed_lease_does_not_expire(table: JobTable, backend: SettableBackend) -> None:
    lease = claimed(table)
    for _ in range(3):
        backend.clock += 4.9
        lease = table.renew(lease, {"step": 1})
        assert table.claim(WorkerInfo("w2")) is None


def test_a_lease_from_before_the_clock_was_set_back_is_held_no_longer_than_a_lease(
    table: JobTable, backend: SettableBackend
) -> None:
    backend.clock += 7200
    dead = claimed(table, "dead")
    backend.clock -= 7200
    assert table.claim(WorkerInfo("w2")) is None
    backend.clock += 5.1
    assert claimed(table, "w2").job == dead.job


def test_who_lives_keeps_its_job_when_the_clock_is_set_back(table: JobTable, backend: SettableBackend) -> None:
    backend.clock += 7200
    lease = claimed(table)
    backend.clock -= 7200
    for _ in range(3):
        assert table.claim(WorkerInfo("w2")) is None
        backend.clock += 4.9
        lease = table.renew(lease, {"step": 1})
    complete(table, lease, outputs_of(lease), {})


def test_an_expired_lease_that_nobody_took_can_still_be_completed(table: JobTable, backend: SettableBackend) -> None:
    lease = claimed(table)
    backend.clock += 100
    complete(table, lease, outputs_of(lease), {})
    assert table.job(lease.job).state is JobState.DONE


def test_a_finished_job_cannot_be_completed_again(table: JobTable) -> None:
    lease = claimed(table)
    complete(table, lease, outputs_of(lease), {"top1": 1.0})
    with pytest.raises(LeaseLost):
        complete(table, lease, outputs_of(lease), {"top1": 2.0})
    assert table.job(lease.job).metrics == {"top1": 1.0}


def test_a_failing_job_waits_longer_each_time_and_is_then_quarantined_with_its_error(
    table: JobTable, backend: SettableBackend
) -> None:
    assert table.fail(claimed(table), "first") is JobState.READY
    assert table.claim(WorkerInfo("w1")) is None
    backend.clock += 5.1
    lease = claimed(table)
    assert table.fail(lease, "second") is JobState.QUARANTINED
    backend.clock += 10_000
    assert table.claim(WorkerInfo("w1")) is None
    assert not table.unfinished()
    job = table.job(lease.job)
    assert (job.failures, job.error) == (2, "second")


def test_a_failure_that_is_final_quarantines_at_once_and_is_forgotten_at_a_retry(table: JobTable) -> None:
    lease = claimed(table)
    assert table.fail(lease, "the loss became nan", final=True) is JobState.QUARANTINED
    assert table.job(lease.job).error == "the loss became nan"
    table.retry(lease.job)
    assert table.fail(claimed(table), "another fault") is JobState.READY


def test_a_clock_that_was_set_back_lets_no_failed_job_wait_for_it(table: JobTable, backend: SettableBackend) -> None:
    backend.clock += 86_400
    lease = claimed(table)
    table.fail(lease, "in the future")
    backend.clock -= 86_400
    assert claimed(table).job == lease.job


@pytest.mark.parametrize("text", ["a NUL: \0.", "half a character: \udcff."])
def test_whatever_a_job_printed_its_failure_is_kept(table: JobTable, backend: SettableBackend, text: str) -> None:
    lease = claimed(table)
    table.fail(lease, text)
    assert (table.job(lease.job).error or "").startswith(text.partition(":")[0])
    backend.clock += 5.1
    table.release(claimed(table), text, rejected=True)
    assert text.partition(":")[0] in (table.job(lease.job).error or "")


@WHEREVER_IT_LIES
def test_what_is_larger_than_a_network_holds_at_once_is_kept(table: JobTable) -> None:
    lease = claimed(table)
    table.fail(lease, "a" * 5_000_000)
    assert table.job(lease.job).error == "a" * 5_000_000


@WHEREVER_IT_LIES
def test_metrics_larger_than_a_network_holds_at_once_are_kept_beside_what_else_is_completed(table: JobTable) -> None:
    lease = claimed(table)
    complete(table, lease, {}, {"note": "b" * 5_000_000})
    assert table.job(lease.job).metrics == {"note": "b" * 5_000_000}


def test_a_file_of_many_gigabytes_is_kept(table: JobTable, small_plan: Plan) -> None:
    large = Artifact("0" * 64, 300 << 30, "large")
    lease = table.renew(claimed(table), {"step": 7}, Checkpoint(7, large))
    assert lease.checkpoints == (Checkpoint(7, large),)
    complete(table, lease, {"state": large}, {})
    assert table.outputs(lease.job) == {"state": large}
    table.publish(small_plan, {"another": large})
    assert table.data()["another"] == large


def test_a_retried_job_is_ready_at_once_with_its_failures_forgotten(table: JobTable, backend: SettableBackend) -> None:
    table.fail(claimed(table), "first")
    backend.clock += 5.1
    lease = claimed(table)
    table.fail(lease, "second")
    assert table.retry(lease.name).state is JobState.READY
    assert claimed(table).job == lease.job
    assert table.job(lease.job).failures == 0


def test_only_a_quarantined_job_can_be_retried(table: JobTable) -> None:
    with pytest.raises(UsageError, match="only a quarantined job"):
        table.retry(claimed(table).name)


def die(table: JobTable, backend: SettableBackend, step: int, saved: int | None = None) -> Lease:
    """A worker claims the only job, gets to a step, perhaps saves a checkpoint, and is never heard of again."""
    lease = claimed(table)
    table.renew(lease, {"step": step}, None if saved is None else Checkpoint(saved, artifact(f"c{saved}")))
    backend.clock += 5.1
    return lease


def test_deaths_that_each_saved_something_are_no_fault_of_the_job(table: JobTable, backend: SettableBackend) -> None:
    for step, saved in ((100, 50), (90, 70), (88, 80), (95, 90)):  # each got less far than the first, and saved more
        die(table, backend, step, saved)
    assert claimed(table).attempt == 5


def test_deaths_without_a_new_checkpoint_quarantine_the_job_with_the_reason(
    table: JobTable, backend: SettableBackend
) -> None:
    die(table, backend, step=12, saved=10)
    lease = die(table, backend, step=17)
    assert table.claim(WorkerInfo("w1")) is None
    job = table.job(lease.job)
    assert job.state is JobState.QUARANTINED
    assert "without getting past the checkpoint at step 10" in (job.error or "")


def test_one_death_never_quarantines_even_where_one_failure_does(backend: SettableBackend) -> None:
    plan = make_plan(Study.parse(SMALL.replace("tries = 2", "tries = 1")))
    table = JobTable(backend, "here")
    table.create()
    table.publish(plan, data_of(plan))
    die(table, backend, step=3)
    assert table.fail(claimed(table), "broken") is JobState.QUARANTINED


@pytest.mark.parametrize("ending", ["die", "fail"])
def test_a_quarantined_job_that_is_cancelled_and_planned_again_begins_afresh(
    table: JobTable, backend: SettableBackend, small_plan: Plan, ending: str
) -> None:
    def end_badly() -> None:
        if ending == "die":
            die(table, backend, step=3)
        else:
            table.fail(claimed(table), "broken")
            backend.clock += 1000

    end_badly()
    end_badly()
    assert table.claim(WorkerInfo("w1")) is None
    first = "alexnet-tiny/seed0/train/r00.s0"
    assert table.job(first).state is JobState.QUARANTINED
    table.cancel(first)
    table.publish(small_plan)
    end_badly()
    assert (table.job(first).error is None) is (ending == "die")
    assert claimed(table).attempt == 4


def test_fewer_tries_than_a_job_has_failed_already_hurt_nobody(backend: SettableBackend) -> None:
    def planned(tries: int) -> Plan:
        return make_plan(Study.parse(SMALL.replace("tries = 2", f"tries = {tries}")))

    table = JobTable(backend, "here")
    table.create()
    table.publish(planned(5), data_of(planned(5)))
    for _ in range(3):
        table.fail(claimed(table), "broken")
        backend.clock += 1000
    table.publish(planned(1))
    assert table.fail(claimed(table), "broken") is JobState.QUARANTINED


def test_a_holder_learns_that_its_lease_was_made_shorter(table: JobTable) -> None:
    lease = claimed(table)
    table.publish(make_plan(Study.parse(SMALL.replace("seconds = 5", "seconds = 2"))))
    assert (lease.seconds, table.renew(lease).seconds) == (5, 2)


def test_a_refused_checkpoint_is_forgotten_and_the_good_one_stays(table: JobTable) -> None:
    lease = claimed(table)
    for step in (10, 20):
        lease = table.renew(lease, {"step": step}, Checkpoint(step, artifact(f"c{step}")))
    lease = table.discard(lease, lease.checkpoints[0])
    assert lease.checkpoints == (Checkpoint(10, artifact("c10")),)
    lease = table.renew(lease, {"step": 15}, Checkpoint(15, artifact("c15")))
    assert [checkpoint.step for checkpoint in lease.checkpoints] == [15, 10]
    assert table.attempts(lease.job)[0].from_step == 10


def test_a_silent_worker_is_seen_in_the_overview_before_anybody_takes_its_job(
    table: JobTable, backend: SettableBackend
) -> None:
    lease = claimed(table)
    backend.clock += 5.1
    seen = table.overview()
    assert [job.name for job in seen.silent] == [lease.name]
    backend.clock += 1000
    claimed(table, "w2")
    dead = next(worker for worker in table.overview().workers if worker.name == "w1")
    assert dead.job is None
    assert backend.clock - dead.seen == pytest.approx(1005.1)


def test_a_reader_sees_one_moment_whatever_others_change_meanwhile(
    table: JobTable, backend: SettableBackend, backend_of: BackendOf
) -> None:
    counted = select(func.count()).select_from(tables.jobs).where(tables.jobs.c.state == JobState.DONE)
    with closing(backend_of("jobs")) as another, another.reading() as reader:
        before = reader.execute(counted).scalar_one()
        lease = claimed(table)
        complete(table, lease, outputs_of(lease), {})
        assert reader.execute(counted).scalar_one() == before == 0
    with backend.reading() as reader:
        assert reader.execute(counted).scalar_one() == 1


def test_by_the_history_nothing_is_held_before_it_could_be_whatever_a_claims_clock_read(
    table: JobTable, backend: SettableBackend
) -> None:
    backend.clock += 10
    parent = claimed(table)
    complete(table, parent, outputs_of(parent), {})
    backend.clock -= 3
    child = claimed(table, "w2")
    backend.clock += 3
    table.release(child, "the session ends")
    backend.clock -= 2
    again = claimed(table, "w3")
    assert again.job == child.job
    (first,) = table.attempts(parent.job)
    second, third = table.attempts(child.job)
    assert first.ended == second.started
    assert second.ended == third.started


def test_the_time_that_workers_worked_and_their_deaths_are_summed_up(table: JobTable, backend: SettableBackend) -> None:
    assert table.failure_statistics() == FailureStatistics(0.0, 0)
    dying = claimed(table)
    backend.clock += 2
    table.renew(dying, {})
    backend.clock += 3600
    survivor = claimed(table, "w2")
    backend.clock += 4
    assert table.failure_statistics() == FailureStatistics(2.0, 1), "a dead worker worked until it was last heard of"
    complete(table, survivor, outputs_of(survivor), {})
    assert table.failure_statistics() == FailureStatistics(6.0, 1)


def test_a_released_job_is_ready_again_at_no_cost(table: JobTable) -> None:
    for _ in range(5):
        table.release(claimed(table), "the session ends")
    job = table.job(claimed(table).job)
    assert (job.attempts, job.failures) == (6, 0)


def test_every_attempt_is_kept_with_who_when_and_how_it_ended(table: JobTable, backend: SettableBackend) -> None:
    first = claimed(table, "w1")
    first = table.renew(first, {"step": 7}, Checkpoint(5, artifact("five")))
    backend.clock += 5.1
    second = claimed(table, "w2")
    complete(table, second, outputs_of(second), {})
    kept = table.attempts(first.job)
    assert [(a.worker, a.from_step, a.to_step, a.outcome) for a in kept] == [
        ("w1", 0, 7, Ending.EXPIRED),
        ("w2", 5, second.spec["visit"]["steps"], Ending.DONE),
    ]
    assert kept[0].ended == kept[1].started == backend.clock


def test_the_last_two_checkpoints_are_kept_and_older_ones_handed_back(table: JobTable) -> None:
    lease = claimed(table)
    for step in (10, 20, 30):
        lease = table.renew(lease, {"step": step}, Checkpoint(step, artifact(f"c{step}")))
    assert [checkpoint.step for checkpoint in lease.checkpoints] == [30, 20]
    assert lease.obsolete == (artifact("c10"),)
    table.release(lease)
    assert claimed(table, "w2").checkpoints == lease.checkpoints


def test_a_repeated_step_replaces_its_checkpoint(table: JobTable) -> None:
    lease = table.renew(claimed(table), {"step": 10}, Checkpoint(10, artifact("old")))
    lease = table.renew(lease, {"step": 10}, Checkpoint(10, artifact("new")))
    assert lease.checkpoints == (Checkpoint(10, artifact("new")),)
    assert lease.obsolete == (artifact("old"),)


def test_a_file_that_a_row_still_names_is_never_handed_back(table: JobTable) -> None:
    lease = table.renew(claimed(table), {"step": 10}, Checkpoint(10, artifact("same")))
    assert complete(table, lease, {"state": artifact("same")}, {}) == ()


def test_the_middle_of_a_chain_is_handed_back_and_its_end_is_kept(table: JobTable) -> None:
    first = claimed(table)
    assert complete(table, first, {"state": artifact("first")}, {}) == ()
    second = claimed(table)
    assert complete(table, second, {"state": artifact("second")}, {}) == (artifact("first"),)
    finish_everything(table)
    last = table.job("alexnet-tiny/seed0/train/r01.s1")
    assert list(table.outputs(last.id)) == ["state"]
    assert table.outputs(second.job) == {}


def test_the_states_of_a_round_are_handed_back_when_all_that_read_them_are_done(table: JobTable) -> None:
    averaged = SMALL.replace("[training]", '[training]\nmode = "average"\nouter = "nesterov"')
    plan = make_plan(Study.parse(averaged))
    table.publish(plan, data_of(plan))
    handed_back: dict[str, set[str]] = {}
    names = {artifact(job.id[:8]): job.name.partition("seed0/")[2] for job in plan.jobs}
    while (lease := table.claim(WorkerInfo("w1"))) is not None:
        obsolete = complete(table, lease, outputs_of(lease), {})
        handed_back[lease.name.partition("seed0/")[2]] = {names[file] for file in obsolete}
    trained = sorted(name for name in handed_back if name.startswith("train/r01"))
    # Each shard's next visit goes on from its optimizer, so the merge of a round is not the last to read its states.
    assert [handed_back[name] for name in trained] == [{"train/r00.s0"}, {"train/r00.s1"}]
    assert handed_back["merge/r01"] == {"merge/r00", "train/r01.s0", "train/r01.s1"}
    kept = {job.name for job in table.jobs() if "state" in table.outputs(job.id)}
    assert kept == {"alexnet-tiny/seed0/merge/r01"}


def test_the_end_of_a_teachers_training_is_kept_when_its_pupils_are_done(table: JobTable) -> None:
    models = SMALL[SMALL.index("[[models]]") : SMALL.index("[benchmark]")].replace('["float32", "float16"]', "[]")
    pupil = f'{models}name = "pupil"\ndistil = {{ teacher = "alexnet-tiny" }}\n'
    text = f"{SMALL[: SMALL.index('[[models]]')]}{models}{pupil}{SMALL[SMALL.index('[benchmark]') :]}"
    # Other trainings than those of the table's first plan, whose cancelled exports still count as readers.
    plan = make_plan(Study.parse(text.replace("threads = 1", "threads = 3", 1)))
    table.publish(plan, data_of(plan))
    finish_everything(table)
    kept = {job.name for job in table.jobs() if "state" in table.outputs(job.id)}
    assert kept == {"alexnet-tiny/seed0/train/r01.s1", "pupil/seed0/train/r01.s1"}


def test_planning_the_same_again_changes_nothing(table: JobTable, small_plan: Plan) -> None:
    lease = claimed(table)
    change = table.publish(small_plan)
    assert (change.added, change.kept, change.revived, change.cancelled) == (0, 8, 0, 0)
    complete(table, lease, outputs_of(lease), {})


def test_what_vanished_from_the_plan_is_cancelled_and_comes_back_when_asked_for_again(
    table: JobTable, small_plan: Plan
) -> None:
    narrower = make_plan(Study.parse(SMALL.replace('["float32", "float16"]', '["float32"]')))
    change = table.publish(narrower)
    assert (change.added, change.kept, change.cancelled) == (0, 6, 2)
    assert states(table)["benchmark/float16"] is JobState.CANCELLED
    change = table.publish(small_plan)
    assert (change.added, change.kept, change.revived) == (0, 6, 2)
    assert states(table)["benchmark/float16"] is JobState.BLOCKED
    assert len(finish_everything(table)) == 8


def test_the_holder_of_a_job_that_vanished_learns_it(table: JobTable, small_study: Study) -> None:
    lease = claimed(table)
    table.publish(make_plan(small_study.model_copy(update={"seeds": (1,)})), {})
    with pytest.raises(LeaseLost):
        table.renew(lease)
    assert table.attempts(lease.job)[0].outcome is Ending.CANCELLED


def test_a_done_job_that_vanished_is_kept_for_when_it_is_asked_for_again(
    table: JobTable, small_plan: Plan, small_study: Study
) -> None:
    finish_everything(table)
    table.publish(make_plan(small_study.model_copy(update={"seeds": (1,)})), {})
    assert JobState.DONE not in states(table).values()
    table.publish(small_plan)
    assert [job.state for job in table.jobs() if "seed0" in job.name] == [JobState.DONE] * 8


def test_a_home_holds_one_study(table: JobTable, small_study: Study) -> None:
    with pytest.raises(UsageError, match="holds the study 'small'"):
        table.publish(make_plan(small_study.model_copy(update={"name": "other"})))


def test_cancelling_a_job_cancels_what_waits_for_it(table: JobTable) -> None:
    assert table.cancel("alexnet-tiny/seed0/compress/float32") == 3
    assert states(table)["benchmark/float16"] is JobState.CANCELLED  # its float32 reference will never be
    assert states(table)["compress/float16"] is JobState.BLOCKED


def test_a_done_job_cannot_be_cancelled(table: JobTable) -> None:
    lease = claimed(table)
    complete(table, lease, outputs_of(lease), {})
    with pytest.raises(UsageError, match="stays done"):
        table.cancel(lease.name)


def test_a_job_is_found_by_name_by_id_and_by_the_beginning_of_its_id(table: JobTable) -> None:
    job = table.jobs()[0]
    assert table.job(job.name) == table.job(job.id) == table.job(job.id[:12]) == job
    with pytest.raises(UsageError, match="no job"):
        table.job("nothing")


def test_nan_and_infinity_survive_the_table(table: JobTable) -> None:
    lease = claimed(table)
    table.renew(lease, {"step": 1, "loss": math.inf})
    assert table.job(lease.job).progress["loss"] == math.inf
    complete(table, lease, outputs_of(lease), {"loss": math.nan, "least": -math.inf})
    metrics = table.job(lease.job).metrics
    assert metrics is not None and math.isnan(metrics["loss"]) and metrics["least"] == -math.inf


def test_a_worker_is_given_what_follows_its_own_job_among_equals(backend: SettableBackend) -> None:
    twins = make_plan(Study.parse(SMALL.replace("shards = 2", "shards = 2\nseeds = [0, 1]")))
    table = JobTable(backend, "here")
    table.create()
    table.publish(twins, data_of(twins))
    first, second = claimed(table, "w1"), claimed(table, "w2")
    complete(table, first, outputs_of(first), {})
    complete(table, second, outputs_of(second), {})
    seeds = {"w1": first.spec["seed"], "w2": second.spec["seed"]}
    assert claimed(table, "w2").spec["seed"] == seeds["w2"]
    assert claimed(table, "w1").spec["seed"] == seeds["w1"]


@pytest.mark.usefixtures("table")
def test_the_schema_itself_refuses_a_running_job_without_a_token(backend: SettableBackend) -> None:
    running = update(tables.jobs).values(state="running")
    with pytest.raises(HomeError, match="running_means_leased"):
        backend.transact(lambda connection: connection.execute(running))


def test_a_table_of_a_newer_schema_is_refused_with_both_numbers(table: JobTable, backend: SettableBackend) -> None:
    newer = update(tables.study).values(schema_version=99)
    backend.transact(lambda connection: connection.execute(newer))
    with pytest.raises(HomeError, match=rf"has schema 99 and this Orch knows schemas up to {tables.VERSION}; upgrade"):
        table.check()


@pytest.mark.parametrize("name", ["what?", "100%", "My%20Study", "a#b", "a;b"])
def test_a_path_is_taken_as_it_is_written(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with closing(SqliteBackend(tmp_path / name / "jobs.db")) as backend:
        JobTable(backend, "here").create()
        assert (tmp_path / name / "jobs.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_that_is_no_database_is_refused_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "jobs.db"
    file.write_bytes(b"these are certainly not the first bytes of an SQLite file" * 100)
    with pytest.raises(HomeError, match="is no job table"):
        JobTable(SqliteBackend(file), "here").check()
