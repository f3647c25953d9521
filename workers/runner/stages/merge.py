"""A merge job: it makes one network of those trained on a round's shards, for the next round to begin with."""

from __future__ import annotations

import functools
import time
from pathlib import Path

from models import datasets
from models.recipes import Outer, Training
from models.runtime import device_description
from models.training import averaging, checkpoint
from models.training.trainer import Trainer, TrainState, weights_digest
from workers.runner.connection import Connection
from workers.runner.messages import Finished, Progress, RunJob
from workers.runner.stages.states import first_state, input_state, provenance_of

_trainer = functools.lru_cache(maxsize=1)(Trainer)
"""The network whose statistics are taken: the next merge of this training need not build it again."""


def run(job: RunJob, connection: Connection) -> Finished:
    """Write the merged state as the output `state`; a merge that is stopped begins again.

    Raises:
        InputUnusable: a state that it reads is damaged or of another training; there is no other to go back to.
    """
    began = time.monotonic()
    training = Training.from_dict(job.spec["training"])
    replicas = [input_state(job, name, training, job.spec["step"]) for name in _replicas(job)]
    connection.progress(Progress(job.job, 0, 1, note=f"merging {len(replicas)}"))
    merged = averaging.merge(replicas, _before(job, training), Outer(**job.spec["averaging"]["outer"]))
    state = _with_statistics(merged, training, datasets.load_split(Path(job.inputs["shard"])))
    path = Path(job.directory) / "state.safetensors"
    checkpoint.save(state, path, provenance_of(job, training))
    return Finished(
        job=job.job,
        outputs={"state": str(path)},
        metrics={
            "step": state.step,
            "weights_sha256": weights_digest(state),
            "seconds": time.monotonic() - began,
            "device": device_description()["device"],
        },
    )


def _replicas(job: RunJob) -> list[str]:
    """The names of the inputs to merge, in the order of their shards: the tenth comes after the ninth."""
    count = sum(name.startswith("replica") for name in job.inputs)
    return [f"replica{shard}" for shard in range(count)]


def _before(job: RunJob, training: Training) -> TrainState | None:
    """The state that the round began with, if the outer optimizer needs it: in the first round, the first weights."""
    if job.spec["averaging"]["outer"]["optimizer"] == "mean":
        return None
    if "previous" not in job.inputs:
        return first_state(training)
    return input_state(job, "previous", training, job.spec["first_step"])


def _with_statistics(merged: TrainState, training: Training, shard: datasets.Split) -> TrainState:
    """The merged state with the statistics of batch normalisation that its weights have.

    Everything in the network is set first, dropout's generators too: the pass must not depend on earlier merges.
    """
    trainer = _trainer(training)
    trainer.restore(averaging.begin_visit(first_state(training), merged, None, seed=training.seed, shard=0))
    return averaging.with_statistics(trainer.model, merged, shard)
