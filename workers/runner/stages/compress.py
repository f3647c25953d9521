"""A compress job: it makes the trained network into a file for inference, by one method."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from models import datasets
from models.compression.compressed_model import compress
from models.measurement import multiply_adds
from models.training import checkpoint
from models.training.trainer import StateMismatch, fresh_network, inference_weights, load_weights, weights_digest
from workers.runner.connection import Connection
from workers.runner.messages import CheckpointDiscarded, Finished, Progress, RunJob


def run(job: RunJob, connection: Connection) -> Finished | CheckpointDiscarded:
    """Write the network as the output `model`; the metrics say what it weighs."""
    method = job.spec["method"]
    assert job.state is not None, "a compress job has the last state of a training as its input"
    network = fresh_network(job.spec["architecture"], tuple(job.spec["image_shape"]), job.spec["classes"])
    try:
        state, _ = checkpoint.load(Path(job.state))
        load_weights(network, inference_weights(state))
    except (checkpoint.CheckpointDamaged, StateMismatch) as error:
        return CheckpointDiscarded(job.job, str(error))
    connection.progress(Progress(job.job, 0, 1, note=f"writing {method}"))
    compressed = compress(method, network, Path(job.directory) / "model.tflite", _images(job))
    return Finished(
        job=job.job,
        outputs={"model": str(compressed.path)},
        metrics={
            **dataclasses.asdict(compressed.sizes),
            "multiply_adds": multiply_adds.count(network),
            "weights_sha256": weights_digest(state),
        },
    )


def _images(job: RunJob) -> NDArray[Any] | None:
    """The training images that the plan gives the method, as evenly from the classes as there are images."""
    if "shard" not in job.inputs:
        return None
    shard = datasets.load_split(Path(job.inputs["shard"]))
    return datasets.subset(shard, min(job.spec["calibration_images"], len(shard)), job.spec["seed"]).images
