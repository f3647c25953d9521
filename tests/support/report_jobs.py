"""Jobs and attempts as a study leaves them in the job table, for the tests of the report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from models import datasets
from models.predictions import Predictions
from orchestrator.jobs import Attempt, Ending, Job, JobState, Stage
from orchestrator.report.results import Results, collect

LAPTOP = "laptop, 2 cores"
DIGEST = "ab" * 32


def make_job(
    stage: Stage,
    subject: Mapping[str, Any],
    metrics: Mapping[str, Any] | None,
    *,
    state: JobState = JobState.DONE,
    name: str = "",
    error: str | None = None,
) -> Job:
    name = name or "/".join(str(part) for part in (*subject.values(), stage) if isinstance(part, str | int))
    return Job(
        id=f"id of {name}",
        name=name,
        stage=stage,
        state=state,
        spec=subject,
        attempts=1,
        failures=0,
        worker=None,
        progress={},
        metrics=metrics if state is JobState.DONE else None,
        error=error,
    )


def train(model: str, seed: int = 0, *, step: int = 100, loss: float = 1.5, shard: int = 0, **more: Any) -> Job:
    subject = {"model": model, "seed": seed, "training": {"total_steps": 200}}
    metrics = {
        "loss": loss,
        "images_per_second": 2000.0,
        "step": step,
        "seconds": 12.0,
        "device": LAPTOP,
        "weights_sha256": DIGEST,
    }
    return make_job(Stage.TRAIN, subject, metrics, name=f"{model}/seed{seed}/train/{step}.s{shard}", **more)


def merge(model: str, seed: int = 0, *, step: int = 100) -> Job:
    metrics = {"step": step, "seconds": 3.0, "device": LAPTOP, "weights_sha256": DIGEST}
    return make_job(Stage.MERGE, {"model": model, "seed": seed}, metrics, name=f"{model}/seed{seed}/merge/{step}")


def compress(model: str, seed: int = 0, method: str = "float32", *, file_bytes: int = 400_000, **more: Any) -> Job:
    subject = {"model": model, "seed": seed, "method": method}
    metrics = {
        "parameters": 98_765,
        "parameters_bytes": 4 * 98_765,
        "multiply_adds": 1_234_567,
        "weights_bytes": file_bytes - 5_000,
        "file_bytes": file_bytes,
        "compressed_bytes": file_bytes - 40_000,
        "compression": "zstd",
        "sparsity": 0.125,
        "weights_sha256": DIGEST,
        **more,
    }
    return make_job(Stage.COMPRESS, subject, metrics)


def latency(batch: int = 1, threads: int = 1, *, p50: float = 2.0, speedup: float = 1.0) -> dict[str, Any]:
    return {
        "batch": batch,
        "threads": threads,
        "p50": p50,
        "p90": 1.1 * p50,
        "p99": 1.5 * p50,
        "runs": 250,
        "speedup": speedup,
        "peak_memory_bytes": 3_000_000,
        "memory_before_bytes": 40_000_000,
    }


def benchmark(
    model: str,
    seed: int = 0,
    method: str = "float32",
    *,
    top1: float = 0.6,
    half_width: float = 0.01,
    device: str = LAPTOP,
    latencies: list[dict[str, Any]] | None = None,
    twin: str | None = None,
    unpack_seconds: float | None = None,
    **more: Any,
) -> Job:
    metrics = {
        "device": device,
        "runtime": "LiteRT",
        "top1": top1,
        "top5": 0.95,
        "top1_interval": [top1 - half_width, top1 + half_width],
        "test_images": 10_000,
        "latencies": [latency()] if latencies is None else latencies,
        **({} if unpack_seconds is None else {"unpack_seconds": unpack_seconds}),
    }
    subject = {"model": model, "seed": seed, "method": method, **({} if twin is None else {"twin": twin})}
    name = f"{model}/seed{seed}/benchmark/{method}"
    return make_job(Stage.BENCHMARK, subject, metrics, **{"name": name, **more})


def copy(original: Job, device: str, *, state: JobState = JobState.DONE) -> Job:
    """The same network measured once more, on another device."""
    metrics = {**(original.metrics or {}), "device": device} if state is JobState.DONE else None
    return dataclasses.replace(
        original,
        id=f"{original.id} on {device}",
        name=f"{original.name}/on-{device}",
        state=state,
        metrics=metrics,
        copy_of=original.id,
        device=device,
    )


def attempt(
    job: Job,
    number: int = 1,
    *,
    worker: str = "ann",
    started: float = 0.0,
    seen: float = 10.0,
    ended: float | None = 10.0,
    steps: tuple[int, int] = (0, 100),
    outcome: Ending | None = Ending.DONE,
) -> Attempt:
    return Attempt(
        job=job.id,
        number=number,
        worker=worker,
        host="host",
        device=LAPTOP,
        started=started,
        seen=seen,
        ended=ended,
        from_step=steps[0],
        to_step=steps[1],
        outcome=outcome,
        error=None,
    )


def small_study() -> tuple[list[Job], list[Attempt]]:
    """Two models on one device, one of them compressed, one death in the training of the other."""
    first, second = train("alexnet-tiny"), train("vit-tiny")
    jobs = [
        first,
        second,
        compress("alexnet-tiny"),
        compress("alexnet-tiny", method="dynamic-int8", file_bytes=100_000),
        compress("vit-tiny", file_bytes=500_000),
        benchmark("alexnet-tiny", top1=0.55),
        benchmark("alexnet-tiny", method="dynamic-int8", top1=0.547, latencies=[latency(p50=1.0, speedup=2.0)]),
        benchmark("vit-tiny", top1=0.612),
    ]
    attempts = [
        attempt(first, worker="ann"),
        attempt(second, 1, worker="bob", started=10, seen=18, ended=78, steps=(0, 70), outcome=Ending.EXPIRED),
        attempt(second, 2, worker="ann", started=78, seen=90, ended=90, steps=(48, 100)),
    ]
    return jobs, attempts


METHODS = ("float32", "dynamic-int8", "prune+dynamic-int8", "slim", "twin-2ep")


def full_study(models: tuple[str, ...] = ("alexnet", "cct", "vit"), seeds: int = 2, apart: float = 0.05) -> Results:
    """A study in which every chart has something to show: seeds, twins, batches, threads, deaths and predictions.

    Args:
        apart: how much more accurate each model is than the one before.
    """
    jobs: list[Job] = []
    attempts: list[Attempt] = []
    kept: dict[str, Predictions] = {}
    for place, model in enumerate(models):
        for seed in range(seeds):
            jobs_of, attempts_of = _training(model, seed, 100.0 * place + 50 * seed)
            jobs += jobs_of
            attempts += attempts_of
            for cut, method in enumerate(METHODS):
                benchmarked = _measured(model, seed, method, top1=0.5 + apart * place + 0.004 * seed - 0.002 * cut)
                jobs += [compress(model, seed, method, file_bytes=400_000 // (1 + cut)), benchmarked]
                kept[benchmarked.id] = guessed(wrong=0.4 + 0.02 * cut, seed=seed + 10 * place)
    return collect("a study", "cifar10", jobs, attempts, predictions=kept)


def guessed(wrong: float, seed: int) -> Predictions:
    """Predictions of 400 images in ten classes, of which about this share is wrong."""
    rng = np.random.default_rng(seed)
    test = datasets.Split.whole(np.zeros((400, 1, 1, 3), np.uint8), np.repeat(np.arange(10), 40).astype(np.int64))
    away = np.where(rng.random(400) < wrong, rng.integers(1, 10, 400), 0)
    return Predictions.of(test, away, (test.labels + away) % 10)


def _measured(model: str, seed: int, method: str, *, top1: float) -> Job:
    quick = 1 + METHODS.index(method)
    return benchmark(
        model,
        seed,
        method,
        top1=top1,
        twin="twin-2ep" if method in ("prune+dynamic-int8", "slim") else None,
        latencies=[
            latency(batch, threads, p50=8.0 * batch / quick / threads, speedup=float(quick))
            for batch in (1, 32)
            for threads in (1, 2)
        ],
    )


def _training(model: str, seed: int, begun: float) -> tuple[list[Job], list[Attempt]]:
    """Four visits by two workers, one of which dies in the third."""
    visits = [train(model, seed, step=50 * number, loss=2.0 / number) for number in range(1, 5)]
    attempts = []
    for number, visit in enumerate(visits):
        at, again = begun + 10 * number, int(number == 2)
        if again:
            died: dict[str, Any] = {"seen": at + 4, "ended": at + 5, "steps": (0, 40), "outcome": Ending.EXPIRED}
            attempts.append(attempt(visit, 1, worker="eve", started=at, **died))
        times: dict[str, Any] = {"started": at + 5 * again, "seen": at + 9, "ended": at + 9}
        attempts.append(attempt(visit, 1 + again, worker=("ann", "bob")[number // 2], steps=(20 * again, 50), **times))
    return visits, attempts
