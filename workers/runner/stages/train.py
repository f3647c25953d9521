"""A train job: one visit of a training to one shard, from the state before to the state after."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models import datasets
from models.recipes import Training, Visit
from models.runtime import device_description, precision
from models.training import averaging, checkpoint
from models.training.trainer import StateMismatch, Trainer, TrainState, weights_digest
from workers.runner.connection import Connection
from workers.runner.messages import CheckpointDiscarded, CheckpointWritten, Finished, Progress, RunJob, Stopped
from workers.runner.stages import Later
from workers.runner.stages.states import first_state, input_state, training_digest

_kept: dict[Training, Trainer] = {}
"""The network of the job before: the next job of its chain need not build and compile it again."""
_shards = functools.lru_cache(maxsize=8)(datasets.load_split)
"""A chain comes back to each of its shards in every round."""


def run(job: RunJob, connection: Connection) -> Later | Stopped | CheckpointDiscarded:
    """Train; take a checkpoint whenever one is due, and the state after the visit as the output `state`.

    States are copied to host memory, which is all that the device waits for; files are written later.
    """
    training, visit = Training.from_dict(job.spec["training"]), Visit(**job.spec["visit"])
    # The job's id makes its files its own: two jobs of equal bits would share one, which either might delete.
    provenance = {**device_description(), "training": training_digest(training), "job": job.job}
    try:
        trainer = _trainer(job, training, visit)
    except (checkpoint.CheckpointDamaged, StateMismatch) as error:
        return CheckpointDiscarded(job.job, str(error))
    clock = _StepClock()
    loss = None
    for done in trainer.advance(_shards(Path(job.inputs["shard"])), visit):
        clock.count(done.images)
        loss = done.loss
        connection.progress(Progress(job.job, done.step - visit.first_step, visit.steps, loss, clock.images_per_second))
        if done.step == visit.last_step:
            break
        stopping = connection.stop_asked()
        if stopping or connection.checkpoint_due(job.checkpoint_policy):
            _take_checkpoint(job, trainer, visit, provenance, connection)
            clock.resume()
        if stopping:
            return Stopped(job.job)
    return _after(job, trainer, loss, clock, provenance, connection)


def _trainer(job: RunJob, training: Training, visit: Visit) -> Trainer:
    """The network at the state's training step, or at its first weights.

    Raises:
        CheckpointDamaged: the file is not a whole state.
        StateMismatch: it is of another training, or of another part of this one.
    """
    if job.follows is not None:
        return _going_on(training, visit)
    restored, made_by = checkpoint.load(Path(job.state)) if job.state else (None, {})
    if restored and made_by.get("training") != training_digest(training):
        raise StateMismatch("The state is of another training: another recipe, seed, or length.")
    if restored and not visit.first_step <= restored.step <= visit.last_step:
        raise StateMismatch(
            f"The state is at step {restored.step}; this visit goes from step {visit.first_step} to {visit.last_step}."
        )
    trainer = _kept.pop(training, None) if restored else None
    _kept.clear()
    if trainer is None:
        trainer = Trainer(training, precision=precision())
    if "averaging" in job.spec and (restored is None or restored.step == visit.first_step):
        restored = _begun(job, training, visit, restored)
    if restored:
        trainer.restore(restored)
    _kept[training] = trainer
    return trainer


def _begun(job: RunJob, training: Training, visit: Visit, merged: TrainState | None) -> TrainState:
    """The state that a visit begins with in average mode: with merged weights, or in the first round the first ones.

    Raises:
        InputUnusable: the optimizer's state of the shard's visit before is damaged or another's.
    """
    own = input_state(job, "own", training, visit.first_step) if "own" in job.inputs else None
    return averaging.begin_visit(first_state(training), merged, own, seed=training.seed, shard=job.spec["shard"])


def _going_on(training: Training, visit: Visit) -> Trainer:
    """The network as the job before has just left it in memory."""
    trainer = _kept.get(training)
    if trainer is None or trainer.step != visit.first_step:
        raise StateMismatch("The job before did not come to its end here.")
    return trainer


def _take_checkpoint(
    job: RunJob, trainer: Trainer, visit: Visit, provenance: checkpoint.Provenance, connection: Connection
) -> None:
    state = _in_memory(trainer, connection)
    job_step = trainer.step - visit.first_step
    connection.later(job, lambda: _written(job, state, job_step, provenance))


def _in_memory(trainer: Trainer, connection: Connection) -> TrainState:
    """Copy the state of now to host memory, which is all that training stands still for."""
    began = time.monotonic()
    state = trainer.state()
    connection.checkpoint_taken(time.monotonic() - began)
    return state


def _written(
    job: RunJob, state: TrainState, job_step: int, provenance: checkpoint.Provenance
) -> CheckpointWritten | None:
    path = Path(job.directory) / f"step{state.step:08d}.safetensors"
    try:
        checkpoint.save(state, path, provenance)
    except OSError as error:
        print(f"The checkpoint at step {state.step} was not written, the training goes on: {error}")
        return None
    return CheckpointWritten(job.job, job_step, str(path))


def _after(
    job: RunJob,
    trainer: Trainer,
    loss: float | None,
    clock: _StepClock,
    provenance: checkpoint.Provenance,
    connection: Connection,
) -> Later:
    state = _in_memory(trainer, connection)
    metrics = {
        "step": trainer.step,
        "loss": loss,
        "images_per_second": clock.images_per_second,
        "seconds": clock.seconds,
        "device": device_description()["device"],
    }
    return lambda: _finished(job, state, metrics, provenance)


def _finished(
    job: RunJob, state: TrainState, metrics: Mapping[str, Any], provenance: checkpoint.Provenance
) -> Finished:
    path = Path(job.directory) / "state.safetensors"
    checkpoint.save(state, path, provenance)
    return Finished(job.job, {"state": str(path)}, {**metrics, "weights_sha256": weights_digest(state)})


class _StepClock:
    """Time spent in training steps, and the rate of images; checkpoints are not counted in."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._images = 0
        self._counted_seconds = 0.0
        self._calls = 0
        self._last = time.monotonic()

    def count(self, images: int) -> None:
        """A compiled call over so many images has ended."""
        now = time.monotonic()
        self.seconds += now - self._last
        self._calls += 1
        if self._calls > 1:  # the first call of a job may be mostly compilation
            self._images += images
            self._counted_seconds += now - self._last
        self._last = now

    def resume(self) -> None:
        """Training steps go on from here: the time since the last one is not theirs."""
        self._last = time.monotonic()

    @property
    def images_per_second(self) -> float | None:
        return self._images / self._counted_seconds if self._counted_seconds else None
