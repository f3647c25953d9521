"""What other tools are told of a training: its parameters, its curve with its times, and what came out."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from orchestrator.export.runs import Run, RunState, runs
from orchestrator.jobs import Attempt, Ending, Job, JobState
from orchestrator.jobtable import PlannedStudy
from orchestrator.report.results import collect
from tests.support.report_jobs import attempt, benchmark, compress, copy, latency, train

STUDY = PlannedStudy(
    name="study",
    document={"shards": 2, "training": {"epochs": 4, "mode": "relay"}, "name": "study"},
    dataset="cifar10",
    threads=1,
    measures_on_each_device=False,
    notes=(),
    planned_at=0.0,
)


def visit(step: int, seed: int = 0, **more: Any) -> Job:
    job = train("vit", seed, step=step, **more)
    training = {"architecture": "vit", "total_steps": 200, "recipe": {"momentum": 0.9, "ema": None, "betas": [1, 2]}}
    return dataclasses.replace(job, spec={**job.spec, "threads": 1, "training": training})


def exported(jobs: list[Job], attempts: list[Attempt]) -> tuple[Run, ...]:
    return runs(STUDY, jobs, attempts, collect("study", "cifar10", jobs, attempts).rows)


def done_at(job: Job, ended: float, **more: Any) -> Attempt:
    return attempt(job, started=ended - 5, seen=ended, ended=ended, **more)


def test_a_curve_has_the_loss_of_each_visit_at_the_moment_when_it_ended() -> None:
    first, second = visit(50, loss=2.0), visit(100, loss=1.0)
    died = attempt(second, 1, started=10, seen=20, ended=90, outcome=Ending.EXPIRED)

    (run,) = exported([first, second], [done_at(first, 8), died, attempt(second, 2, started=90, seen=130, ended=130)])

    assert [(each.step, each.loss, each.time) for each in run.curve] == [(50, 2.0, 8.0), (100, 1.0, 130.0)]
    assert (run.name, run.state, run.began, run.ended) == ("vit/seed0", RunState.DONE, 3.0, 130.0)


def test_visits_that_end_at_one_step_are_one_point_of_the_curve() -> None:
    visits = [visit(50, shard=shard, loss=loss) for shard, loss in ((0, 1.0), (1, 2.0))]

    (run,) = exported(visits, [done_at(job, 10.0 + number) for number, job in enumerate(visits)])

    assert [(each.step, each.loss, each.time) for each in run.curve] == [(50, 1.5, 11.0)]


def test_parameters_have_dotted_names_and_what_is_not_set_is_left_out() -> None:
    job = visit(50)

    (run,) = exported([job], [done_at(job, 8)])

    assert run.parameters == {
        "architecture": "vit",
        "dataset": "cifar10",
        "recipe.betas": "[1, 2]",
        "recipe.momentum": 0.9,
        "shards": 2,
        "threads": 1,
        "total_steps": 200,
        "training.epochs": 4,
        "training.mode": "relay",
    }


def test_what_was_measured_is_named_with_its_device_and_its_way() -> None:
    job, measured = visit(50), benchmark("vit", method="int4", top1=0.6, latencies=[latency(32, 2)])

    (run,) = exported([job, compress("vit", method="int4"), measured], [done_at(job, 8), done_at(measured, 99)])

    told = {each.name: (each.value, each.time) for each in run.measured}
    bench = "laptop, 2 cores with LiteRT/int4"
    assert told[f"{bench}/top1"] == (0.6, 99.0)
    assert told[f"{bench}/file_bytes"] == (400_000.0, 99.0)
    assert told[f"{bench}/latency_p50_ms, batch 32, 2 threads"] == (2.0, 99.0)
    assert len(told) == len(run.measured)


def test_two_devices_are_two_names_and_a_slash_in_one_makes_no_level() -> None:
    job, measured = visit(50), benchmark("vit", device="GPU 0/1")
    jobs = [job, measured, copy(measured, "laptop")]

    (run,) = exported(jobs, [done_at(each, 8) for each in jobs])

    tops = [each.name for each in run.measured if each.name.endswith("/top1")]
    assert tops == ["GPU 0-1 with LiteRT/float32/top1", "laptop with LiteRT/float32/top1"]


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ((JobState.DONE, JobState.READY), RunState.UNDER_WAY),
        ((JobState.DONE, JobState.QUARANTINED), RunState.FAILED),
        ((JobState.DONE, JobState.CANCELLED), RunState.DONE),
    ],
)
def test_a_run_is_as_far_as_its_jobs(states: tuple[JobState, JobState], state: RunState) -> None:
    first, second = visit(50), visit(100, state=states[1])

    (run,) = exported([first, second], [done_at(first, 8)])

    assert run.state is state and (run.ended is None) == (state is RunState.UNDER_WAY)


def test_a_training_that_has_not_begun_is_no_run() -> None:
    first, second = visit(50), visit(50, 1, state=JobState.READY)

    assert [run.seed for run in exported([first, second], [done_at(first, 8)])] == [0]
    assert exported([second], []) == ()


def test_a_run_is_known_by_its_training_and_not_by_how_far_it_is() -> None:
    first, second = visit(50), visit(100)
    begun = [done_at(first, 8)]

    (half,) = exported([first, dataclasses.replace(second, state=JobState.READY, metrics=None)], begun)
    (whole,) = exported([first, second], [*begun, done_at(second, 20)])
    (again,) = exported([first], [done_at(first, 9)])
    (other,) = exported([dataclasses.replace(first, id="another")], [dataclasses.replace(begun[0], job="another")])

    assert half.identity == whole.identity and len(half.identity) == 32
    assert len({whole.identity, again.identity, other.identity}) == 3


def test_figures_that_are_not_finite_are_left_out() -> None:
    job, measured = visit(50, loss=float("nan")), benchmark("vit", top1=float("nan"), half_width=float("nan"))

    (run,) = exported([job, measured], [done_at(job, 8), done_at(measured, 9)])

    assert [each.loss for each in run.curve] == [None]
    assert not any("top1" in each.name for each in run.measured)
