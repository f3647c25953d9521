"""A train job: one visit of a training to one shard, from the state before to the state after."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from pathlib import Path

from models import checkpoint, datasets
from models.recipes import Training, Visit
from models.runtime import device_description
from models.training import StateMismatch, Trainer, weights_digest
from workers.channel import Channel
from workers.messages import CheckpointRefused, Finished, Progress, RunJob, Stopped

_kept: dict[Training, Trainer] = {}
"""The network of the job before: the next job of its chain need not build and compile it again."""


def run(job: RunJob, channel: Channel) -> Finished | Stopped | CheckpointRefused:
    """Train; write a checkpoint whenever one is due, and the state after the visit as the output `state`."""
    training, visit = Training.from_dict(job.spec["training"]), Visit(**job.spec["visit"])
    # The job's id makes its files its own: two jobs of equal bits would share one, which either might delete.
    provenance = {**device_description(), "training": _digest(training), "job": job.job}
    try:
        trainer = _trainer(training, visit, job.state)
    except (checkpoint.CheckpointDamaged, StateMismatch) as error:
        return CheckpointRefused(str(error))
    clock = _StepClock()
    loss = None
    for done in trainer.advance(datasets.load_split(Path(job.inputs["shard"])), visit):
        clock.count(done.images)
        loss = done.loss
        channel.progress(Progress(done.step - visit.first_step, visit.steps, loss, clock.images_per_second))
        if done.step == visit.last_step:
            break
        stopping = channel.stop_asked()
        if stopping or channel.checkpoint_due(job.checkpoint_seconds):
            _write_checkpoint(trainer, visit, Path(job.directory), provenance, channel)
            clock.resume()
        if stopping:
            return Stopped()
    return _finished(trainer, loss, clock, Path(job.directory), provenance)


def _trainer(training: Training, visit: Visit, state: str | None) -> Trainer:
    """The network at the state's step, or at its first weights.

    Raises:
        CheckpointDamaged: the file is not a whole state.
        StateMismatch: it is of another training, or of another part of this one.
    """
    restored, made_by = checkpoint.load(Path(state)) if state else (None, {})
    if restored and made_by.get("training") != _digest(training):
        raise StateMismatch("The state is of another training: another recipe, seed, or length.")
    if restored and not visit.first_step <= restored.step <= visit.last_step:
        raise StateMismatch(
            f"The state is at step {restored.step}; this visit goes from step {visit.first_step} to {visit.last_step}."
        )
    trainer = _kept.pop(training, None) if restored else None
    _kept.clear()
    if trainer is None:
        trainer = Trainer(training)
    if restored:
        trainer.restore(restored)
    _kept[training] = trainer
    return trainer


def _write_checkpoint(
    trainer: Trainer, visit: Visit, directory: Path, provenance: checkpoint.Provenance, channel: Channel
) -> None:
    began = time.monotonic()
    path = directory / f"step{trainer.step:08d}.safetensors"
    try:
        checkpoint.save(trainer.state(), path, provenance)
    except OSError as error:
        print(f"The checkpoint at step {trainer.step} was not written, the training goes on: {error}")
        channel.checkpoint_skipped()
        return
    channel.checkpoint_written(trainer.step - visit.first_step, path, time.monotonic() - began)


def _finished(
    trainer: Trainer, loss: float | None, clock: _StepClock, directory: Path, provenance: checkpoint.Provenance
) -> Finished:
    state = trainer.state()
    path = directory / "state.safetensors"
    checkpoint.save(state, path, provenance)
    return Finished(
        outputs={"state": str(path)},
        metrics={
            "step": trainer.step,
            "loss": loss,
            "images_per_second": clock.images_per_second,
            "seconds": clock.seconds,
            "device": device_description()["device"],
            "weights_sha256": weights_digest(state),
        },
    )


def _digest(training: Training) -> str:
    return hashlib.sha256(json.dumps(dataclasses.asdict(training), sort_keys=True).encode()).hexdigest()


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
        """Steps go on from here: what lies between is not theirs."""
        self._last = time.monotonic()

    @property
    def images_per_second(self) -> float | None:
        return self._images / self._counted_seconds if self._counted_seconds else None
