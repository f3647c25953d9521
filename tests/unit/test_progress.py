"""What a person is told follows from what the table has summed up."""

from __future__ import annotations

import dataclasses
from collections import Counter
from io import StringIO

import pytest
from rich.console import Console

from orchestrator.jobs import Device, Job, JobState, Stage
from orchestrator.jobtable.transactions.overview import Overview, TrainingSums, Waiting, WorkerSeen
from orchestrator.progress import terminal, wording
from orchestrator.progress.durations import duration
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
        "vit/seed0/train/r00.s0 has failed 1 time and is being tried again: OSError: no.",
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


TRACEBACK = """stage train: ValueError: no such layer
Traceback (most recent call last):
  File "nets.py", line 3, in build
ValueError: no such layer
"""


def test_a_quarantined_job_is_told_with_what_to_do() -> None:
    (problem,) = snapshot("s", "h", seen(troubled=(quarantined(TRACEBACK),))).problems
    assert problem == (
        "vit/seed0/train/r00.s0 is quarantined: stage train: ValueError: no such layer. "
        "See `orch logs vit/seed0/train/r00.s0`, then `orch retry vit/seed0/train/r00.s0`."
    )


def test_the_last_line_of_an_error_is_told_where_it_says_more_than_the_first() -> None:
    error = "The runner died of signal 9.\nloading\nOut of memory: killed process 77\n\n"
    (problem,) = snapshot("s", "h", seen(troubled=(quarantined(error),))).problems
    assert "The runner died of signal 9. The last line: Out of memory: killed process 77." in problem


def test_a_reason_that_is_a_page_long_leaves_room_for_the_command() -> None:
    (problem,) = snapshot("s", "h", seen(troubled=(quarantined("no " * 5000),))).problems
    assert len(problem) < 400 and problem.endswith("then `orch retry vit/seed0/train/r00.s0`.")


def test_jobs_that_failed_alike_are_told_together() -> None:
    alike = tuple(dataclasses.replace(quarantined("ValueError: no"), name=f"vit/{n}") for n in range(5))
    other = dataclasses.replace(quarantined("OSError: full"), name="vit/z")
    problems = snapshot("s", "h", seen(troubled=(*alike, other))).problems
    assert problems == (
        "5 jobs (vit/0, vit/1, vit/2 and 2 more) are quarantined: ValueError: no. See `orch logs vit/0`, then "
        "`orch retry` with each of them.",
        "vit/z is quarantined: OSError: full. See `orch logs vit/z`, then `orch retry vit/z`.",
    )


def test_jobs_that_a_worker_rejected_for_one_reason_are_told_together_with_the_reason() -> None:
    reason = "w1 cannot do it: onnxruntime is not installed"
    rejected = tuple(
        dataclasses.replace(quarantined(reason), name=f"vit/{n}", state=JobState.READY, failures=0) for n in range(2)
    )
    assert snapshot("s", "h", seen(troubled=rejected)).problems == (
        "2 jobs (vit/0 and vit/1) wait for another worker: w1 cannot do it: onnxruntime is not installed.",
    )
    assert snapshot("s", "h", seen(troubled=rejected[:1])).problems[0].startswith("vit/0 waits for another worker: w1")


def test_what_a_person_must_mend_is_told_before_what_mends_itself() -> None:
    ready = dataclasses.replace(quarantined("OSError: no"), name="a", state=JobState.READY, failures=1)
    view = snapshot("s", "h", seen(troubled=(ready, quarantined("ValueError: no"))), shortage="It is full.")
    assert [problem.split()[0] for problem in view.problems] == ["vit/seed0/train/r00.s0", "Make", "a"]


def test_the_time_left_is_told_with_the_pace_that_it_rests_on() -> None:
    at_once = dataclasses.replace(training("vit", step=40, worked_steps=50, seconds=10.0), running=2)
    (model,) = snapshot("s", "h", seen(at_once)).models
    assert (model.seconds_per_step, model.steps_taken, model.running) == (0.2, 50, 2)
    assert wording.pace(model) == "0.200 s a step, 2 at work"
    assert wording.rests_on(model) == "0.200 s a step over 50 steps, 2 at work"
    assert wording.pace(dataclasses.replace(model, running=0)).endswith("nobody at work")
    assert wording.pace(dataclasses.replace(model, step=100)) == ""
    assert wording.pace(dataclasses.replace(model, seconds_per_step=None)) == ""


def test_the_accuracy_is_the_mean_over_the_seeds_that_were_measured_and_else_none() -> None:
    measured = dataclasses.replace(training("vit", 100, 100, 10.0), top1=(0.5, 0.7))
    models = snapshot("s", "h", seen(measured, training("alexnet", 0, 0, 0.0))).models
    assert models[0].top1 == pytest.approx(0.6) and models[0].seeds_measured == 2
    assert (models[1].top1, wording.accuracy(models[1])) == (None, "–")


@pytest.mark.parametrize(("said", "left"), [(100.0, 70.0), (10.0, 0.0), (float("nan"), None), (None, None)])
def test_a_session_has_less_time_left_the_longer_its_worker_is_silent(said: float | None, left: float | None) -> None:
    progress = {} if said is None else {"seconds_left": said}
    short = dataclasses.replace(worker("w", "j", at=970.0), progress=progress)
    assert snapshot("s", "h", seen(workers=(short,))).workers[0].seconds_left == left


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(None, "–"), (5.4, "5 s"), (600.0, "10 min"), (9000.0, "2.5 h"), (180_000.0, "2.1 days")],
)
def test_durations_are_told_in_their_own_unit(seconds: float | None, told: str) -> None:
    assert duration(seconds) == told


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
