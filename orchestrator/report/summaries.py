"""Rows put together over their seeds: a summary per bench, model and method, a timing per way to run it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from orchestrator.report import wording
from orchestrator.report.comparison import (
    Estimate,
    Paired,
    RightAnswers,
    Spread,
    difference,
    over_seeds,
    paired,
    ratio_over_seeds,
    spread,
)
from orchestrator.report.paper import PaperResult
from orchestrator.report.results import Results
from orchestrator.report.rows import REFERENCE, Bench, Row, method_order


@dataclass(frozen=True)
class Timing:
    """One batch size and number of threads; means over seeds, milliseconds per call."""

    batch: int
    threads: int
    p50: float
    p90: float | None
    p99: float | None
    speedup: float | None
    peak_memory_bytes: float | None
    speedup_interval: Estimate | None = None
    """Over the seeds; None for a single one, whose next measurement nobody can foretell."""

    @property
    def images_per_second(self) -> float:
        """At the median's pace."""
        return 1000 * self.batch / self.p50

    @property
    def way(self) -> tuple[int, int]:
        return (self.batch, self.threads)

    @property
    def label(self) -> str:
        return wording.way_of_calling(self.batch, self.threads)


@dataclass(frozen=True)
class Summary:
    """One model, compressed by one method and measured on one bench, over its seeds; sizes are means."""

    bench: Bench
    model: str
    method: str
    seeds: tuple[int, ...]
    top1: Estimate | None
    top1_spread: Spread | None
    top5: Spread | None
    against_float32: tuple[Paired, ...]
    """Of each seed whose predictions were kept, float32's too."""
    twin: str | None
    """The method of its dense twin, if it was fine-tuned."""
    against_twin: tuple[Paired, ...]
    """Of each seed whose predictions were kept, the twin's too."""
    parameters: float | None
    parameters_bytes: float | None
    multiply_adds: float | None
    weights_bytes: float | None
    file_bytes: float | None
    compressed_bytes: float | None
    compression: str | None
    """None where seeds were weighed with different ones; then `compressed_bytes` is None, too."""
    packed: bool
    """Whether the compressed file is what is shipped."""
    unpack_seconds: float | None
    sparsity: float | None
    timings: tuple[Timing, ...]
    paper: PaperResult | None
    study: str = ""
    right: tuple[RightAnswers | None, ...] = ()
    """What each seed got right, as far as it was kept."""

    @property
    def name(self) -> str:
        return self.model if self.method == REFERENCE else f"{self.model} ({self.method})"

    @property
    def shipped_bytes(self) -> float | None:
        """Of the file that is shipped: LiteRT's own, or the compressed one."""
        return self.compressed_bytes if self.packed else self.file_bytes


def summarize(results: Results) -> tuple[Summary, ...]:
    """Every summary, by bench, model and method."""
    ordered = sorted(results.rows, key=_key)
    return tuple(_summary(list(rows)) for _, rows in groupby(ordered, key=_key))


def on_bench(summaries: Iterable[Summary], bench: Bench) -> tuple[Summary, ...]:
    return tuple(summary for summary in summaries if summary.bench == bench)


def reference_of(summary: Summary, summaries: Iterable[Summary]) -> Summary | None:
    """The same model's float32 on the same bench; None for the reference itself, or if not measured."""
    if summary.method == REFERENCE:
        return None
    same = (each for each in summaries if (each.bench, each.model) == (summary.bench, summary.model))
    return next((each for each in same if each.method == REFERENCE), None)


def twin_of(summary: Summary, summaries: Iterable[Summary]) -> Summary | None:
    """The network that was fine-tuned as long and not changed, on the same bench; None if there is none, yet."""
    same = (each for each in summaries if (each.bench, each.model) == (summary.bench, summary.model))
    return next((each for each in same if each.method == summary.twin), None)


def accuracy_change(summary: Summary, reference: Summary | None) -> Estimate | None:
    """Top-1 against the reference; only over the same seeds, else a lucky seed would look like a gain."""
    if reference is None or summary.seeds != reference.seeds:
        return None
    return accuracy_lead(summary, reference)


