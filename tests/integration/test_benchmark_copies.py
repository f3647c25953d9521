"""`devices = "each"`: what one worker has measured is measured once on every other device that comes.

That real workers do so stands in `tests/acceptance/test_each_device.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import Any

import pytest

from orchestrator.errors import HomeError, UsageError
from orchestrator.jobs import (
    Device,
    Ending,
    Job,
    JobState,
    Lease,
    MeasuringDevices,
    Stage,
    WorkerInfo,
)
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.transactions.overview import Waiting
from orchestrator.planning.planner import Plan
from tests.support.jobtable_backends import (
    BackendOf,
    SettableBackend,
    artifact,
    complete,
    on_every_kind,
    plan_of,
    planned_job,
)
from tests.support.processes import PATIENCE_SECONDS

EPYC, XEON = "AMD EPYC", "Intel(R) Xeon(R) CPU @ 2.20GHz"
T4 = "Tesla T4"


@pytest.fixture
def table(backend: SettableBackend) -> Iterator[JobTable]:
    with closing(JobTable(backend, "here")) as table:
        table.create()
        yield table


def study(devices: str = "each", benchmarks: int = 2, **changes: Any) -> Plan:
    """Benchmarks of what one job has made."""
    model = planned_job("model", Stage.COMPRESS)
    names = [f"m/benchmark/{number}" for number in range(benchmarks)]
    measured = [planned_job(name, Stage.BENCHMARK, [model]) for name in names]
    return plan_of([model, *(dataclasses.replace(job, **changes) for job in measured)], devices=devices)


def worker(processor: str, accelerated: str | None = None, name: str = "") -> tuple[WorkerInfo, MeasuringDevices]:
    devices = MeasuringDevices(processor, accelerated or processor)
    kinds = frozenset({Device.CPU})
    return WorkerInfo(name or f"on {processor}", "host", processor, kinds | devices.capabilities), devices


def measure(table: JobTable, processor: str, *, most: int = 100) -> list[Lease]:
    """What a worker of this processor claims and does until it is given nothing more."""
    info, _ = worker(processor)
    done: list[Lease] = []
    while len(done) < most and (lease := table.claim(info)) is not None:
        complete(table, lease, {"model": artifact("m")}, {"device": processor})
        done.append(lease)
    return done


def copies(table: JobTable) -> list[Job]:
    return [job for job in table.jobs() if job.copy_of is not None]


def test_what_one_worker_has_measured_is_measured_once_on_every_other_device(table: JobTable) -> None:
    plan = study()
    table.publish(plan)
    measure(table, EPYC)
    _, xeon = worker(XEON)
    assert table.copy_benchmarks(xeon) == 2
    assert table.copy_benchmarks(xeon) == 0
    measured = {lease.job: lease for lease in measure(table, XEON)}
    assert table.copy_benchmarks(xeon) == 0
    originals = {job.id: job for job in plan.jobs}
    assert {job.id for job in copies(table)} == measured.keys()
    for copy in copies(table):
        lease, original = measured[copy.id], originals[str(copy.copy_of)]
        assert (copy.stage, copy.spec, copy.device) == (Stage.BENCHMARK, original.spec, XEON)
        assert list(lease.inputs.values()) == [artifact("m")]
        assert copy.name.startswith(f"{original.name}/on-Intel-R-Xeon-R-CPU-2.20GHz-")
        assert copy.metrics == {"device": XEON}


def test_two_workers_share_the_benchmarks_and_each_does_the_others_too(table: JobTable) -> None:
    table.publish(study(benchmarks=4))
    measure(table, EPYC, most=3)
    measure(table, XEON)
    assert [table.copy_benchmarks(worker(each)[1]) for each in (EPYC, XEON)] == [2, 2]
    for each in (EPYC, XEON):
        measure(table, each)
    measured_on = [(job.metrics or {})["device"] for job in table.jobs() if job.stage is Stage.BENCHMARK]
    assert sorted(measured_on) == [EPYC] * 4 + [XEON] * 4


def test_a_study_that_does_not_ask_for_it_is_measured_once(table: JobTable) -> None:
    table.publish(study("one"))
    measure(table, EPYC)
    assert table.copy_benchmarks(worker(XEON)[1]) == 0


def test_only_what_is_done_is_copied(table: JobTable) -> None:
    table.publish(study())
    assert table.copy_benchmarks(worker(XEON)[1]) == 0
    measure(table, EPYC, most=2)
    assert table.copy_benchmarks(worker(XEON)[1]) == 1


def test_a_runtime_that_computes_on_the_accelerator_is_copied_for_that(table: JobTable) -> None:
    on_tensorflow = {"model": "m", "seed": 0, "method": "float32", "runtime": "tensorflow"}
    table.publish(study(benchmarks=1, spec=on_tensorflow))
    measure(table, EPYC)
    assert table.copy_benchmarks(MeasuringDevices(XEON, T4)) == 1
    assert [job.device for job in copies(table)] == [T4]
    assert table.copy_benchmarks(MeasuringDevices(EPYC, EPYC)) == 0


def test_a_processor_beside_an_accelerator_is_the_same_device_as_one_without(table: JobTable) -> None:
    table.publish(study())
    measure(table, XEON)
    assert table.copy_benchmarks(MeasuringDevices(XEON, T4)) == 0


def test_a_copy_is_given_to_workers_of_its_device_alone(table: JobTable) -> None:
    table.publish(study())
    measure(table, EPYC)
    table.copy_benchmarks(worker(XEON)[1])
    assert table.claim(worker(EPYC)[0]) is None
    assert table.claim(WorkerInfo("an older worker's capabilities")) is None
    assert len(measure(table, XEON)) == 2


def test_a_copy_comes_after_everything_else(table: JobTable) -> None:
    table.publish(study(benchmarks=2))
    measure(table, EPYC, most=2)
    table.copy_benchmarks(worker(XEON)[1])
    first = table.claim(worker(XEON)[0])
    assert first is not None and table.job(first.job).copy_of is None


def test_a_copy_that_nobody_takes_keeps_only_workers_of_its_device(table: JobTable, backend: SettableBackend) -> None:
    table.publish(study())
    measure(table, EPYC)
    (epyc, _), (xeon, devices) = worker(EPYC), worker(XEON)
    table.copy_benchmarks(devices)
    assert table.unfinished(capabilities=xeon.capabilities)
    assert not table.unfinished(capabilities=epyc.capabilities)
    assert not table.unfinished(), "whoever only looks is told that nothing is going on"
    assert table.waiting() == (Waiting(XEON, 2),)
    lease = table.claim(xeon)
    assert lease is not None
    assert table.unfinished() and table.waiting() == ()
    assert not table.unfinished(capabilities=epyc.capabilities)
    backend.clock += 5.1
    assert not table.unfinished() and table.waiting() == (Waiting(XEON, 2),), "its worker has died"


def test_the_copy_of_a_worker_that_was_killed_is_done_by_the_next_one_of_its_device(
    table: JobTable, backend: SettableBackend
) -> None:
    table.publish(study(benchmarks=1))
    measure(table, EPYC)
    xeon, devices = worker(XEON)
    table.copy_benchmarks(devices)
    killed = table.claim(xeon)
    assert killed is not None
    backend.clock += 5.1
    assert table.claim(worker(EPYC)[0]) is None, "it takes the dead worker's lease, and not its job"
    (again,) = measure(table, XEON)
    assert again.job == killed.job
    assert [attempt.outcome for attempt in table.attempts(killed.job)] == [Ending.EXPIRED, Ending.DONE]


@on_every_kind(often=["sqlite", "postgresql", "s3"])
def test_many_workers_of_one_device_that_come_at_once_make_one_copy_of_each(backend_of: BackendOf) -> None:
    with closing(JobTable(backend_of.in_real_time("jobs"), "here")) as table:
        table.create()
        table.publish(study(benchmarks=3))
        measure(table, EPYC)
        count = 4
        together = Barrier(count)

        def copied(_: int) -> int:
            with closing(JobTable(backend_of.in_real_time("jobs"), "here")) as own:
                together.wait(PATIENCE_SECONDS)
                return own.copy_benchmarks(worker(XEON)[1])

        with ThreadPoolExecutor(count) as pool:
            made = list(pool.map(copied, range(count)))
        assert sum(made) == 3
        table.refresh()
        assert len(copies(table)) == 3


# --- planned again ---


def test_a_plan_keeps_the_copies_of_what_it_keeps(table: JobTable) -> None:
    table.publish(study())
    measure(table, EPYC)
    table.copy_benchmarks(worker(XEON)[1])
    measure(table, XEON, most=1)
    before = table.jobs()
    assert not table.preview(study()).disturbs
    change = table.publish(study())
    assert (change.added, change.kept, change.cancelled) == (0, 5, 0)
    assert table.jobs() == before
    more = table.publish(study(benchmarks=3))
    assert (more.added, more.kept, more.cancelled) == (1, 5, 0)


def test_a_plan_cancels_the_copies_of_what_it_has_no_more(table: JobTable) -> None:
    table.publish(study(benchmarks=2))
    measure(table, EPYC)
    table.copy_benchmarks(worker(XEON)[1])
    (done,) = measure(table, XEON, most=1)
    change = table.publish(study(benchmarks=0))
    assert change.cancelled == 1
    assert done.name in change.set_aside and len(change.set_aside) == 3
    assert table.claim(worker(XEON)[0]) is None
    assert table.copy_benchmarks(worker("a phone")[1]) == 0, "what was set aside is measured no more"


def test_a_study_that_wants_one_device_again_sets_copies_aside_and_one_that_wants_each_has_them_back(
    table: JobTable,
) -> None:
    table.publish(study())
    measure(table, EPYC)
    table.copy_benchmarks(worker(XEON)[1])
    (done,) = measure(table, XEON, most=1)
    change = table.publish(study("one"))
    assert (change.set_aside, change.cancelled, change.kept) == ((done.name,), 1, 3)
    assert not table.unfinished(capabilities=worker(XEON)[0].capabilities)
    assert [job.state for job in copies(table)] == [JobState.CANCELLED]
    back = table.publish(study())
    assert (back.added, back.kept, back.revived) == (0, 4, 1)
    assert {job.state for job in copies(table)} == {JobState.DONE, JobState.READY}
    assert table.copy_benchmarks(worker(XEON)[1]) == 0
    assert len(measure(table, XEON)) == 1


def test_a_copy_that_a_person_cancelled_is_not_made_again_until_a_plan_wants_it(table: JobTable) -> None:
    table.publish(study(benchmarks=1))
    measure(table, EPYC)
    table.copy_benchmarks(worker(XEON)[1])
    (copy,) = copies(table)
    assert table.cancel(copy.name) == 1
    assert table.copy_benchmarks(worker(XEON)[1]) == 0
    assert table.publish(study(benchmarks=1)).revived == 1
    assert len(measure(table, XEON)) == 1
    with pytest.raises(UsageError, match="stays done"):
        table.cancel(copy.name)


def test_a_copy_that_fails_for_good_is_quarantined_like_any_job(table: JobTable) -> None:
    table.publish(study(benchmarks=1))
    measure(table, EPYC)
    info, devices = worker(XEON)
    table.copy_benchmarks(devices)
    lease = table.claim(info)
    assert lease is not None
    assert table.fail(lease, "no such instruction", final=True) is JobState.QUARANTINED
    assert [job.name for job in table.overview().troubled] == [lease.name]
    assert not table.unfinished(capabilities=info.capabilities)
    assert table.copy_benchmarks(devices) == 0
    table.retry(lease.name)
    assert len(measure(table, XEON)) == 1


# --- what a device may be called ---


@pytest.mark.parametrize("device", ["", "cpu", "gpu|tpu", "[red]'; DROP TABLE jobs", "名", "x" * 5000, "a\nb\u202e"])
def test_any_name_of_a_device_gives_a_job_that_can_be_named_and_done(table: JobTable, device: str) -> None:
    table.publish(study(benchmarks=1))
    measure(table, EPYC)
    assert table.copy_benchmarks(worker(device)[1]) == 1
    (copy,) = copies(table)
    assert copy.device == device
    assert table.job(copy.name).id == copy.id
    assert [lease.job for lease in measure(table, device)] == [copy.id]


def test_devices_that_read_alike_have_copies_of_their_own(table: JobTable) -> None:
    table.publish(study(benchmarks=1))
    measure(table, EPYC)
    alike = ["Xeon @ 2", "Xeon  @ 2"]
    assert [table.copy_benchmarks(worker(each)[1]) for each in alike] == [1, 1]
    assert len({job.name for job in copies(table)}) == 2


@pytest.mark.parametrize(
    "altered", ["copy_of = 'nobody'", "needs = 'cpu'", "device = NULL", "copy_of = NULL", "stage = 'train'"]
)
def test_a_row_that_is_half_a_copy_is_refused(table: JobTable, backend: SettableBackend, altered: str) -> None:
    table.publish(study(benchmarks=1))
    measure(table, EPYC)
    table.copy_benchmarks(worker(XEON)[1])
    with pytest.raises(HomeError, match="holds what no Orch writes"):
        backend.transact(
            lambda connection: connection.exec_driver_sql(f"UPDATE jobs SET {altered} WHERE copy_of IS NOT NULL")
        )
