"""The states of a training that jobs pass on: which training a state is of, and states that are inputs of a job.

`models.training.checkpoint` knows the file.  The state that a job begins with is the stage's own matter: another may
replace it.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

from models.failures import PermanentFailure
from models.recipes import Training
from models.runtime import precision
from models.training import checkpoint
from models.training.trainer import Trainer, TrainState
from workers.runner.messages import RunJob


class InputUnusable(PermanentFailure):
    """A state that a job cannot do without is damaged, or is not the one that was planned."""


def training_digest(training: Training) -> str:
    """The name of a training in the provenance of its states."""
    return hashlib.sha256(json.dumps(training.to_dict(), sort_keys=True).encode()).hexdigest()


@functools.lru_cache(maxsize=1)
def first_state(training: Training) -> TrainState:
    """The state that a training begins with, from its seed."""
    return Trainer(training, precision=precision()).state()


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


def trained_state(job: RunJob) -> TrainState:
    """The last state of a training, which a job has as its input `state`.

    Raises:
        CheckpointDamaged: it is no whole file of a state.
    """
    assert job.state is not None, "a job that rebuilds a network has the last state of a training as its input"
    state, _ = checkpoint.load(Path(job.state))
    return state
