"""The rows of a report: one for each benchmark and each way in which it measured, made from done jobs.

What a study has measured as a whole, and what it has not, stands in `orchestrator.report.results`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.compression import methods
from models.predictions import Predictions
from orchestrator.jobs import Job, JobState, Stage
from orchestrator.report import paper
from orchestrator.report.comparison import Paired, RightAnswers, paired
from orchestrator.report.metrics import interval, line, objects, positive, positive_integer, share
from orchestrator.report.paper import PaperResult

REFERENCE = "float32"
"""The method that every other one is compared with."""


@dataclass(frozen=True, order=True)
class Bench:
    """Where something was measured.  Figures from two benches are never compared."""

    device: str
    runtime: str
    data: str = ""
    """Of which test images the accuracies are; empty unless a report has studies of different ones."""

    def __str__(self) -> str:
        return f"{self.device} with {self.runtime}{', ' if self.data else ''}{self.data}"


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one call; None where nothing finite was measured."""

    p50: float | None = None
    p90: float | None = None
    p99: float | None = None


@dataclass(frozen=True)
class Row:
    """One benchmark at one batch size and number of threads, as `orch report --json` gives it.

    None stands for what was not measured or is not a finite number.
    """

    study: str
    model: str
    seed: int
    method: str
    device: str
    runtime: str
    batch: int | None
    threads: int | None
    top1: float | None
    top1_interval: tuple[float, float] | None
    """95 %, by the number of test images."""
    top5: float | None
    against_float32: Paired | None
    """Image by image, with float32 of the same seed on the same device; None without both's predictions."""
    twin: str | None
    """The method of its dense twin, which was fine-tuned as long and not changed; None where nothing was fine-tuned."""
    against_twin: Paired | None
    """Image by image, as with float32."""
    latency_ms: Latency
    speedup: float | None
    """The 10th percentile of float32's calls over that of its own, in one process; None without a reference.

    Older workers divided the medians.
    """
    images_per_second: float | None
    """The batch over p50."""
    peak_memory_bytes: int | None
    """What the network added at most to a process that loads it and classifies one batch; older workers: None."""
    memory_before_bytes: int | None
    """What that process had before: Python, NumPy and the runtime."""
    parameters: int | None
    parameters_bytes: int | None
    """The parameters as float32, whatever the file has of them."""
    multiply_adds: int | None
    """Of one image, from the network's graph."""
    weights_bytes: int | None
    file_bytes: int | None
    """Of the file that the runtime loads; None where it was given a network and no file."""
    compressed_bytes: int | None
    compression: str | None
    """What the file was compressed with for that."""
    packed: bool
    """Whether the compressed file is what is shipped: it was unpacked, and then measured."""
    unpack_seconds: float | None
    """How long that took."""
    sparsity: float | None
    """Share of the weights that are zero."""
    weights_sha256: str | None
    """Digest of the trained weights that the row was made from."""
    paper: PaperResult | None
    test_set: str | None
    """SHA-256 of the test images and their labels; None where the predictions were not kept."""
    right: RightAnswers | None = field(default=None, compare=False, repr=False)
    """What it is compared by with any other row of the same test images."""
    data: str = ""
    """What the bench says of its test images."""

    @property
    def bench(self) -> Bench:
        return Bench(self.device, self.runtime, self.data)

    def order(self) -> tuple[Any, ...]:
        """Sort key."""
        seed_and_way = (self.seed, self.batch or 0, self.threads or 0)
        return (self.bench, self.model, method_order(self.method), *seed_and_way)

    def to_json(self) -> dict[str, Any]:
        row = dataclasses.asdict(dataclasses.replace(self, right=None))
        del row["right"], row["data"]
        row["top1_interval"] = list(self.top1_interval) if self.top1_interval else None
        row["against_float32"] = self.against_float32.to_json("float32") if self.against_float32 else None
        row["against_twin"] = self.against_twin.to_json("twin") if self.against_twin else None
        row["paper"] = self.paper.to_json() if self.paper else {}
        return row


def method_order(method: str) -> tuple[int, str]:
    """Sort key: the methods in their own order, the reference first, then everything else by name."""
    known = methods.names()
    return (known.index(method) if method in known else len(known), method)


def benchmark_rows(
    study: str, dataset: str, jobs: Sequence[Job], predictions: Mapping[str, Predictions]
) -> tuple[Row, ...]:
    """One for each benchmark that is done and each way in which it measured."""
    done = [job for job in jobs if job.state is JobState.DONE]
    exports = (job for job in done if job.stage is Stage.COMPRESS and "training" not in job.spec)
    sizes = {_subject(job): job.metrics or {} for job in exports}
    benchmarks = [job for job in done if job.stage is Stage.BENCHMARK]
    pairs = _paired_with_others(benchmarks, predictions)
    rows = [row for job in benchmarks for row in _rows_of(study, dataset, job, _weighed(job, sizes), pairs[job.id])]
    compared = _compared(jobs)
    honest = (row if (row.model, row.seed) in compared else dataclasses.replace(row, speedup=None) for row in rows)
    return tuple(sorted(honest, key=Row.order))


