"""What one job went through: its attempts, why it failed, and what its run printed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from orchestrator.foreign_text import printable
from orchestrator.home import Home
from orchestrator.jobs import LOG, Attempt, Job, JobState

_LARGEST_BYTES = 100_000_000
"""What a job prints is kilobytes; a log that somebody has put there could fill the disk of whoever looks at it."""


@dataclass(frozen=True)
class JobDetails:
    """A job and who was at it."""

    job: Job
    attempts: tuple[Attempt, ...]
    """In the order of their beginning."""


@dataclass(frozen=True)
class Printed:
    """What the run of a job printed that is done."""

    text: str = ""
    note: str = ""
    """Why there is no text, in a sentence; both are empty for a job that has not come so far."""


def details(home: Home, name: str) -> JobDetails:
    """Raises UsageError for an unknown job."""
    job = home.jobs.job(name)
    return JobDetails(job, tuple(home.jobs.attempts(job.id)))


def printed(home: Home, job: Job) -> Printed:
    """The log that a job has kept.  Raises StoreError if it cannot be fetched."""
    log = home.jobs.outputs(job.id).get(LOG)
    if log is None:
        return Printed(note="It printed nothing." if job.state is JobState.DONE else "")
    if log.size > _LARGEST_BYTES:
        return Printed(note=f"Its log has {log.size / 1e6:,.0f} MB and is not fetched; logs up to 100 MB are.")
    with tempfile.TemporaryDirectory(prefix="orch-log-") as directory:
        file = Path(directory) / "log.txt"
        home.artifacts.fetch(log, file)
        text = printable(file.read_text(encoding="utf-8", errors="replace")).rstrip()
    return Printed(text) if text else Printed(note="It printed nothing.")
