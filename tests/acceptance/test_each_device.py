"""`devices = "each"` with real workers that pass themselves off as machines with other processors."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from fast_motion.stand_in import DEVICE

from orchestrator.home import Home
from orchestrator.jobs import Ending, Job, JobState, Stage
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.conftest import SMALL
from tests.support.processes import Worker, orch, wait_until
from tests.support.runners import STAND_IN, Runner

EPYC, XEON = "AMD EPYC 7B12", "Intel(R) Xeon(R) CPU @ 2.20GHz"
STUDY = Study.parse(SMALL.replace("[benchmark]", '[benchmark]\ndevices = "each"').replace("seconds = 5", "seconds = 2"))
METHODS = ("float16", "float32")


@pytest.fixture
def home(planned_home: Callable[[Study], Home]) -> Home:
    return planned_home(STUDY)


def on(processor: str, step_seconds: float = 0.0) -> Runner:
    """A worker of a machine with this processor."""
    runner = STAND_IN.paced(step_seconds)
    return dataclasses.replace(runner, environment={**runner.environment, DEVICE: processor})


def benchmarks(home: Home) -> list[Job]:
    return [job for job in home.jobs.jobs() if job.stage is Stage.BENCHMARK]


def measured(home: Home) -> Counter[tuple[str, str]]:
    """How often each method was measured on each processor."""
    done = (job for job in benchmarks(home) if job.metrics is not None)
    return Counter((job.spec["method"], (job.metrics or {})["device"]) for job in done)


def test_workers_of_two_processors_measure_every_network_on_both(home: Home, tmp_path: Path) -> None:
    both = {name: on(processor) for name, processor in (("ann", EPYC), ("ben", XEON))}
    crew = [Worker(home.url, tmp_path / f"{name}.log", runner=runner) for name, runner in both.items()]
    for worker in crew:
        worker.wait()
    assert measured(home) == {(method, name): 1 for method in METHODS for name in (EPYC, XEON)}
    assert {job.state for job in home.jobs.jobs()} == {JobState.DONE}


def test_a_worker_that_comes_to_a_finished_study_measures_it_and_dies_at_no_cost_to_others(
    home: Home, tmp_path: Path
) -> None:
    Worker(home.url, tmp_path / "first.log", runner=on(EPYC)).wait()
    assert measured(home) == {(method, EPYC): 1 for method in METHODS}

    victim = Worker(home.url, tmp_path / "victim.log", runner=on(XEON, step_seconds=600.0))
    wait_until(lambda: any(job.worker == "victim" for job in benchmarks(home)), "a copy that the victim is at")
    (held,) = [job for job in benchmarks(home) if job.worker == "victim"]
    victim.kill()

    Worker(home.url, tmp_path / "second.log", runner=on(EPYC)).wait()
    told = orch("report", "--home", home.url, cwd=tmp_path)
    assert "Complete: all 8 jobs are done." in told.stdout
    assert f"0 of 2 copies of benchmarks are done on {XEON}." in told.stdout
    status = orch("status", "--watch", "--home", home.url, cwd=tmp_path)
    assert status.returncode == 0, "it does not wait for the copies"
    assert f"2 benchmarks are to be measured again on {XEON}, and no worker" in " ".join(status.stdout.split())

    Worker(home.url, tmp_path / "heir.log", runner=on(XEON)).wait()
    assert measured(home) == {(method, name): 1 for method in METHODS for name in (EPYC, XEON)}
    assert [attempt.outcome for attempt in home.jobs.attempts(held.id)] == [Ending.EXPIRED, Ending.DONE]

    again = publish(STUDY, home.url, None).change
    assert again is not None
    assert (again.added, again.cancelled, again.disturbs) == (0, 0, False)
