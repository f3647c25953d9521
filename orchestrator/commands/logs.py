"""What `orch logs` prints: a job's attempts, why it failed, and what its run printed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from orchestrator.foreign_text import printable, single_line
from orchestrator.home import Home
from orchestrator.jobs import LOG, Attempt, JobState

_LARGEST_BYTES = 100_000_000
"""What a job prints is kilobytes; a log that somebody has put there could fill the disk of whoever looks at it."""


def text(home: Home, name: str) -> str:
    """Raises UsageError for an unknown job, StoreError if its log cannot be fetched."""
    job = home.jobs.job(name)
    lines = [f"{job.name}  {job.state}  id {job.id}"]
    lines += [_attempt_line(attempt) for attempt in home.jobs.attempts(job.id)]
    if job.error:
        lines += ["", "error:", printable(job.error).rstrip()]
    lines += _printed(home, job.id)
    return "\n".join(lines)


def _attempt_line(attempt: Attempt) -> str:
    started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(attempt.started))
    seconds = attempt.last_sign - attempt.started
    outcome = attempt.outcome or "running"
    reason = f": {single_line(attempt.error.partition(chr(10))[0])}" if attempt.error else ""
    worker, steps = single_line(attempt.worker), f"steps {attempt.from_step}-{attempt.to_step}"
    return f"  attempt {attempt.number}  {started}  {seconds:.0f} s  {worker}  {steps}  {outcome}{reason}"


def _printed(home: Home, job: str) -> Iterator[str]:
    log = home.jobs.outputs(job).get(LOG)
    if log is None:
        yield from ("", "It printed nothing.") if home.jobs.job(job).state is JobState.DONE else ()
        return
    if log.size > _LARGEST_BYTES:
        yield from ("", f"Its log has {log.size / 1e6:,.0f} MB and is not fetched; logs up to 100 MB are.")
        return
    with tempfile.TemporaryDirectory(prefix="orch-log-") as directory:
        file = Path(directory) / "log.txt"
        home.artifacts.fetch(log, file)
        printed = printable(file.read_text(encoding="utf-8", errors="replace")).rstrip()
    yield from ("", "printed:", printed) if printed else ("", "It printed nothing.")