@dataclass(frozen=True)
class _Pairs:
    """What one benchmark got right, and that beside float32 and beside its dense twin, where it was kept."""

    own: RightAnswers | None
    reference: Paired | None
    twin: Paired | None


def _paired_with_others(benchmarks: Sequence[Job], predictions: Mapping[str, Predictions]) -> dict[str, _Pairs]:
    """By the job's id: with networks of the same model and seed that the same bench measured."""
    right = {job: RightAnswers.of(said) for job, said in predictions.items()}
    known = {(_group(job), _subject(job)[2]): right.get(job.id) for job in benchmarks}

    def beside(job: Job, method: str | None) -> Paired | None:
        return paired(known.get((_group(job), method or "")), right.get(job.id))

    return {
        job.id: _Pairs(
            own=right.get(job.id),
            reference=None if _subject(job)[2] == REFERENCE else beside(job, REFERENCE),
            twin=beside(job, _twin(job)),
        )
        for job in benchmarks
    }


def _twin(benchmark: Job) -> str | None:
    return line(benchmark.spec, "twin")


def _group(benchmark: Job) -> tuple[str, int, Bench]:
    model, seed, _ = _subject(benchmark)
    return model, seed, bench_of(benchmark.metrics or {})


def _weighed(benchmark: Job, sizes: Mapping[tuple[str, int, str], Mapping[str, Any]]) -> Mapping[str, Any]:
    """What the network weighs that was measured: its LiteRT file, or what another runtime was given instead."""
    if "runtime" in benchmark.spec:
        return benchmark.metrics or {}
    return sizes.get(_subject(benchmark), {})


def bench_of(metrics: Mapping[str, Any]) -> Bench:
    """Where a benchmark says that it measured."""
    return Bench(line(metrics, "device") or "unknown device", line(metrics, "runtime") or "unknown runtime")


def _compression(sizes: Mapping[str, Any]) -> str | None:
    """Older workers did not say what they compressed with: it was gzip."""
    return None if positive_integer(sizes, "compressed_bytes") is None else line(sizes, "compression") or "gzip"


def _compared(jobs: Iterable[Job]) -> set[tuple[str, int]]:
    """Models and seeds with a float32 network.  Of one without it, older workers wrote that it is 1.0 times float32."""
    measured = (job for job in jobs if job.stage is Stage.BENCHMARK and job.state is not JobState.CANCELLED)
    return {(model, seed) for model, seed, method in map(_subject, measured) if method == REFERENCE}


def _subject(job: Job) -> tuple[str, int, str]:
    return (job.spec["model"], job.spec["seed"], job.spec["method"])


def _rows_of(study: str, dataset: str, benchmark: Job, sizes: Mapping[str, Any], pairs: _Pairs) -> Iterator[Row]:
    metrics = benchmark.metrics or {}
    bench = bench_of(metrics)
    model, seed, method = _subject(benchmark)
    # Accuracy without a latency is still worth a row.
    for latency in objects(metrics, "latencies") or [{}]:
        yield Row(
            study=study,
            model=model,
            seed=seed,
            method=method,
            device=bench.device,
            runtime=bench.runtime,
            batch=positive_integer(latency, "batch"),
            threads=positive_integer(latency, "threads"),
            top1=share(metrics, "top1"),
            top1_interval=interval(metrics.get("top1_interval")),
            top5=share(metrics, "top5"),
            against_float32=pairs.reference,
            twin=_twin(benchmark),
            against_twin=pairs.twin,
            latency_ms=Latency(*(positive(latency, name) for name in ("p50", "p90", "p99"))),
            speedup=positive(latency, "speedup"),
            images_per_second=_images_per_second(latency),
            peak_memory_bytes=positive_integer(latency, "peak_memory_bytes"),
            memory_before_bytes=positive_integer(latency, "memory_before_bytes"),
            parameters=positive_integer(sizes, "parameters"),
            parameters_bytes=positive_integer(sizes, "parameters_bytes"),
            multiply_adds=positive_integer(sizes, "multiply_adds"),
            weights_bytes=positive_integer(sizes, "weights_bytes"),
            file_bytes=positive_integer(sizes, "file_bytes"),
            compressed_bytes=positive_integer(sizes, "compressed_bytes"),
            compression=_compression(sizes),
            packed=line(sizes, "ship") == "zst",
            unpack_seconds=positive(metrics, "unpack_seconds"),
            sparsity=share(sizes, "sparsity"),
            weights_sha256=line(sizes, "weights_sha256"),
            paper=paper.find(dataset, model, method),
            test_set=pairs.own.test_set if pairs.own else None,
            right=pairs.own,
        )


def _images_per_second(latency: Mapping[str, Any]) -> float | None:
    batch, p50 = positive_integer(latency, "batch"), positive(latency, "p50")
    return 1000 * batch / p50 if batch and p50 else None
