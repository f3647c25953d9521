"""Rows of the table as the plain data of `orchestrator.jobs`, each value checked: anybody may have written them.

Every function raises `Altered` for a row that no Orch writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from orchestrator import untrusted
from orchestrator.jobs import Artifact, Attempt, Ending, InputRef, Job, JobState, Stage, depends_on_threads
from orchestrator.untrusted import Altered, member

T = TypeVar("T", bound=StrEnum)


def as_job(row: Any) -> Job:
    stage = as_stage(row.stage)
    return Job(
        id=untrusted.job_id(row.id),
        name=job_name(row.name),
        stage=stage,
        state=_one_of(JobState, "a job's state", row.state),
        spec=spec_of(stage, row.spec),
        attempts=untrusted.whole("a count of attempts", row.attempts),
        failures=untrusted.whole("a count of failures", row.failures),
        worker=optional_text("a worker's name", row.worker),
        progress=progress(row.progress),
        metrics=None if row.metrics is None else untrusted.mapping("a job's metrics", row.metrics),
        error=optional_text("an error", row.error),
        copy_of=None if row.copy_of is None else untrusted.job_id(row.copy_of),
        device=optional_text("a device's name", row.device),
    )


def as_attempt(row: Any) -> Attempt:
    return Attempt(
        job=untrusted.job_id(row.job),
        number=untrusted.whole("an attempt's number", row.number),
        worker=untrusted.text("a worker's name", row.worker),
        host=untrusted.text("a host's name", row.host),
        device=untrusted.text("a device's name", row.device),
        started=moment(row.started),
        seen=moment(row.seen),
        ended=None if row.ended is None else moment(row.ended),
        from_step=untrusted.whole("a step", row.from_step),
        to_step=untrusted.whole("a step", row.to_step),
        outcome=None if row.outcome is None else _one_of(Ending, "an attempt's outcome", row.outcome),
        error=optional_text("an error", row.error),
        speculative=bool(row.twin),
    )


def as_artifact(row: Any) -> Artifact:
    return Artifact(
        untrusted.sha256(row.sha256),
        untrusted.whole("a size in bytes", row.size),
        untrusted.location(row.location),
    )


def as_stage(value: object) -> Stage:
    return _one_of(Stage, "a stage", value)


def job_name(value: object) -> str:
    return untrusted.path("a job's name", value)


def spec_of(stage: Stage, value: object) -> Mapping[str, Any]:
    """A job's spec, with what coordinator and supervisor read of it; the rest is for the stage that does the job."""
    spec = untrusted.mapping("a job's spec", value)
    untrusted.name("a model's name", member(spec, "model", "a spec"))
    untrusted.whole("a seed", member(spec, "seed", "a spec"))
    if depends_on_threads(stage, spec):
        untrusted.whole("a number of threads", member(spec, "threads", "a spec"), least=1)
    if stage in (Stage.COMPRESS, Stage.BENCHMARK):
        untrusted.path("a method's name", member(spec, "method", "a spec"))
    return spec


def inputs_of(value: object) -> dict[str, InputRef]:
    """Where a job's inputs come from, by name."""
    refs = untrusted.mapping("a job's inputs", value)
    return {untrusted.path("an input's name", name): _as_input(ref) for name, ref in refs.items()}


def _as_input(value: object) -> InputRef:
    ref = untrusted.mapping("a job's input", value)
    job = member(ref, "job", "an input")
    return InputRef(
        untrusted.path("an input's name", member(ref, "name", "an input")),
        None if job is None else untrusted.job_id(job),
    )


_SAID_NUMBERS = ("loss", "images_per_second", "seconds_left")
_SAID_TEXTS = ("note", "shortage")


def progress(value: object) -> Mapping[str, Any]:
    """What a worker said of a job last; a figure that is none (a loss may be NaN) is left out."""
    said = untrusted.mapping("a job's progress", value)
    steps: dict[str, Any] = {key: untrusted.whole("a step", said[key]) for key in ("step", "steps") if key in said}
    numbers = {key: said[key] for key in _SAID_NUMBERS if isinstance(said.get(key), int | float)}
    texts = {key: said[key] for key in _SAID_TEXTS if isinstance(said.get(key), str)}
    return {**steps, **numbers, **texts}


def moment(value: object) -> float:
    """Seconds since 1970, of a day that a calendar has."""
    seconds = untrusted.number("a moment", value)
    if not 0.0 <= seconds <= _LAST_MOMENT:
        raise Altered("a moment", value)
    return seconds


_LAST_MOMENT = 2.0e11
"""The year 8307: `datetime` ends with 9999."""


def optional_text(what: str, value: object) -> str | None:
    return None if value is None else untrusted.text(what, value)


def _one_of(kind: type[T], what: str, value: object) -> T:
    try:
        return kind(untrusted.text(what, value))
    except ValueError:
        raise Altered(what, value) from None
