"""The columns of the report's tables: what each is called, and how its cells follow from what a row is about.

Which table has which of them stands in `orchestrator.report.page_tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from orchestrator.report import wording
from orchestrator.report.comparison import Estimate, Paired
from orchestrator.report.history import Turn
from orchestrator.report.results import StudyFacts
from orchestrator.report.summaries import Summary, Timing, accuracy_change, reference_of, twin_of
from orchestrator.report.table import Cell, Column
from orchestrator.report.trainings import TrainingRun

T = TypeVar("T")


@dataclass(frozen=True)
class Figure(Generic[T]):
    """A column, and its cell in a row that is about a T."""

    column: Column
    cell: Callable[[T], Cell]


@dataclass(frozen=True)
class Judged:
    """A summary among those that it is held against."""

    it: Summary
    here: Sequence[Summary]


@dataclass(frozen=True)
class Timed:
    """One of a summary's timings."""

    it: Summary
    timing: Timing


@dataclass(frozen=True)
class Tried:
    """An attempt, and when the first of all began."""

    turn: Turn
    start: float


def number(
    heading: str, field: str, value: Callable[[T], float | None], text: Callable[[float], str] = str
) -> Figure[T]:
    """A column of one figure; a cell is empty where there is none."""

    def cell(about: T) -> Cell:
        found = value(about)
        return Cell() if found is None else Cell(text(found), (found,))

    return Figure(Column(heading, (field,)), cell)


def words(heading: str, field: str, text: Callable[[T], str], *, wraps: bool = False) -> Figure[T]:
    """A column of text."""

    def cell(about: T) -> Cell:
        found = text(about)
        return Cell(found, (found,)) if found else Cell()

    return Figure(Column(heading, (field,), words=True, wraps=wraps), cell)


def several(heading: str, fields: str, cell: Callable[[T], Cell]) -> Figure[T]:
    """A column whose cells hold more than one figure.

    Args:
        fields: their names, with spaces between them.
    """
    return Figure(Column(heading, tuple(fields.split())), cell)


def top1(summary: Summary) -> str:
    """Percent: the mean, and the standard deviation where there are several seeds."""
    if summary.top1 is None or summary.top1_spread is None:
        return wording.MISSING
    deviation = summary.top1_spread.deviation
    spread = f" \N{PLUS-MINUS SIGN} {100 * deviation:.2f}" if deviation is not None else ""
    return f"{100 * summary.top1.value:.2f}{spread}"


def interval(summary: Summary, digits: int = 2) -> str:
    """Percent: the two ends."""
    if summary.top1 is None:
        return wording.MISSING
    return f"{100 * summary.top1.low:.{digits}f} to {100 * summary.top1.high:.{digits}f}"


def hundredths(share: float) -> str:
    """Percent without its sign, for a column that says it."""
    return f"{100 * share:.2f}"


def _top1(row: Judged) -> Cell:
    spread = row.it.top1_spread
    return Cell(top1(row.it), (spread.mean, spread.deviation)) if row.it.top1 and spread else Cell()


def _interval(row: Judged) -> Cell:
    found = row.it.top1
    return Cell(interval(row.it), (found.low, found.high)) if found else Cell()


def _change(change: Estimate | None) -> Cell:
    if change is None:
        return Cell()
    text = f"{wording.points(change.value, 2)} ({wording.points(change.low, 2)} to {wording.points(change.high, 2)})"
    return Cell(text, (change.value, change.low, change.high), change.verdict())


def _differing(pairs: Sequence[Paired]) -> Cell:
    """How many images the first alone gets right, and how many the second alone, over all seeds."""
    if not pairs:
        return Cell()
    sides = (sum(each.only_first for each in pairs), sum(each.only_second for each in pairs))
    return Cell(" / ".join(f"{images:,}" for images in sides), sides)


def _chances(pairs: Sequence[Paired]) -> Cell:
    """The p of McNemar's test, one for each seed."""
    if not pairs:
        return Cell()
    text = " ".join(wording.probability(each.p) for each in pairs)
    return Cell(text, (pairs[0].p if len(pairs) == 1 else text,))


def _compressed(row: Judged) -> Cell:
    """With what compressed, for homes of older versions have gzip's; and whether that is what is shipped."""
    it = row.it
    if not it.compression or it.compressed_bytes is None:
        return Cell()
    text = f"{wording.size(it.compressed_bytes)} {it.compression}{', shipped' if it.packed else ''}"
    return Cell(text, (it.compressed_bytes, it.compression, it.packed))


def _speed(row: Timed) -> Cell:
    speedup, over_seeds = row.timing.speedup, row.timing.speedup_interval
    if speedup is None:
        return Cell()
    if over_seeds is None:
        return Cell(wording.factor(speedup), (speedup, None, None))
    text = f"{wording.factor(speedup)} ({over_seeds.low:.2f} to {over_seeds.high:.2f})"
    return Cell(text, (speedup, over_seeds.low, over_seeds.high), over_seeds.verdict(level=1.0))


def _steps_of_run(run: TrainingRun) -> Cell:
    of = f" of {run.total_steps:,}" if run.total_steps else ""
    return Cell(f"{run.step:,}{of}", (run.step, run.total_steps))


def _steps_of_turn(row: Tried) -> Cell:
    turn = row.turn
    return Cell(f"{turn.from_step:,} to {turn.to_step:,}", (turn.from_step, turn.to_step)) if turn.to_step else Cell()


def _bench(it: Summary) -> Cell:
    return Cell(str(it.bench), (it.bench.device, it.bench.runtime))


