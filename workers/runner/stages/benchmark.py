"""A benchmark job: accuracy on the test set, latency beside the float32 reference in one process, and peak memory."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from models import datasets, predictions
from models.measurement import memory
from models.measurement.evaluation import accuracy, label_ranks
from models.measurement.latency import Latency, measure
from models.measurement.litert import LiteRTClassifier, UnusableModel
from models.measurement.memory import PeakMemory
from models.predictions import Predictions
from models.runtime import device_description
from orchestrator.installation import own_packages
from workers.runner.connection import Connection
from workers.runner.messages import Finished, Progress, RunJob, Stopped

_IMAGES_AT_A_TIME = 250
"""How many images are classified between two looks at whether to stop; the accuracy does not depend on it."""

_CHILD = own_packages.command(memory.__name__)


def run(job: RunJob, connection: Connection) -> Finished | Stopped:
    """Measure everything that the spec asks for; a benchmark that is stopped begins again.

    The output `predictions` lets a report compare this network with any other, image by image.

    Raises:
        UnusableModel: the network, or its reference, is no classifier of the test images.
    """
    test = datasets.load_split(Path(job.inputs["test"]))
    model = Path(job.inputs["model"])
    ways = list(product(job.spec["batch_sizes"], job.spec["threads"]))
    chunks = -(-len(test) // _IMAGES_AT_A_TIME)
    job_steps = chunks + len(ways)

    logits = []
    for done, part in enumerate(_logits(job, test)):
        if connection.stop_asked():
            return Stopped(job.job)
        connection.progress(Progress(job.job, done, job_steps, note="accuracy"))
        logits.append(part)
    latencies = []
    for done, (batch, threads) in enumerate(ways):
        if connection.stop_asked():
            return Stopped(job.job)
        connection.progress(
            Progress(job.job, chunks + done, job_steps, note=f"latency, batch {batch}, {threads} threads")
        )
        row = _row(job, batch, threads, _latency(job, test, batch, threads))
        latencies.append({**row, **_memory(memory.measure(_CHILD, model, batch=batch, threads=threads))})

    every = np.concatenate(logits)
    right = accuracy(every, test.labels)
    said = Path(job.directory) / "predictions.safetensors"
    Predictions.of(test, label_ranks(every, test.labels)).save(said)
    return Finished(
        job=job.job,
        outputs={predictions.NAME: str(said)},
        metrics={
            "device": device_description()["device"],
            "runtime": f"LiteRT {version('ai-edge-litert')}",
            "top1": right.top1,
            "top5": right.top5,
            "top1_interval": list(right.top1_interval),
            "test_images": right.images,
            "latencies": latencies,
        },
    )


def _logits(job: RunJob, test: datasets.Split) -> Iterator[Any]:
    classifier = _classifier(job, "model", test, batch=_IMAGES_AT_A_TIME)
    for start in range(0, len(test), _IMAGES_AT_A_TIME):
        yield classifier.predict(test.images[start : start + _IMAGES_AT_A_TIME])


def _latency(job: RunJob, test: datasets.Split, batch: int, threads: int) -> Latency:
    """How long one call takes; where the candidate is the reference, it is measured once."""
    candidate = _classifier(job, "model", test, batch, threads)
    if job.inputs["model"] == job.inputs["reference"]:
        return measure(candidate.run)
    return measure(candidate.run, _classifier(job, "reference", test, batch, threads).run)


def _classifier(job: RunJob, name: str, test: datasets.Split, batch: int, threads: int = 1) -> LiteRTClassifier:
    """The job's input of this name, which must tell as many classes apart as the test images have."""
    try:
        loaded = LiteRTClassifier(
            Path(job.inputs[name]), batch=batch, threads=threads, image_shape=test.images.shape[1:]
        )
    except UnusableModel as error:
        raise UnusableModel(f"The input {name!r} cannot be measured. {error}") from error
    if np.max(test.labels) >= loaded.classes:
        raise UnusableModel(
            f"The input {name!r} cannot be measured. It knows {loaded.classes} classes, and the test images have a "
            f"class {np.max(test.labels)}, counted from 0."
        )
    return loaded


def _is_compared(job: RunJob) -> bool:
    """Whether there is a float32 network to compare with: a study without one gives each network as its own."""
    return job.spec["method"] == "float32" or job.inputs["model"] != job.inputs["reference"]


def _row(job: RunJob, batch: int, threads: int, latency: Latency) -> dict[str, float | int | None]:
    return {
        "batch": batch,
        "threads": threads,
        "p50": latency.p50_ms,
        "p90": latency.p90_ms,
        "p99": latency.p99_ms,
        "runs": latency.runs,
        "speedup": latency.speedup if _is_compared(job) else None,
    }


def _memory(measured: PeakMemory | None) -> dict[str, int]:
    """Bytes; nothing where the system does not tell."""
    if measured is None:
        return {}
    return {"peak_memory_bytes": measured.network, "memory_before_bytes": measured.before}
