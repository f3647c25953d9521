"""A benchmark job: accuracy on the test set, latency beside the float32 reference in one process, and peak memory.

How a network is loaded in each runtime stands in `measured_networks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from models import datasets, predictions
from models.measurement.evaluation import accuracy, guesses, label_ranks
from models.measurement.latency import Latency, measure
from models.measurement.memory import PeakMemory
from models.measurement.onnx_runtime import MissingRuntime
from models.predictions import Predictions
from models.training.checkpoint import CheckpointDamaged
from models.training.trainer import StateMismatch
from orchestrator.installation import distribution
from workers.runner.connection import Connection
from workers.runner.messages import CheckpointDiscarded, Finished, Progress, RunJob, Stopped, Unsuitable
from workers.runner.stages.measured_networks import MeasuredNetwork, open_network

_IMAGES_AT_A_TIME = 250
"""How many images are classified between two looks at whether to stop; the accuracy does not depend on it."""


def run(job: RunJob, connection: Connection) -> Finished | Stopped | CheckpointDiscarded | Unsuitable:
    """Measure everything that the spec asks for; a benchmark that is stopped begins again.

    The output `predictions` lets a report compare this network with any other, image by image.

    Raises:
        UnusableModel: the network, or its reference, is no classifier of the test images.
    """
    test = datasets.load_split(Path(job.inputs["test"]))
    try:
        network = open_network(job, test)
    except (CheckpointDamaged, StateMismatch) as error:
        return CheckpointDiscarded(job.job, str(error))
    except MissingRuntime as error:
        onnx = distribution.requirement("onnx")
        return Unsuitable(job.job, f"{error}; install Orch's onnx part: pip install '{onnx}'.")
    return _measured(job, connection, test, network)


def _measured(
    job: RunJob, connection: Connection, test: datasets.Split, network: MeasuredNetwork
) -> Finished | Stopped:
    ways = list(product(job.spec["batch_sizes"], job.spec["threads"]))
    chunks = -(-len(test) // _IMAGES_AT_A_TIME)
    job_steps = chunks + len(ways)

    logits = []
    for done, part in enumerate(_logits(network, test)):
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
        latencies.append(_row(job, network, batch, threads))

    every = np.concatenate(logits)
    right = accuracy(every, test.labels)
    said = Path(job.directory) / "predictions.safetensors"
    Predictions.of(test, label_ranks(every, test.labels), guesses(every)).save(said)
    return Finished(
        job=job.job,
        outputs={predictions.NAME: str(said)},
        metrics={
            "device": network.device,
            "runtime": network.runtime,
            "top1": right.top1,
            "top5": right.top5,
            "top1_interval": list(right.top1_interval),
            "test_images": right.images,
            "latencies": latencies,
            **network.weighs,
        },
    )


def _logits(network: MeasuredNetwork, test: datasets.Split) -> Iterator[Any]:
    classifier = network.candidate(batch=_IMAGES_AT_A_TIME, threads=1)
    for start in range(0, len(test), _IMAGES_AT_A_TIME):
        yield classifier.predict(test.images[start : start + _IMAGES_AT_A_TIME])


def _row(job: RunJob, network: MeasuredNetwork, batch: int, threads: int) -> dict[str, float | int | None]:
    """How long one call takes, and its memory; where the candidate is the reference, it is measured once."""
    candidate, reference = network.candidate(batch, threads), network.reference(batch, threads)
    latency = measure(candidate.run, None if reference is None else reference.run)
    # A study without a float32 network gives each one as its own reference: there is nothing to compare with.
    is_compared = job.spec["method"] == "float32" or reference is not None
    return {
        "batch": batch,
        "threads": threads,
        **_percentiles(latency),
        "speedup": latency.speedup if is_compared else None,
        **_memory(network.peak_memory(batch, threads)),
    }


def _percentiles(latency: Latency) -> dict[str, float | int]:
    return {"p50": latency.p50_ms, "p90": latency.p90_ms, "p99": latency.p99_ms, "runs": latency.runs}


def _memory(measured: PeakMemory | None) -> dict[str, int]:
    """Bytes; nothing where it was not measured."""
    if measured is None:
        return {}
    return {"peak_memory_bytes": measured.network, "memory_before_bytes": measured.before}
