"""What a person is told follows from what the table has summed up."""

from __future__ import annotations

import dataclasses
from collections import Counter
from io import StringIO

import pytest
from rich.console import Console

from orchestrator.jobs import Device, Job, JobState, Stage
from orchestrator.jobtable.transactions.overview import Overview, TrainingSums, Waiting, WorkerSeen
from orchestrator.progress import terminal
from orchestrator.progress.summary import snapshot


def seen(*trainings: TrainingSums, workers: tuple[WorkerSeen, ...] = (), troubled: tuple[Job, ...] = ()) -> Overview:
    counts = Counter({JobState.DONE: 3, JobState.RUNNING: 1, JobState.BLOCKED: 4})
    return Overview(1000.0, counts, trainings, workers, troubled, silent=())


def training(model: str, step: int, worked_steps: int, seconds: float) -> TrainingSums:
    return TrainingSums(model, step, 100, 1.5, worked_steps, seconds)


def worker(name: str, job: str | None, at: float = 990.0) -> WorkerSeen:
    return WorkerSeen(name, "host", "CPU", at, job, {"images_per_second": 50.0} if job else {})


def quarantined(error: str) -> Job:
    return Job("id", "vit/seed0/train/r00.s0", Stage.TRAIN, JobState.QUARANTINED, {}, 3, 3, None, {}, None, error)


def test_the_time_left_follows_from_the_pace_so_far() -> None:
    told = snapshot(
        "s", "h", seen(training("vit", step=40, worked_steps=50, seconds=100.0), workers=(worker("w", "j"),))
    )
    assert told.models[0].eta_seconds == 60 * 2.0
    assert told.eta_seconds == 120.0


def test_before_there_is_a_pace_no_time_is_made_up() -> None:
    told = snapshot("s", "h", seen(training("vit", 40, 50, 100.0), training("alexnet", 0, 0, 0.0)))
    assert told.models[1].eta_seconds is None
    assert told.eta_seconds is None


@pytest.mark.parametrize("seconds", [-1800.0, 0.0])
def test_a_clock_that_was_set_back_makes_no_time_left_that_is_negative(seconds: float) -> None:
    told = snapshot("s", "h", seen(training("vit", step=40, worked_steps=50, seconds=seconds)))
    assert (told.models[0].eta_seconds, told.eta_seconds) == (None, None)


def test_a_job_that_failed_and_is_under_way_is_told_so() -> None:
    failed = dataclasses.replace(quarantined("OSError: no"), state=JobState.RUNNING, failures=1)
    assert snapshot("s", "h", seen(troubled=(failed,))).problems == (
        "vit/seed0/train/r00.s0 has failed 1 time and is being tried again: OSError: no",
    )


def test_one_worker_does_two_models_one_after_the_other_and_two_workers_at_once() -> None:
    models = (training("a", 0, 10, 10.0), training("b", 50, 10, 10.0))
    one, two = (worker("w1", "j"),), (worker("w1", "j"), worker("w2", "k"))
    assert snapshot("s", "h", seen(*models, workers=one)).eta_seconds == 150.0
    assert snapshot("s", "h", seen(*models, workers=two)).eta_seconds == 100.0


def test_workers_on_one_model_at_once_share_what_is_left_of_it() -> None:
    at_once = dataclasses.replace(training("a", 0, 10, 10.0), running=2)
    crew = worker("w1", "j"), worker("w2", "k")
    told = snapshot("s", "h", seen(at_once, workers=crew))
    assert (told.models[0].eta_seconds, told.eta_seconds) == (50.0, 50.0)
    beside = snapshot("s", "h", seen(at_once, training("b", 0, 10, 10.0), workers=crew))
    assert beside.eta_seconds == 100.0


def test_the_json_has_every_state_even_those_with_no_job() -> None:
    told = snapshot("s", "h", seen()).to_json()
    assert told["jobs"] == {
        "total": 8, "blocked": 4, "ready": 0, "running": 1, "done": 3, "quarantined": 0, "cancelled": 0,
    }  # fmt: skip


def test_a_study_whose_workers_have_all_gone_is_a_problem_with_what_to_do() -> None:
    crew = (worker("w1", "j", at=-2000.0), worker("w2", None, at=-1400.0))
    (problem,) = snapshot("s", "h", seen(workers=crew)).problems
    assert problem.startswith("No worker has been heard of for 40 min")
    assert "orch worker" in problem and "cell" in problem
    assert snapshot("s", "h", seen(workers=(*crew, worker("w3", None, at=200.0)))).problems == ()
    done = dataclasses.replace(seen(workers=crew), counts=Counter({JobState.DONE: 8}))
    assert snapshot("s", "h", done).problems == ()


