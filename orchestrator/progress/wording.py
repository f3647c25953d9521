"""How what `orch status` shows is said in words, on the terminal and on the page alike.  Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from orchestrator.jobs import JobState
from orchestrator.progress.durations import duration
from orchestrator.progress.summary import ModelProgress, Snapshot, WorkerProgress
from orchestrator.report.wording import MISSING, counted, significant

OPEN_STATES = (JobState.RUNNING, JobState.READY, JobState.BLOCKED, JobState.QUARANTINED, JobState.CANCELLED)
"""All but done, in the order in which they are told."""

_COMMAND = re.compile(r"`([^`]+)`")


def done(snapshot: Snapshot) -> str:
    return f"{snapshot.counts[JobState.DONE]:,} of {counted(snapshot.total, 'job')} done"


def open_counts(counts: Counter[JobState]) -> Iterator[tuple[JobState, str]]:
    """`3 running` and so on, for each state but done that has jobs."""
    for state in OPEN_STATES:
        if counts[state]:
            yield state, f"{counts[state]:,} {state}"


def asked(counts: Counter[JobState]) -> int:
    """Jobs that somebody waits for."""
    return counts.total() - counts[JobState.CANCELLED]


def left(snapshot: Snapshot) -> str:
    """How long it takes still, or that it is over; empty where nobody can tell."""
    if snapshot.is_over:
        return "nothing is left to do"
    if snapshot.eta_seconds is None or snapshot.eta_seconds < 1:
        return ""
    return f"training for another {duration(snapshot.eta_seconds)}"


def pace(model: ModelProgress) -> str:
    """What a model's time left rests on, in a few words; empty where nothing is left or known."""
    if model.is_trained or model.seconds_per_step is None:
        return ""
    return f"{step_time(model.seconds_per_step)} a step, {model.running or 'nobody'} at work"


def rests_on(model: ModelProgress) -> str:
    """The same with where the pace is from."""
    if not (told := pace(model)):
        return ""
    return told.replace(" a step,", f" a step over {counted(model.steps_taken, 'step')},", 1)


def step_time(seconds: float) -> str:
    return f"{significant(seconds)} s" if seconds >= 0.1 else f"{significant(1000 * seconds)} ms"


def accuracy(model: ModelProgress) -> str:
    return MISSING if model.top1 is None else f"{100 * model.top1:.1f}%"


def loss(model: ModelProgress) -> str:
    return MISSING if model.loss is None else f"{model.loss:.3f}"


def time_left(model: ModelProgress) -> str:
    return "trained" if model.is_trained else duration(model.eta_seconds)


def rate(worker: WorkerProgress) -> str:
    return "" if worker.images_per_second is None else f"{worker.images_per_second:,.0f}"


def job_progress(worker: WorkerProgress) -> str:
    """How far a worker's job is; empty where it has not said."""
    if worker.job is None or worker.step is None or not worker.steps:
        return ""
    return f"{worker.step:,} of {worker.steps:,}"


def parts(sentence: str) -> Iterator[tuple[str, bool]]:
    """A sentence in pieces, each with whether it is a command (which stood between backticks)."""
    for number, piece in enumerate(_COMMAND.split(sentence)):
        if piece:
            yield piece, number % 2 == 1
