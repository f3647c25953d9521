"""Whole trainings in relay and in average mode, by two workers in turn that die at moments drawn from a seed."""

from __future__ import annotations

import functools
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.datasets import Split
from models.recipes import Augmentation, Outer, Training, Visit
from models.training import checkpoint
from models.training.averaging import begin_visit, merge, with_statistics
from models.training.trainer import Trainer, TrainState
from tests.support import exact_training

SHARDS = 2
ROUNDS = 2
EPOCHS = 2
OUTER = Outer("nesterov")


class Workers:
    """Two trainers that go on from each other's files.  Neither is ever fresh, so what a state leaves out shows.

    Args:
        seed: of the moments at which they die; None is for ever alive.
    """

    def __init__(self, network: str, seed: int | None) -> None:
        self._trainers = itertools.cycle(_trainers(network))
        self._chance = None if seed is None else np.random.default_rng(seed)

    def visit(self, begin: TrainState, shard: Split, visit: Visit) -> TrainState:
        """The state at the visit's end, whoever died on the way."""
        state = begin
        for _ in range(self._chance.integers(0, 4) if self._chance else 0):
            state = self._dying(state, shard, visit)
        trainer = self.next(state)
        _advance(trainer, shard, visit, visit.last_step, self._pace())
        return trainer.state()

    def next(self, state: TrainState) -> Trainer:
        """The other one of the two, restored from a file of this state."""
        trainer = next(self._trainers)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "state"
            checkpoint.save(state, path, {})
            trainer.restore(checkpoint.load(path)[0])
        return trainer

    def order(self, shards: int) -> list[int]:
        """In which order a round's shards are trained, which must not matter."""
        return list(self._chance.permutation(shards)) if self._chance else list(range(shards))

    def _dying(self, state: TrainState, shard: Split, visit: Visit) -> TrainState:
        """The last checkpoint of a worker that trained on for a while and died."""
        assert self._chance is not None
        trainer = self.next(state)
        saved_at, died_at = sorted(self._chance.integers(state.step, visit.last_step + 1, 2))
        _advance(trainer, shard, visit, saved_at, self._pace())
        saved = trainer.state()
        _advance(trainer, shard, visit, died_at, self._pace())
        return saved

    def _pace(self) -> int:
        return int(self._chance.integers(1, 6)) if self._chance else 16


def relay(network: str, seed: int | None) -> str:
    """Digest of the state at the end of a relay over the shards."""
    workers, state, steps = Workers(network, seed), _first(network), _steps()
    for number in range(ROUNDS * SHARDS):
        round_, shard = divmod(number, SHARDS)
        state = workers.visit(state, _shards()[shard], Visit(round_ * EPOCHS, EPOCHS, number * steps, steps))
    return exact_training.digest(state)


def average(network: str, seed: int | None) -> str:
    """Digest of the merged state and of the replicas at the end of an average mode."""
    workers, fresh, steps = Workers(network, seed), _first(network), _steps()
    merged: TrainState | None = None
    replicas: dict[int, TrainState] = {}
    for round_ in range(ROUNDS):
        for shard in workers.order(SHARDS):
            begin = begin_visit(fresh, merged, replicas.get(shard), seed=0, shard=shard)
            visit = Visit(round_ * EPOCHS, EPOCHS, round_ * steps, steps)
            replicas[shard] = workers.visit(begin, _shards()[shard], visit)
        merged = merge([replicas[shard] for shard in range(SHARDS)], merged or fresh, OUTER)
        model = workers.next(begin_visit(fresh, merged, None, seed=0, shard=0)).model
        merged = with_statistics(model, merged, _shards()[0])
    return " ".join(exact_training.digest(state) for state in (merged, replicas[0], replicas[1]) if state)


MODES: dict[str, Callable[[str, int | None], str]] = {"relay": relay, "average": average}


def outcome(mode: str, network: str, seed: int | None = None) -> str:
    """Digest at the end of a training whose workers die at moments of this seed; None is undisturbed."""
    return MODES[mode](network, seed)


def _advance(trainer: Trainer, shard: Split, visit: Visit, stop: int, pace: int) -> None:
    """To `stop` or, where the calls are cut otherwise, beyond."""
    moves = trainer.advance(shard, visit, steps_per_call=pace)
    while trainer.step < stop:
        next(moves)


@functools.cache
def _trainers(network: str) -> list[Trainer]:
    return [_trainer(network) for _ in range(2)]


@functools.cache
def _first(network: str) -> TrainState:
    return _trainer(network).state()


def _trainer(network: str) -> Trainer:
    recipe = exact_training.RECIPE.replace(augmentation=Augmentation(mixup=0.4), **exact_training.AVERAGED)
    training = Training(network, recipe, 0, 4, (16, 16, 3), ROUNDS * SHARDS * _steps())
    return Trainer(training, build=exact_training.NETWORKS[network])


@functools.cache
def _shards() -> list[Split]:
    whole = exact_training.shard()
    return [whole.take(np.arange(first, len(whole), SHARDS)) for first in range(SHARDS)]


def _steps() -> int:
    return EPOCHS * exact_training.RECIPE.steps_per_epoch(len(_shards()[0]))
