"""A compress job: it makes the trained network into a file for inference, by one method.

The fine-tunings that come before are compress jobs, too, and stand in `workers.runner.stages.fine_tuning`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from models import datasets
from models.architectures import catalog
from models.compression.channel_spaces import Widths
from models.compression.compressed_model import CompressedModel, compress, weighed
from models.compression.narrowing import narrowed_builder
from models.measurement import multiply_adds
from models.recipes import Recipe, Training
from models.training import checkpoint
from models.training.trainer import StateMismatch, TrainState, weights_digest
from workers.runner.connection import Connection
from workers.runner.messages import CheckpointDiscarded, Finished, Progress, RunJob, Stopped
from workers.runner.stages import Later, fine_tuning
from workers.runner.stages.states import network_of, widths_of


def run(job: RunJob, connection: Connection) -> Finished | Later | Stopped | CheckpointDiscarded:
    """Write the network as the output `model`, with metrics that say what it weighs; or fine-tune it first."""
    if "training" in job.spec:
        return fine_tuning.run(job, connection)
    return _exported(job, connection)


def _exported(job: RunJob, connection: Connection) -> Finished | CheckpointDiscarded:
    spec = job.spec
    method = spec.get("export", spec["method"])
    assert job.state is not None, "an export has the last state of a training as its input"
    try:
        state, made_by = checkpoint.load(Path(job.state))
        widths = widths_of(made_by)
        network = network_of(state, widths, spec["architecture"], tuple(spec["image_shape"]), spec["classes"])
    except (checkpoint.CheckpointDamaged, StateMismatch) as error:
        return CheckpointDiscarded(job.job, str(error))
    connection.progress(Progress(job.job, 0, 1, note=f"writing {method}"))
    path = Path(job.directory) / "model.tflite"
    if method == "qat":
        _write_qat(job, state, widths, path)
        made = weighed(method, path, parameters=network.count_params())
    else:
        made = compress(method, network, path, _images(job))
    outputs = {"model": str(_shipped(made, spec))}
    if method == "float32":
        outputs["keras"] = str(Path(job.directory) / "model.keras")
        network.save(outputs["keras"])
    return Finished(
        job=job.job,
        outputs=outputs,
        metrics={
            **dataclasses.asdict(made.sizes),
            **({"ship": spec["ship"]} if "ship" in spec else {}),
            "multiply_adds": multiply_adds.count(network),
            "weights_sha256": weights_digest(state),
        },
    )


def _shipped(made: CompressedModel, spec: Mapping[str, Any]) -> Path:
    """The file that leaves this machine, and that is measured: a study asks for the packed one, or for none."""
    return {"tflite": made.path, "zst": made.packed}[spec.get("ship", "tflite")]


def _write_qat(job: RunJob, state: TrainState, widths: Widths, path: Path) -> None:
    """Write the file of a network that was trained for it; this runner has legacy Keras."""
    from models.compression.legacy.tuner import export_int8

    spec = job.spec
    training = Training(spec["architecture"], Recipe(), spec["seed"], spec["classes"], tuple(spec["image_shape"]), 1)
    export_int8(state, training, path, build=narrowed_builder(catalog.get(training.architecture).build, widths))


def _images(job: RunJob) -> NDArray[Any] | None:
    """The training images that the plan gives the method, as evenly from the classes as there are images."""
    if "shard" not in job.inputs:
        return None
    shard = datasets.load_split(Path(job.inputs["shard"]))
    return datasets.subset(shard, min(job.spec["calibration_images"], len(shard)), job.spec["seed"]).images
