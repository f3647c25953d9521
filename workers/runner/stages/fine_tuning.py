"""A fine-tuning: a compress job that changes a trained network by one transform, and trains it on as it is then.

Without a transform it is a dense twin: what the same steps alone are worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from models import datasets
from models.architectures import catalog
from models.compression.channel_spaces import Widths
from models.compression.narrowing import narrowed_builder
from models.compression.slimming import slim
from models.datasets import Split
from models.pruning import TWO_OF_FOUR, Pruning
from models.recipes import Training, Visit
from models.runtime import precision
from models.training import checkpoint
from models.training.trainer import (
    Arrays,
    StateMismatch,
    Trainer,
    TrainState,
    fresh_network,
    inference_weights,
    load_weights,
    network_weights,
)
from workers.runner.connection import Connection
from workers.runner.libraries import RunnerKind, wanted
from workers.runner.messages import CheckpointDiscarded, Finished, Progress, RunJob, Stopped
from workers.runner.stages import Later, Outcome
from workers.runner.stages.states import (
    InputUnusable,
    network_of,
    provenance_of,
    teacher_of,
    training_digest,
    widths_of,
)
from workers.runner.stages.visiting import Trains, go_through

_SCORED_IMAGES = 1000
"""How many training images say which channels a network misses least: more change little, and cost time."""


class _Tuner(Trains, Protocol):
    """What trains, and can go on from a state."""

    def restore(self, state: TrainState) -> None: ...


@dataclass(frozen=True, eq=False)
class _Start:
    """What a fine-tuning begins with."""

    widths: Widths
    weights: Mapping[str, NDArray[Any]]
    """By the keys of a state, `model/...`."""


def run(job: RunJob, connection: Connection) -> Later | Stopped | CheckpointDiscarded:
    """Transform the network of the input `trained` and train it.

    The outputs are the `state` at the end and, unless it is a dense twin, the network as `keras`.

    Raises:
        InputUnusable: `trained` or `teacher` is damaged or another network's; there is no other to go back to.
        CannotSlim: the network cannot be made as small as is asked for.
        CannotPrune: nothing of the network can be pruned as is asked for.
        CannotTune, NotTheSame: legacy Keras or tensorflow-model-optimization cannot do it to this network.
    """
    training, visit = Training.from_dict(job.spec["training"]), Visit(**job.spec["visit"])
    images = datasets.joined([datasets.load_split(Path(job.inputs[name])) for name in _shards(job)])
    try:
        trainer, widths = _resumed(job, training) if job.state else _begun(job, training, images, connection)
    except (checkpoint.CheckpointDamaged, StateMismatch) as error:
        return CheckpointDiscarded(job.job, str(error))
    ended = go_through(visit, trainer, images, job, provenance_of(job, training, widths), connection)
    if isinstance(ended, Stopped) or not job.spec["transform"]:
        return ended
    # Now, and not later: the next job may train the same network on.
    path = Path(job.directory) / "model.keras"
    network_of(trainer.state(), widths, training.architecture, training.image_shape, training.classes).save(path)
    return lambda: _with_network(ended(), path)


def _with_network(outcome: Outcome, path: Path) -> Outcome:
    """What ended, with the network for those who go on in Keras."""
    assert isinstance(outcome, Finished), "only a fine-tuning at its end has something left to do"
    return replace(outcome, outputs={**outcome.outputs, "keras": str(path)})


def _shards(job: RunJob) -> list[str]:
    """The names of the inputs with training images, in the order of the shards: the tenth comes after the ninth."""
    return [f"shard{shard}" for shard in range(sum(name.startswith("shard") for name in job.inputs))]


def _resumed(job: RunJob, training: Training) -> tuple[_Tuner, Widths]:
    """The network at the job's checkpoint.

    Raises:
        CheckpointDamaged: the file is not a whole state.
        StateMismatch: it is of another fine-tuning.
    """
    state, made_by = checkpoint.load(Path(str(job.state)))
    if made_by.get("training") != training_digest(training):
        raise StateMismatch("The state is of another training: another recipe, seed, or length.")
    widths = widths_of(made_by)
    trainer = _legacy(job, training, widths, state.arrays) or _trainer(job, training, widths)
    trainer.restore(state)
    return trainer, widths


def _begun(job: RunJob, training: Training, images: Split, connection: Connection) -> tuple[_Tuner, Widths]:
    try:
        state, made_by = checkpoint.load(Path(job.inputs["trained"]))
        start = _transformed(job, training, state, widths_of(made_by), images, connection)
        if (tuner := _legacy(job, training, start.widths, start.weights)) is not None:
            return tuner, start.widths
        trainer = _trainer(job, training, start.widths)
        load_weights(trainer.model, start.weights)
    except (checkpoint.CheckpointDamaged, StateMismatch) as error:
        raise InputUnusable(f"The input 'trained' cannot be fine-tuned: {error}") from error
    return trainer, start.widths


def _transformed(
    job: RunJob, training: Training, state: TrainState, widths: Widths, images: Split, connection: Connection
) -> _Start:
    transform = job.spec["transform"] or {}
    if transform.get("method") != "slim":
        return _Start(widths, inference_weights(state))
    assert not widths, "a pipeline slims once, and first"
    connection.progress(Progress(job.job, 0, job.spec["visit"]["steps"], note="slimming"))
    network = fresh_network(training.architecture, training.image_shape, training.classes)
    load_weights(network, inference_weights(state))
    scored = datasets.subset(images, min(_SCORED_IMAGES, len(images)), training.seed)
    slimmed = slim(
        network,
        scored.images,
        scored.labels,
        keep_parameters=transform["keep_parameters"],
        keep_multiply_adds=transform["keep_multiply_adds"],
        criterion=transform["criterion"],
    )
    return _Start(slimmed.widths, network_weights(slimmed.network))


def _trainer(job: RunJob, training: Training, widths: Widths) -> Trainer:
    transform = job.spec["transform"] or {}
    return Trainer(
        training,
        build=narrowed_builder(catalog.get(training.architecture).build, widths),
        precision=precision(),
        pruning=_pruning(transform),
        teacher=teacher_of(job, transform, training) if transform.get("method") == "distil" else None,
    )


def _legacy(job: RunJob, training: Training, widths: Widths, weights: Arrays) -> _Tuner | None:
    """What tunes with tensorflow-model-optimization, if the job is for it; this runner has legacy Keras then."""
    if wanted(job.spec) is not RunnerKind.LEGACY:
        return None
    from models.compression.legacy.tuner import Tuner

    options = dict(job.spec["transform"])
    build = narrowed_builder(catalog.get(training.architecture).build, widths)
    tuner: _Tuner = Tuner(options.pop("method"), training, options, weights, build=build)
    return tuner


def _pruning(transform: Mapping[str, Any]) -> Pruning | None:
    match transform.get("method"):
        case "prune":
            return Pruning.from_dict({"sparsity": transform["sparsity"], "layers": transform["layers"]})
        case "prune-2:4":
            return Pruning.from_dict({"pattern": TWO_OF_FOUR, "layers": transform["layers"]})
    return None
