"""The tables that stand on the page and in Markdown.

The table that a terminal is shown, and the files with every row, are in `orchestrator.report.tables`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from orchestrator.report import columns
from orchestrator.report.columns import Figure, Judged, Timed, Tried
from orchestrator.report.history import History
from orchestrator.report.results import Results
from orchestrator.report.rows import Bench
from orchestrator.report.summaries import Summary
from orchestrator.report.table import MARKS, Line, Table

T = TypeVar("T")

_UP, _DOWN = MARKS.values()
_ACCURACY_MARKS = (
    f"{_UP} better, {_DOWN} worse: the 95% interval of the difference, in brackets, leaves out zero. Without a mark "
    "the two cannot be told apart. Of twenty networks that are equally good, about one is marked by chance."
)
_SPEED_MARKS = f"{_UP} faster, {_DOWN} slower than float32: the 95% interval over the seeds, in brackets, leaves out 1."


def accuracy_table(name: str, bench: Bench, summaries: Sequence[Summary]) -> Table:
    """What one bench says of accuracy and size: a row for each model and method."""
    figures = (
        *(columns.STUDY if len({each.study for each in summaries}) > 1 else ()),
        *columns.ACCURACY,
        *(columns.TWIN if any(each.twin for each in summaries) else ()),
        *columns.SIZES,
    )
    rows = [(each.model, each.method, Judged(each, summaries)) for each in summaries]
    return _table(name, f"Accuracy and size on {bench}", ("Model", "Method"), figures, rows, _ACCURACY_MARKS)


def latency_table(name: str, bench: Bench, summaries: Sequence[Summary]) -> Table:
    """What one bench says of time and memory: a row for each batch size and number of threads."""
    rows = [(each.model, each.method, Timed(each, timing)) for each in summaries for timing in each.timings]
    caption = f"Latency on {bench}, milliseconds per call; speed is beside float32, in turns with it"
    return _table(name, caption, ("Model", "Method"), columns.TIMES, rows, _SPEED_MARKS)


def studies_table(results: Results) -> Table:
    """The studies whose results stand side by side."""
    rows = [("", study.name, study) for study in results.studies]
    return _table("studies", "The studies, side by side", (None, "Study"), columns.STUDIES, rows)


def training_table(results: Results) -> Table:
    """How far each training came."""
    rows = [(run.model, str(run.seed), run) for run in results.trainings]
    return _table("trainings", "Training, as the finished visits report it", ("Model", "Seed"), columns.TRAINING, rows)


def attempts_table(history: History) -> Table:
    """Every attempt by its start; the page's timeline names those that a person reads."""
    rows = [("", turn.job, Tried(turn, history.start or 0.0)) for turn in history.turns]
    return _table("attempts", "Attempts, by start; times from the first start", (None, "Job"), columns.ATTEMPTS, rows)


def paper_table(summaries: Sequence[Summary]) -> Table:
    """What the paper has a figure for, beside it."""
    rows = [(each.model, each.method, each) for each in summaries if each.paper]
    return _table("beside-the-paper", "Our results beside the paper's", ("Our model", "Method"), columns.PAPER, rows)


def weights_table(results: Results) -> Table:
    """The digest of each training's last weights."""
    digests = {(row.model, row.seed, row.weights_sha256) for row in results.rows if row.weights_sha256}
    caption = (
        "SHA-256 of the trained weights (names, shapes, bytes): two studies with one digest trained the same network"
    )
    rows = [(model, str(seed), digest) for model, seed, digest in sorted(digests)]
    return _table("weights", caption, ("Model", "Seed"), columns.WEIGHTS, rows)


def _table(
    name: str,
    caption: str,
    heads: tuple[str | None, str],
    figures: Sequence[Figure[T]],
    rows: Iterable[tuple[str, str, T]],
    legend: str = "",
) -> Table:
    lines = tuple(Line(group, head, tuple(figure.cell(about) for figure in figures)) for group, head, about in rows)
    return Table(name, caption, *heads, tuple(figure.column for figure in figures), lines, legend)