def accuracy_lead(first: Summary, second: Summary) -> Estimate | None:
    """How much more of top-1 the first has; image by image where both were kept, else from the two intervals alone."""
    if first.top1 is None or second.top1 is None:
        return None
    pairs = pairs_of(second, first)
    changes = over_seeds([pair.difference for pair in pairs], least=-1.0)
    return changes or difference(first.top1, second.top1)


def pairs_of(first: Summary, second: Summary) -> tuple[Paired, ...]:
    """Seed by seed the two on the same images; empty unless every seed of both was kept, and of one test set."""
    if len(first.right) != len(second.right):
        return ()
    pairs = [paired(*both) for both in zip(first.right, second.right, strict=True)]
    return tuple(pair for pair in pairs if pair) if all(pairs) else ()


def _key(row: Row) -> tuple[Bench, str, tuple[int, str]]:
    return (row.bench, row.model, method_order(row.method))


def _summary(rows: Sequence[Row]) -> Summary:
    # Accuracy and sizes are the same on all rows of a seed; timings differ.
    per_seed = [next(same) for _, same in groupby(sorted(rows, key=_seed), key=_seed)]
    first = rows[0]
    ways = {row.compression for row in per_seed if row.compression}
    compression = ways.pop() if len(ways) == 1 else None
    estimates = [
        Estimate(row.top1, *row.top1_interval) for row in per_seed if row.top1 is not None and row.top1_interval
    ]
    return Summary(
        bench=first.bench,
        model=first.model,
        method=first.method,
        seeds=tuple(row.seed for row in per_seed),
        top1=over_seeds(estimates),
        top1_spread=spread([estimate.value for estimate in estimates]),
        top5=spread([row.top5 for row in per_seed if row.top5 is not None]),
        against_float32=tuple(row.against_float32 for row in per_seed if row.against_float32),
        twin=first.twin,
        against_twin=tuple(row.against_twin for row in per_seed if row.against_twin),
        parameters=_mean(per_seed, lambda row: row.parameters),
        parameters_bytes=_mean(per_seed, lambda row: row.parameters_bytes),
        multiply_adds=_mean(per_seed, lambda row: row.multiply_adds),
        weights_bytes=_mean(per_seed, lambda row: row.weights_bytes),
        file_bytes=_mean(per_seed, lambda row: row.file_bytes),
        compressed_bytes=_mean(per_seed, lambda row: row.compressed_bytes) if compression else None,
        compression=compression,
        packed=first.packed,
        unpack_seconds=_mean(per_seed, lambda row: row.unpack_seconds),
        sparsity=_mean(per_seed, lambda row: row.sparsity),
        timings=_timings(rows),
        paper=first.paper,
        study=first.study,
        right=tuple(row.right for row in per_seed),
    )


def _timings(rows: Sequence[Row]) -> tuple[Timing, ...]:
    ordered = sorted((row for row in rows if row.batch and row.threads), key=_way)
    timings = (_timing(list(same)) for _, same in groupby(ordered, key=_way))
    return tuple(timing for timing in timings if timing is not None)


def _timing(rows: Sequence[Row]) -> Timing | None:
    p50 = _mean(rows, lambda row: row.latency_ms.p50)
    if not p50:
        return None
    return Timing(
        *_way(rows[0]),
        p50=p50,
        p90=_mean(rows, lambda row: row.latency_ms.p90),
        p99=_mean(rows, lambda row: row.latency_ms.p99),
        speedup=_mean(rows, lambda row: row.speedup),
        peak_memory_bytes=_mean(rows, lambda row: row.peak_memory_bytes),
        speedup_interval=ratio_over_seeds([row.speedup for row in rows if row.speedup is not None]),
    )


def _seed(row: Row) -> int:
    return row.seed


def _way(row: Row) -> tuple[int, int]:
    return (row.batch or 0, row.threads or 0)


def _mean(rows: Iterable[Row], figure: Callable[[Row], float | None]) -> float | None:
    values = [value for row in rows if (value := figure(row)) is not None]
    return fmean(values) if values else None
