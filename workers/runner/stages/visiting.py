"""A visit as a job: the steps of a training from its first to its last, with a checkpoint whenever one is due.

With which weights it begins is for the stages that train: `train` and `fine_tuning`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from models.datasets import Split
from models.recipes import Visit
from models.runtime import device_description
from models.training import checkpoint, trainer
from models.training.trainer import TrainState, weights_digest
from workers.runner.connection import Connection
from workers.runner.messages import CheckpointWritten, Finished, Progress, RunJob, Stopped
from workers.runner.stages import Later


class Trains(Protocol):
    """A network at some step of its training: `models.training.trainer.Trainer`, or what trains as it does."""

    @property
    def step(self) -> int: ...

    def state(self) -> TrainState: ...

    def advance(self, shard: Split, visit: Visit) -> Iterator[trainer.Progress]: ...


def go_through(
    visit: Visit,
    network: Trains,
    images: Split,
    job: RunJob,
    provenance: checkpoint.Provenance,
    connection: Connection,
) -> Later | Stopped:
    """Train to the visit's end, and give the state there as the output `state`.

    States are copied to host memory, which is all that the device waits for; files are written later.
    """
    clock = _StepClock()
    loss = None
    for done in network.advance(images, visit):
        clock.count(done.images)
        loss = done.loss
        connection.progress(Progress(job.job, done.step - visit.first_step, visit.steps, loss, clock.images_per_second))
        if done.step == visit.last_step:
            break
        stopping = connection.stop_asked()
        if stopping or connection.checkpoint_due(job.checkpoint_policy):
            _take_checkpoint(job, network, visit, provenance, connection)
            clock.resume()
        if stopping:
            return Stopped(job.job)
    return _after(job, network, loss, clock, provenance, connection)


def _take_checkpoint(
    job: RunJob, network: Trains, visit: Visit, provenance: checkpoint.Provenance, connection: Connection
) -> None:
    state = _in_memory(network, connection)
    job_step = network.step - visit.first_step
    connection.later(job, lambda: _written(job, state, job_step, provenance))


def _in_memory(network: Trains, connection: Connection) -> TrainState:
    """Copy the state of now to host memory, which is all that training stands still for."""
    began = time.monotonic()
    state = network.state()
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
    network: Trains,
    loss: float | None,
    clock: _StepClock,
    provenance: checkpoint.Provenance,
    connection: Connection,
) -> Later:
    state = _in_memory(network, connection)
    metrics = {
        "step": network.step,
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
