"""Jobs and attempts as a study leaves them in the job table, for the tests of the report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from orchestrator.jobs import Attempt, Ending, Job, JobState, Stage

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
