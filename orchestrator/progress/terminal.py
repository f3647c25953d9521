"""A snapshot of a study on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.foreign_text import single_line
from orchestrator.jobs import Job, JobState
from orchestrator.progress.summary import ModelProgress, Snapshot, WorkerProgress
from orchestrator.report.wording import MISSING

_STYLES = {
    JobState.DONE: "green",
    JobState.RUNNING: "cyan",
    JobState.READY: "default",
    JobState.BLOCKED: "dim",
    JobState.QUARANTINED: "bold red",
    JobState.CANCELLED: "dim strike",
}


def render(snapshot: Snapshot) -> RenderableType:
    """Counts, then what needs a person, then models and workers."""
    parts: list[RenderableType] = [_headline(snapshot)]
    parts.extend(Text(f"! {single_line(problem)}", style="red") for problem in snapshot.problems)
    if snapshot.models:
        parts.append(_models(snapshot.models))
    if snapshot.workers:
        parts.append(_workers(snapshot.workers))
    return Group(*parts)


def render_jobs(jobs: Sequence[Job]) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    for heading in ("job", "state", "attempts", "worker"):
        table.add_column(heading, overflow="fold")
    for job in jobs:
        table.add_row(
            job.name, Text(job.state, style=_STYLES[job.state]), str(job.attempts), Text(single_line(job.worker or ""))
        )
    return table


def duration(seconds: float | None) -> str:
    """`95 s`, `12 min`, `3.4 h`; an en dash when unknown."""
    if seconds is None:
        return MISSING
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _headline(snapshot: Snapshot) -> Text:
    line = Text.assemble((snapshot.study, "bold"), f"  {snapshot.counts[JobState.DONE]} of {snapshot.total} jobs done")
    for state in (
        JobState.RUNNING,
        JobState.READY,
        JobState.BLOCKED,
        JobState.QUARANTINED,
        JobState.CANCELLED,
    ):
        if snapshot.counts[state]:
            line.append(f"  {snapshot.counts[state]} {state}", style=_STYLES[state])
    if snapshot.eta_seconds is not None and snapshot.eta_seconds > 0:
        line.append(f"  training for another {duration(snapshot.eta_seconds)}")
    return line


def _models(models: Sequence[ModelProgress]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading, side in (
        ("model", "left"),
        ("", "left"),
        ("step", "right"),
        ("loss", "right"),
        ("left", "right"),
    ):
        table.add_column(heading, justify="right" if side == "right" else "left")
    for model in models:
        table.add_row(
            model.name,
            ProgressBar(total=model.steps, completed=model.step, width=24),
            f"{model.step:,} / {model.steps:,}",
            MISSING if model.loss is None else f"{model.loss:.3f}",
            "done" if model.step == model.steps else duration(model.eta_seconds),
        )
    return table


def _workers(workers: Sequence[WorkerProgress]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("worker", "job", "images/s", "heard of", "host"):
        table.add_column(heading, justify="right" if heading in ("images/s", "heard of") else "left")
    for worker in workers:
        rate = worker.images_per_second
        # As Text: a host's name must not be read as rich's markup.
        table.add_row(
            Text(single_line(worker.name)),
            worker.job or Text("no job", style="dim"),
            "" if rate is None else f"{rate:,.0f}",
            f"{duration(worker.last_seen_seconds)} ago",
            Text(single_line(worker.host)),
        )
    return table
