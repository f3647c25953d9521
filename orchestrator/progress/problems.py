"""What needs a person, from the job table's sums: one sentence each, the most urgent first.  Pure.

A command in a sentence stands between backticks, by which terminal and page tell it from the words around it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from orchestrator.foreign_text import printable, single_line
from orchestrator.jobs import Device, Job, JobState
from orchestrator.jobtable.transactions.overview import Overview, Waiting, WorkerSeen
from orchestrator.progress.durations import duration
from orchestrator.report.wording import counted, named

STALLED_SECONDS = 900.0
"""Workers are heard of at least every five minutes, on Google Drive; two heartbeats may have failed."""

_MOST_LETTERS = 240
"""Of a reason, which may be a page long."""


def problems(seen: Overview, shortage: str | None = None) -> tuple[str, ...]:
    """What the table's sums say that a person should do something about.

    Args:
        shortage: what the home's store says that is nearly full.
    """
    quarantined = [job for job in seen.troubled if job.state is JobState.QUARANTINED]
    rejected = [job for job in seen.troubled if job.state is not JobState.QUARANTINED and not job.failures]
    failed = [job for job in seen.troubled if job.state is not JobState.QUARANTINED and job.failures]
    return (
        *_quarantined(quarantined),
        *_stalled(seen),
        *_shortages(seen.workers, shortage),
        *_rejected(rejected),
        *map(_failed, failed),
        *map(_silence, seen.silent),
        *map(_without_device, seen.waiting),
    )


def waiting_copies(seen: Overview) -> int:
    """How many benchmarks are to be measured again on devices where nobody is at it."""
    return sum(each.jobs for each in seen.waiting if not isinstance(each.device, Device))


def _quarantined(jobs: Iterable[Job]) -> Iterator[str]:
    """Jobs that failed alike are told together: what is wrong is one thing."""
    for reason, names in _by_reason(jobs).items():
        what = f"{names[0]} is quarantined" if len(names) == 1 else f"{named(names, 'job')} are quarantined"
        again = f"`orch retry {names[0]}`" if len(names) == 1 else "`orch retry` with each of them"
        yield f"{what}: {reason} See `orch logs {names[0]}`, then {again}."


def _rejected(jobs: Iterable[Job]) -> Iterator[str]:
    for reason, names in _by_reason(jobs).items():
        what = f"{names[0]} waits" if len(names) == 1 else f"{named(names, 'job')} wait"
        yield f"{what} for another worker: {reason}"


def _by_reason(jobs: Iterable[Job]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = defaultdict(list)
    for job in jobs:
        names[_reason(job)].append(job.name)
    return names


def _failed(job: Job) -> str:
    again = "is being tried again" if job.state is JobState.RUNNING else "will be tried again"
    return f"{job.name} has failed {counted(job.failures, 'time')} and {again}: {_reason(job)}"


def _reason(job: Job) -> str:
    """What went wrong, in one sentence: the exception, and the last line of what was printed if it says something else.

    Workers put the exception first and then what the job had printed, a traceback mostly, whose last line is the
    exception again.
    """
    lines = [text for line in printable(job.error or "").splitlines() if (text := single_line(line))]
    if not lines:
        return "its workers died, again at the same step."
    first, last = lines[0], lines[-1]
    said = first if last.removesuffix(".") in first else f"{_shortened(first)} The last line: {last}"
    return _as_sentence(_shortened(said))


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 3].rstrip()}..."


def _as_sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _stalled(seen: Overview) -> Iterator[str]:
    """Whoever lets notebooks work looks in now and then, and must see at once that all their sessions have ended."""
    last = max((worker.seen for worker in seen.workers), default=None)
    waiting = seen.counts[JobState.READY] + seen.counts[JobState.RUNNING]
    if waiting > waiting_copies(seen) and last is not None and seen.now - last > STALLED_SECONDS:
        yield (
            f"No worker has been heard of for {duration(seen.now - last)}; start one again with `orch worker`, or run "
            "the notebook's cell again."
        )


def _shortages(workers: Iterable[WorkerSeen], own: str | None) -> list[str]:
    """Each once: several workers may be signed in with one account."""
    told = (own, *(worker.progress.get("shortage") for worker in workers if worker.job is not None))
    return [f"Make room, uploads will soon be refused: {one}" for one in dict.fromkeys(told) if one]


def _silence(job: Job) -> str:
    there = f" on {job.device}" if job.device else ""
    return f"{job.name} is held by {job.worker}, whose lease has expired; the next worker{there} takes it over."


def _without_device(waiting: Waiting) -> str:
    if isinstance(waiting.device, Device):
        return (
            f"{counted(waiting.jobs, 'job')} can only be done by a worker with {waiting.device.called}, and none is "
            'at work; start one, or plan with device = "any" under [training].'
        )
    many = waiting.jobs != 1
    return (
        f"{counted(waiting.jobs, 'benchmark')} {'are' if many else 'is'} to be measured again on {waiting.device}, and "
        f"no worker there is at it; start one, or leave {'them' if many else 'it'}: nothing else waits for that."
    )
