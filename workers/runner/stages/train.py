"""A train job: one visit of a training to one shard, from the state before to the state after."""

from __future__ import annotations

import functools
import json
from importlib.util import find_spec
from pathlib import Path

import keras

from models import datasets
from models.own_code import reference
from models.recipes import Training, Visit
from models.runtime import precision
from models.training import averaging, checkpoint
from models.training.trainer import StateMismatch, Trainer, TrainState
from workers.runner.connection import Connection
from workers.runner.messages import CheckpointDiscarded, RunJob, Stopped
from workers.runner.stages import Later
from workers.runner.stages.states import first_state, input_state, provenance_of, teacher_of, training_digest
from workers.runner.stages.visiting import go_through

_Key = tuple[Training, str]
_kept: dict[_Key, Trainer] = {}
"""The network of the job before, by its training and its teacher's file: the next job of its chain need not build and
compile it again."""
_shards = functools.lru_cache(maxsize=8)(datasets.load_split)
"""A chain comes back to each of its shards in every round."""


def run(job: RunJob, connection: Connection) -> Later | Stopped | CheckpointDiscarded:
    """Train, with the state after the visit as the output `state`."""
    training, visit = Training.from_dict(job.spec["training"]), Visit(**job.spec["visit"])
    provenance = provenance_of(job, training)
    try:
        trainer = _trainer(job, training, visit)
    except (checkpoint.CheckpointDamaged, StateMismatch) as error:
        return CheckpointDiscarded(job.job, str(error))
    return go_through(visit, trainer, _shards(Path(job.inputs["shard"])), job, provenance, connection)


def _trainer(job: RunJob, training: Training, visit: Visit) -> Trainer:
    """The network at the state's training step, or at its first weights.

    Raises:
        CheckpointDamaged: the file is not a whole state.
        StateMismatch: it is of another training, or of another part of this one.
    """
    if job.follows is not None:
        return _going_on(_key(job, training), visit)
    restored, made_by = checkpoint.load(Path(job.state)) if job.state else (None, {})
    if restored and made_by.get("training") != training_digest(training):
        raise StateMismatch("The state is of another training: another recipe, seed, or length.")
    if restored and not visit.first_step <= restored.step <= visit.last_step:
        raise StateMismatch(
            f"The state is at step {restored.step}; this visit goes from step {visit.first_step} to {visit.last_step}."
        )
    trainer = _kept.pop(_key(job, training), None) if restored else None
    _kept.clear()
    if trainer is None:
        if restored is None:
            _check_own_network(training)
        told = job.spec.get("distil")
        teacher = teacher_of(job, told, training) if told else None
        trainer = Trainer(training, precision=precision(), teacher=teacher)
    if "averaging" in job.spec and (restored is None or restored.step == visit.first_step):
        restored = _begun(job, training, visit, restored)
    if restored:
        trainer.restore(restored)
    _kept[_key(job, training)] = trainer
    return trainer


def _check_own_network(training: Training) -> None:
    """Export a network of a person's own before its training begins: what only fails after it, fails for nothing.

    Raises:
        OwnCodeFault: it does not convert.
    """
    own = reference.parse(training.architecture)
    if own is None or keras.config.backend() != "tensorflow" or find_spec("ai_edge_litert") is None:
        return  # the export is for other workers then, and they say so
    from models.compression import convertibility

    convertibility.check(own, training.image_shape, training.classes)


def _begun(job: RunJob, training: Training, visit: Visit, merged: TrainState | None) -> TrainState:
    """The state that a visit begins with in average mode: with merged weights, or in the first round the first ones.

    Raises:
        InputUnusable: the optimizer's state of the shard's visit before is damaged or another's.
    """
    own = input_state(job, "own", training, visit.first_step) if "own" in job.inputs else None
    return averaging.begin_visit(first_state(training), merged, own, seed=training.seed, shard=job.spec["shard"])


def _key(job: RunJob, training: Training) -> _Key:
    return training, json.dumps([job.spec.get("distil"), job.inputs.get("teacher")])


def _going_on(key: _Key, visit: Visit) -> Trainer:
    """The network as the job before has just left it in memory."""
    trainer = _kept.get(key)
    if trainer is None or trainer.step != visit.first_step:
        raise StateMismatch("The job before did not come to its end here.")
    return trainer
