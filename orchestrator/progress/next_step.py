"""What a person does next with a study, in at most five lines: what `orch` says when it is given no command.  Pure."""

from __future__ import annotations

from orchestrator.address import scheme
from orchestrator.foreign_text import single_line
from orchestrator.jobs import JobState
from orchestrator.object_stores import places
from orchestrator.progress.summary import Snapshot
from orchestrator.report.wording import counted, duration

_MOST_PROBLEMS = 3


def without_study(file: str | None) -> list[str]:
    """Where nothing is planned yet.

    Args:
        file: the study file that lies here, if one does.
    """
    if file is not None:
        return [f"{file} is not planned yet.", f"Next: orch plan {file}"]
    return [
        "There is no study here.",
        "Next: orch init     writes one to start from",
        "  or: orch demo     goes the whole way on this machine, in about three minutes",
        "All commands: orch --help",
    ]


def with_study(snapshot: Snapshot) -> list[str]:
    """What is wrong goes first; then how to begin, to watch, or to read what came out."""
    done = f"{single_line(snapshot.study)}: {snapshot.counts[JobState.DONE]} of {snapshot.total} jobs done"
    if snapshot.problems:
        told = [f"! {single_line(problem)}" for problem in snapshot.problems[:_MOST_PROBLEMS]]
        return [f"{done}.", *told, "All of it: orch status"]
    if snapshot.is_over:
        return [f"{done}; nothing is left to do.", "Next: orch report     the comparison, as tables and one page"]
    if not snapshot.workers:
        return [f"{done}, and no worker has begun.", *_first_worker(snapshot.home)]
    working = sum(worker.job is not None for worker in snapshot.workers)
    left = f", training for another {duration(snapshot.eta_seconds)}" if snapshot.eta_seconds else ""
    return [f"{done}, {counted(working, 'worker')} at work{left}.", "Next: orch status --watch"]


def _first_worker(home: str) -> list[str]:
    if scheme(home) in ("gdrive", *places.SCHEMES):
        return ["Next: orch snippet --colab     the cell to paste into a notebook (or --kaggle, --shell)"]
    return ["Next: orch worker     as often as you like, each in a terminal of its own"]
