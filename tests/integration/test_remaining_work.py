"""What a worker does that was given no job: it waits, measures once more what others have measured, or ends."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar, cast

import pytest

from orchestrator.errors import ExitCode
from orchestrator.jobs import Device, MeasuringDevices, PlannedJob, Stage, WorkerInfo, capabilities_of
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.backends.snapshot import SnapshotBackend
from tests.support.conditional_files import Faulty, FileOnDisk
from tests.support.jobtable_backends import artifact, complete, plan_of, planned_job
from workers import remaining_work
from workers.console import Console
from workers.remaining_work import RemainingWork

T = TypeVar("T")
XEON = MeasuringDevices("a Xeon", "a Xeon")
CPU = capabilities_of("CPU")
NOBODY: frozenset[str] = frozenset()


@pytest.fixture
def file(tmp_path: Path) -> Faulty:
    return Faulty(FileOnDisk(tmp_path / "jobs"), ())


@pytest.fixture
def table(file: Faulty) -> Iterator[JobTable]:
    """As on Drive: what was read is good for a while, and everything else costs a request."""
    with closing(JobTable(SnapshotBackend(file, reads_good_for=3600.0), "here")) as table:
        table.create()
        yield table


@pytest.fixture
def console() -> Console:
    return Console("w1", io.StringIO())


def said(console: Console) -> str:
    console.flush()
    return cast(io.StringIO, console._stream).getvalue()


@pytest.fixture
def remaining(table: JobTable, console: Console) -> RemainingWork:
    def reached(operation: Callable[[], T], /) -> T:
        return operation()

    work = RemainingWork(table, console, reached)
    work.is_copying = True
    return work


def measured_elsewhere(table: JobTable, *jobs: PlannedJob) -> None:
    table.publish(plan_of(jobs, devices="each"))
    elsewhere = WorkerInfo("another", "host", "an EPYC")
    while lease := table.claim(elsewhere):
        complete(table, lease, {"model": artifact("m")}, {"device": "an EPYC"})


def test_a_worker_that_does_not_know_its_devices_yet_does_not_end_before_it_does(
    table: JobTable, remaining: RemainingWork
) -> None:
    measured_elsewhere(table, planned_job("b"))
    assert remaining.is_any(NOBODY, CPU)
    assert not remaining.copy_benchmarks()
    remaining.devices = XEON
    assert remaining.is_any(NOBODY, CPU), "it has made a copy to do"
    assert len(table.jobs()) == 2


def test_a_worker_that_can_measure_nothing_ends(table: JobTable, remaining: RemainingWork) -> None:
    measured_elsewhere(table, planned_job("b"))
    remaining.is_copying = False
    assert not remaining.is_any(NOBODY, CPU)
    remaining.devices = XEON
    assert not remaining.copy_benchmarks() and remaining.copy_keys == frozenset()
    assert remaining.ending(CPU) is ExitCode.DONE


def test_what_is_left_for_another_device_is_no_reason_to_start_a_worker_again(
    table: JobTable, remaining: RemainingWork, console: Console
) -> None:
    measured_elsewhere(table, planned_job("b"))
    table.copy_benchmarks(MeasuringDevices("a phone", "a phone"))
    remaining.devices = MeasuringDevices("an EPYC", "an EPYC")
    assert not remaining.is_any(NOBODY, CPU)
    assert remaining.ending(CPU) is ExitCode.DONE
    assert said(console) == ""


def test_a_copy_that_this_machine_cannot_do_is_left_to_another_worker_of_its_device(
    table: JobTable, remaining: RemainingWork
) -> None:
    measured_elsewhere(table, planned_job("b"))
    remaining.devices = XEON
    assert remaining.copy_benchmarks()
    (copy,) = [job.id for job in table.jobs() if job.copy_of]
    assert not remaining.is_any(frozenset({copy}), CPU)
    assert remaining.ending(CPU) is ExitCode.TRY_LATER


def test_an_idle_worker_looks_now_and_then_and_always_before_it_ends(
    table: JobTable, remaining: RemainingWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = planned_job("last", Stage.COMPRESS)
    looks: list[MeasuringDevices] = []
    copy = table.copy_benchmarks

    def counted(devices: MeasuringDevices) -> int:
        looks.append(devices)
        return copy(devices)

    monkeypatch.setattr(table, "copy_benchmarks", counted)
    table.publish(plan_of([last], devices="each"))
    remaining.devices = XEON
    assert not any(remaining.copy_benchmarks() for _ in range(5))
    assert len(looks) == 1
    assert remaining.is_any(NOBODY, CPU)
    assert len(looks) == 1, "another job is left, so there is nothing to decide"
    lease = table.claim(WorkerInfo("another"))
    assert lease is not None
    complete(table, lease, {"model": artifact("m")}, {})
    assert not remaining.is_any(NOBODY, CPU)
    assert len(looks) == 2
    monkeypatch.setattr(remaining_work, "_SECONDS_BETWEEN_COPIES", 0.0)
    remaining.is_any(NOBODY, CPU)
    remaining.copy_benchmarks()
    assert len(looks) == 4


def test_looking_for_what_could_be_copied_costs_no_request(
    table: JobTable, remaining: RemainingWork, file: Faulty
) -> None:
    measured_elsewhere(table, planned_job("b"))
    remaining.devices = MeasuringDevices("an EPYC", "an EPYC")
    assert table.claim(WorkerInfo("w1")) is None
    before = file.requests
    assert not remaining.copy_benchmarks() and not remaining.is_any(NOBODY, CPU)
    assert file.requests == before
    remaining.devices = XEON
    assert remaining.is_any(NOBODY, CPU)
    assert file.requests - before <= 3, "the transaction that makes them"


@pytest.mark.parametrize(
    ("requires", "device_type", "told"),
    [
        (Device.GPU, "CPU", "needs a GPU, and this machine has none"),
        (Device.GPU, "TPU", "needs a GPU, and this machine has none"),
        (Device.GPU_OR_TPU, "CPU", "needs a GPU or a TPU, and this machine has none"),
        (Device.GPU_OR_TPU, "TPU", ""),
        (Device.TPU, "GPU", "needs a TPU, and this machine has none"),
        (Device.GPU, "GPU", ""),
        (Device.CPU, "CPU", ""),
    ],
)
def test_a_worker_says_once_what_kind_of_device_it_lacks(
    table: JobTable, remaining: RemainingWork, console: Console, requires: Device, device_type: str, told: str
) -> None:
    table.publish(plan_of([dataclasses.replace(planned_job("b"), requires=requires)]))
    for _ in range(2):
        remaining.say_what_is_missing(capabilities_of(device_type))
    assert said(console).count("All that is ready") == (1 if told else 0)
    assert told in said(console)
