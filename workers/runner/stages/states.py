"""The states of a training that jobs pass on: which training a state is of, and states that are inputs of a job.

`models.training.checkpoint` knows the file.  The state that a job begins with is the stage's own matter: another may
replace it.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import keras

from models.compression.channel_spaces import Widths
from models.compression.narrowing import narrowed
from models.failures import PermanentFailure
from models.recipes import Training
from models.runtime import device_description, precision
from models.training import checkpoint
from models.training.distillation import Teacher
from models.training.trainer import (
    StateMismatch,
    Trainer,
    TrainState,
    fresh_network,
    inference_weights,
    load_weights,
)
from workers.runner.messages import RunJob

_WIDTHS = "widths"
"""Where a state's provenance has the widths of a slimmed network, as JSON."""


class InputUnusable(PermanentFailure):
    """A state that a job cannot do without is damaged, or is not the one that was planned."""


def training_digest(training: Training) -> str:
    """The name of a training in the provenance of its states."""
    return hashlib.sha256(json.dumps(training.to_dict(), sort_keys=True).encode()).hexdigest()


@functools.lru_cache(maxsize=1)
def first_state(training: Training) -> TrainState:
    """The state that a training begins with, from its seed."""
    return Trainer(training, precision=precision()).state()


def widths_of(made_by: Mapping[str, str | int]) -> Widths:
    """What a state's network has less of than its architecture, by its provenance; nothing unless it was slimmed.

    Raises:
        StateMismatch: the provenance says something else there.
    """
    try:
        widths = json.loads(str(made_by.get(_WIDTHS, "{}")))
        assert all(isinstance(changed, dict) for changed in widths.values()), "a layer's changes are a mapping"
    except (ValueError, AttributeError, AssertionError) as error:
        raise StateMismatch(f"The state does not say how wide its network is ({error}).") from error
    return cast("Widths", widths)


def provenance_of(job: RunJob, training: Training, widths: Widths | None = None) -> checkpoint.Provenance:
    """What is written into every state that the job leaves."""
    # The job's id makes its files its own: two jobs of equal bits would share one, which either might delete.
    made_by = {**device_description(), "training": training_digest(training), "job": job.job}
    return {**made_by, _WIDTHS: json.dumps(widths, sort_keys=True)} if widths else made_by


def input_state(job: RunJob, name: str, training: Training, training_step: int) -> TrainState:
    """The state that is a job's input of this name, at this training step.

    Raises:
        InputUnusable: it is damaged, of another training or at another training step; the message says which input.
    """
    try:
        state, made_by = checkpoint.load(Path(job.inputs[name]))
    except checkpoint.CheckpointDamaged as error:
        raise InputUnusable(f"The input {name!r} is damaged: {error}") from error
    if made_by.get("training") != training_digest(training):
        raise InputUnusable(f"The input {name!r} is of another training; plan the study again.")
    if state.step != training_step:
        raise InputUnusable(f"The input {name!r} is at step {state.step}, not {training_step}; plan the study again.")
    return state


def network_at(
    path: Path, architecture: str, image_shape: tuple[int, int, int], classes: int
) -> tuple[Any, TrainState]:
    """The network of a state's file with its weights, as wide as it is, and the state.

    Raises:
        CheckpointDamaged: the file is not a whole state.
        StateMismatch: it is of another network.
    """
    state, made_by = checkpoint.load(path)
    return network_of(state, widths_of(made_by), architecture, image_shape, classes), state


def network_of(
    state: TrainState, widths: Widths, architecture: str, image_shape: tuple[int, int, int], classes: int
) -> Any:
    """The float32 network of a state, as wide as it is.  Raises StateMismatch: it is another network's."""
    network = fresh_network(architecture, image_shape, classes)
    if widths:
        network = narrowed(keras, network, widths)
    load_weights(network, inference_weights(state))
    return network


def teacher_of(job: RunJob, told: Mapping[str, Any], training: Training) -> Teacher:
    """The trained network of the job's input `teacher`, with what the spec says of it.

    Args:
        told: the teacher's architecture as `teacher`, its `temperature` and its `soft_share` of the loss.

    Raises:
        InputUnusable: the state is damaged or another network's; there is no other to go back to.
        CannotTeach: it was trained on other images.
    """
    try:
        network, _ = network_at(Path(job.inputs["teacher"]), told["teacher"], training.image_shape, training.classes)
    except (checkpoint.CheckpointDamaged, StateMismatch) as error:
        raise InputUnusable(f"The input 'teacher' is no teacher: {error}") from error
    return Teacher(network, told["temperature"], told["soft_share"])


def trained_state(job: RunJob) -> TrainState:
    """The last state of a training, which a job has as its input `state`.

    Raises:
        CheckpointDamaged: it is no whole file of a state.
    """
    assert job.state is not None, "a job that rebuilds a network has the last state of a training as its input"
    state, _ = checkpoint.load(Path(job.state))
    return state