def test_copies_that_wait_for_another_device_keep_no_study_from_being_over() -> None:
    counts = Counter({JobState.DONE: 8, JobState.READY: 2})
    gone = dataclasses.replace(seen(workers=(worker("w", None, at=-2000.0),)), counts=counts)
    assert not snapshot("s", "h", gone).is_over
    told = snapshot("s", "h", dataclasses.replace(gone, waiting=(Waiting("AMD EPYC", 2),)))
    assert told.is_over
    assert not any("heard of" in problem for problem in told.problems)


def test_what_needs_a_person_stands_before_models_and_workers() -> None:
    view = snapshot("s", "h", seen(training("vit", 40, 50, 100.0), troubled=(quarantined("ValueError: no"),)))
    console = Console(width=100, record=True, file=StringIO())
    console.print(terminal.render(view))
    text = console.export_text()
    assert text.index("is quarantined") < text.index("40 / 100")


def test_a_worker_between_jobs_is_shown_without_one() -> None:
    told = snapshot("s", "h", seen(workers=(worker("w", None, at=970.0),)))
    assert (told.workers[0].job, told.workers[0].last_seen_seconds) == (None, 30.0)


def test_a_quarantined_job_is_told_with_what_to_do() -> None:
    (problem,) = snapshot("s", "h", seen(troubled=(quarantined("ValueError: no\n  a traceback"),))).problems
    assert "ValueError: no" in problem and "traceback" not in problem
    assert "orch logs vit/seed0/train/r00.s0" in problem and "orch retry" in problem


@pytest.mark.parametrize(("seconds", "told"), [(None, "–"), (5.4, "5 s"), (600.0, "10 min"), (9000.0, "2.5 h")])
def test_durations_are_told_in_their_own_unit(seconds: float | None, told: str) -> None:
    assert terminal.duration(seconds) == told


def test_a_storage_that_is_nearly_full_is_told_once_and_while_somebody_works_with_it() -> None:
    short = [dataclasses.replace(worker(name, "j"), progress={"shortage": "ben's is full."}) for name in ("w1", "w2")]
    between = dataclasses.replace(worker("w3", None), progress={"shortage": "cas's is full."})
    assert snapshot("s", "h", seen(workers=(*short, between)), shortage="ann's is full.").problems == (
        "Make room, uploads will soon be refused: ann's is full.",
        "Make room, uploads will soon be refused: ben's is full.",
    )


def test_the_terminal_shows_models_workers_and_problems() -> None:
    view = snapshot("mine", "h", seen(training("vit", 40, 50, 100.0), workers=(worker("w1", "vit/j"),)))
    console = Console(width=100, record=True, file=StringIO())
    console.print(terminal.render(view))
    text = console.export_text()
    assert "3 of 8 jobs done" in text and "40 / 100" in text and "1.500" in text
    assert "w1" in text and "vit/j" in text and "10 s ago" in text


@pytest.mark.parametrize(
    ("device", "called"), [(Device.GPU, "a GPU"), (Device.TPU, "a TPU"), (Device.GPU_OR_TPU, "a GPU or a TPU")]
)
def test_jobs_that_wait_for_a_kind_of_device_are_a_problem_with_two_ways_out(device: Device, called: str) -> None:
    (problem,) = snapshot("s", "h", dataclasses.replace(seen(), waiting=(Waiting(device, 12),))).problems
    assert problem.startswith(f"12 jobs can only be done by a worker with {called}, and none is at work")
    assert 'device = "any"' in problem


def test_copies_of_benchmarks_that_wait_are_told_with_their_device_and_that_they_hold_nothing_up() -> None:
    waiting = (Waiting("a Xeon", 1), Waiting("an EPYC", 2))
    assert snapshot("s", "h", dataclasses.replace(seen(), waiting=waiting)).problems == (
        "1 benchmark is to be measured again on a Xeon, and no worker there is at it; start one, or leave it: nothing "
        "else waits for that.",
        "2 benchmarks are to be measured again on an EPYC, and no worker there is at it; start one, or leave them: "
        "nothing else waits for that.",
    )
