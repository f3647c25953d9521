"""What came of a study: whether anything of it was lost, doubled, or is other than of an undisturbed one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fast_motion.site import Site
from orchestrator.errors import OrchError
from orchestrator.jobs import Attempt, Ending, Job, JobState

_DIGEST = "weights_sha256"
_TRACEBACK = "Traceback (most recent call last)"
_ACCUSATIONS = ("somebody has restored", "no Orch writes", "another program has written", "is no job table")


class Wrong(StrEnum):
    """Kinds of findings."""

    LOST = "lost"
    """A job that is never done, or was done and is not any more."""
    DOUBLED = "doubled"
    """A job that two attempts have done."""
    FILE_LOST = "file lost"
    """A row names a file that is not in the store, or not whole."""
    OTHER_BITS = "other bits"
    """A state or model is not that of the undisturbed run."""
    QUARANTINED = "quarantined"
    """A job was given up, though nothing but the campaign stood in its way."""
    TRACEBACK = "traceback"
    """A worker printed one."""
    FALSE_ALARM = "false alarm"
    """A worker accuses somebody of having written to the home what no Orch writes, or of having put it back."""
    HANG = "hang"
    """Workers live, no fault stands, and nothing gets on."""
    OPEN_END = "open end"
    """A worker does not end although all is done, or an attempt is not closed."""


@dataclass(frozen=True)
class Finding:
    """Something that must not be."""

    wrong: Wrong
    what: str
    after: str = ""
    """The strikes before it was found."""


def bits(jobs: Iterable[Job]) -> Mapping[str, str]:
    """The digests of what jobs made, by name."""
    measured = {job.name: job.metrics or {} for job in jobs}
    return {name: str(metrics[_DIGEST]) for name, metrics in measured.items() if _DIGEST in metrics}


def lacks_what_was_taken_away(job: Job, locations: Iterable[str]) -> bool:
    """Whether a job failed for want of an artifact that the campaign itself has removed from one of these locations."""
    return any(f"{location} is missing" in (job.error or "") for location in locations)


def judge(site: Site, undisturbed: Mapping[str, str] | None) -> Iterator[Finding]:
    """Look at a study that should be done, with no fault standing.

    Args:
        undisturbed: its bits as they should be, if that is known.
    """
    jobs = site.jobs.jobs()
    for job in jobs:
        if job.state is not JobState.DONE:
            yield Finding(Wrong.LOST, f"{job.name} is {job.state}: {job.error}")
    yield from _of_attempts(jobs, site.jobs.attempts())
    yield from _of_files(site, jobs)
    if undisturbed is not None:
        made = bits(jobs)
        for name in sorted(undisturbed.keys() | made.keys()):
            if made.get(name) != undisturbed.get(name):
                yield Finding(Wrong.OTHER_BITS, f"{name}: {made.get(name)} instead of {undisturbed.get(name)}")


def _of_attempts(jobs: Sequence[Job], attempts: Sequence[Attempt]) -> Iterator[Finding]:
    done = Counter(attempt.job for attempt in attempts if attempt.outcome is Ending.DONE)
    for job in jobs:
        if job.state is JobState.DONE and done[job.id] != 1:
            yield Finding(Wrong.DOUBLED, f"{job.name} was done by {done[job.id]} attempts")
    names = {job.id: job.name for job in jobs}
    for attempt in attempts:
        if attempt.ended is None:
            yield Finding(Wrong.OPEN_END, f"attempt {attempt.number} of {names.get(attempt.job)} was never closed")


def _of_files(site: Site, jobs: Sequence[Job]) -> Iterator[Finding]:
    named = {f"the data {name!r}": kept for name, kept in site.jobs.data().items()}
    for job in jobs:
        named |= {f"the output {name!r} of {job.name}": kept for name, kept in site.jobs.outputs(job.id).items()}
    for what, artifact in named.items():
        try:
            whole = site.contents.is_whole(artifact)
        except OrchError as error:
            yield Finding(Wrong.FILE_LOST, f"{what}: {error}")
            continue
        if not whole:
            yield Finding(Wrong.FILE_LOST, f"{what} is not whole at {artifact.location}")


def read(log: Path) -> Iterator[Finding]:
    """What a process printed that none of the campaign's faults may bring about."""
    said = log.read_text(errors="replace") if log.exists() else ""
    _, found, trace = said.partition(_TRACEBACK)
    if found:
        raised = next((line for line in trace.splitlines()[1:] if not line.startswith(" ")), "?")
        yield Finding(Wrong.TRACEBACK, f"{log.name}: {raised}")
    for line in said.splitlines():
        if any(accusation in line for accusation in _ACCUSATIONS):
            yield Finding(Wrong.FALSE_ALARM, f"{log.name}: {line}")
            return