STUDIES: tuple[Figure[StudyFacts], ...] = (
    words("Data set", "dataset", lambda study: study.dataset, wraps=True),
    several("Jobs done", "jobs_done jobs", lambda it: Cell(f"{it.done:,} of {it.total:,}", (it.done, it.total))),
    number("Began", "started", lambda study: study.started, wording.moment),
    number("Last heard of", "stopped", lambda study: study.stopped, wording.moment),
)

STUDY: tuple[Figure[Judged], ...] = (words("Study", "study", lambda row: row.it.study),)

ACCURACY: tuple[Figure[Judged], ...] = (
    number("Seeds", "seeds", lambda row: len(row.it.seeds)),
    several("Top-1, %", "top1 top1_deviation", _top1),
    several("95% interval", "top1_low top1_high", _interval),
    several(
        "Against float32, points",
        "against_float32 against_float32_low against_float32_high",
        lambda row: _change(accuracy_change(row.it, reference_of(row.it, row.here))),
    ),
    several(
        "Only float32 / only this right",
        "only_float32_right only_this_right",
        lambda row: _differing(row.it.against_float32),
    ),
    several("p", "mcnemar_p", lambda row: _chances(row.it.against_float32)),
)

TWIN: tuple[Figure[Judged], ...] = (
    several(
        "Against its dense twin, points",
        "against_twin against_twin_low against_twin_high",
        lambda row: _change(accuracy_change(row.it, twin_of(row.it, row.here))),
    ),
    several(
        "Only twin / only this right",
        "only_twin_right only_this_right_of_twin",
        lambda row: _differing(row.it.against_twin),
    ),
    several("p, twin", "twin_mcnemar_p", lambda row: _chances(row.it.against_twin)),
)

SIZES: tuple[Figure[Judged], ...] = (
    number("Top-5, %", "top5", lambda row: row.it.top5.mean if row.it.top5 else None, hundredths),
    number("Parameters", "parameters", lambda row: row.it.parameters, wording.whole),
    number("As float32", "parameters_bytes", lambda row: row.it.parameters_bytes, wording.size),
    number("Multiply-adds", "multiply_adds", lambda row: row.it.multiply_adds, wording.whole),
    number("Weights", "weights_bytes", lambda row: row.it.weights_bytes, wording.size),
    number("File", "file_bytes", lambda row: row.it.file_bytes, wording.size),
    several("Compressed", "compressed_bytes compression packed", _compressed),
    number("Zeros", "sparsity", lambda row: row.it.sparsity, wording.percent),
)

TIMES: tuple[Figure[Timed], ...] = (
    number("Batch", "batch", lambda row: row.timing.batch),
    number("Threads", "threads", lambda row: row.timing.threads),
    number("p50, ms", "latency_p50_ms", lambda row: row.timing.p50, wording.milliseconds),
    number("p90, ms", "latency_p90_ms", lambda row: row.timing.p90, wording.milliseconds),
    number("p99, ms", "latency_p99_ms", lambda row: row.timing.p99, wording.milliseconds),
    several("Speed against float32", "speedup speedup_low speedup_high", _speed),
    number("Images a second", "images_per_second", lambda row: row.timing.images_per_second, wording.significant),
    number("Peak memory", "peak_memory_bytes", lambda row: row.timing.peak_memory_bytes, wording.size),
)

TRAINING: tuple[Figure[TrainingRun], ...] = (
    several("Steps", "step total_steps", _steps_of_run),
    number("Loss", "loss", lambda run: run.losses[-1][1] if run.losses else None, "{:.3f}".format),
    number("Images a second", "images_per_second", lambda run: run.images_per_second, wording.whole),
    number("Time", "seconds", lambda run: run.seconds, wording.duration),
    words("Device", "devices", lambda run: wording.listed(run.devices), wraps=True),
)

ATTEMPTS: tuple[Figure[Tried], ...] = (
    number("Attempt", "attempt", lambda row: row.turn.number),
    words("Worker", "worker", lambda row: row.turn.worker),
    words("Device", "device", lambda row: row.turn.device),
    number("Began after", "began_after_seconds", lambda row: row.turn.started - row.start, wording.duration),
    number("Lasted", "lasted_seconds", lambda row: row.turn.stopped - row.turn.started, wording.duration),
    several("Steps", "from_step to_step", _steps_of_turn),
    number("Done again", "repeated_steps", lambda row: row.turn.repeated_steps or None, wording.whole),
    words("Ended", "outcome", lambda row: "worker died" if row.turn.died else str(row.turn.outcome or "running")),
)

PAPER: tuple[Figure[Summary], ...] = (
    Figure(Column("Measured on", ("device", "runtime"), words=True, wraps=True), _bench),
    number("Our top-1, %", "top1", lambda it: it.top1.value if it.top1 else None, hundredths),
    number("Our top-5, %", "top5", lambda it: it.top5.mean if it.top5 else None, hundredths),
    words("The paper's model", "paper_model", lambda it: it.paper.model if it.paper else ""),
    number("Its top-1, %", "paper_top1", lambda it: it.paper.top1 if it.paper else None, hundredths),
    number("Its top-5, %", "paper_top5", lambda it: it.paper.top5 if it.paper else None, hundredths),
    number("Its ms, TFLite", "paper_latency_ms", lambda it: it.paper.latency_ms if it.paper else None),
    number("Its ms, Keras", "paper_keras_latency_ms", lambda it: it.paper.keras_latency_ms if it.paper else None),
    words("Same network", "same_network", lambda it: "yes" if it.paper and it.paper.same_network else "same family"),
)

WEIGHTS: tuple[Figure[str], ...] = (words("SHA-256", "weights_sha256", str, wraps=True),)
