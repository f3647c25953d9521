"""What `orch logs` prints: a job's attempts, why it failed, and what its run printed."""

from __future__ import annotations

import time

from orchestrator.foreign_text import printable, single_line
from orchestrator.home import Home
from orchestrator.jobs import Attempt
from orchestrator.progress.job_details import details, printed


def text(home: Home, name: str) -> str:
    """Raises UsageError for an unknown job, StoreError if its log cannot be fetched."""
    found = details(home, name)
    job = found.job
    lines = [f"{job.name}  {job.state}  id {job.id}"]
    lines += [_attempt_line(attempt) for attempt in found.attempts]
    if job.error:
        lines += ["", "error:", printable(job.error).rstrip()]
    log = printed(home, job)
    if log.text:
        lines += ["", "printed:", log.text]
    elif log.note:
        lines += ["", log.note]
    return "\n".join(lines)


def _attempt_line(attempt: Attempt) -> str:
    started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(attempt.started))
    seconds = attempt.last_sign - attempt.started
    outcome = attempt.outcome or "running"
    reason = f": {single_line(attempt.error.partition(chr(10))[0])}" if attempt.error else ""
    worker, steps = single_line(attempt.worker), f"steps {attempt.from_step}-{attempt.to_step}"
    return f"  attempt {attempt.number}  {started}  {seconds:.0f} s  {worker}  {steps}  {outcome}{reason}"
