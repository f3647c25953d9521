"""Replicas of one training, each advanced over another shard, made one again; and how the next visits begin from it.

Pure functions of states, but for `recompute_statistics`, which runs a network.  Which replicas are merged when is the
plan's; the files are `models.training.checkpoint`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models.datasets import Split
from models.keyed_random import Purpose, blocks
from models.recipes import Outer
from models.training.trainer import (
    AVERAGE,
    LOSS_SCALE,
    MODEL,
    OPTIMIZER,
    RANDOM,
    StateMismatch,
    TrainState,
    inference_weights,
    load_weights,
    network_weights,
)

OUTER = "outer/"
"""Prefix of the outer optimizer's momentum in a merged state; the rest of the key is the weight's path."""

_ITERATION = f"{OPTIMIZER}iteration"
_GENERATORS_PER_SHARD = 1 << 12
"""More dropout layers than a network has; decides the keys of the generators, so never change it."""


def merge(replicas: Sequence[TrainState], previous: TrainState | None, outer: Outer) -> TrainState:
    """The weights that the next round begins with (`model/...`), and the outer optimizer's momentum (`outer/...`).

    The mean is taken in float64 in the order of the shards, so that the bits do not depend on who trained which shard
    or was done first.  With "mean" it is the result.  With "nesterov" it is where a step goes to from the weights that
    the round began with: Douillard et al., "DiLoCo: distributed low-communication training of language models", 2023.

    A moving average of the weights (`average/...`) becomes the replicas' mean under either outer optimizer: it trails
    behind the weights, and takes the outer step up in the rounds after.

    Args:
        replicas: in the order of their shards, all at one step.
        previous: what the round began with; only its weights and momentum are read.  "mean" needs none.

    Raises:
        StateMismatch: they are of different networks or at different steps, or differ in whole numbers.
    """
    if unlike := sorted({replica.step for replica in replicas[1:]} - {replicas[0].step}):
        raise StateMismatch(f"Replicas at steps {replicas[0].step} and {unlike[0]} cannot be merged.")
    mean = _mean([_weights(replica) for replica in replicas])
    merged = {key: value.astype(replicas[0].arrays[key].dtype) for key, value in mean.items()}
    if outer.optimizer == "mean":
        return TrainState(replicas[0].step, merged)
    if previous is None:
        raise StateMismatch("Nesterov's momentum needs the weights that the round began with.")
    return TrainState(replicas[0].step, merged | _nesterov(previous.arrays, mean, outer))


def begin_visit(
    fresh: TrainState, merged: TrainState | None, own: TrainState | None, *, seed: int, shard: int
) -> TrainState:
    """What a trainer restores to go on from a merged state over one shard.

    The weights are the merged ones.  The optimizer goes on from `own`, the state that this shard's visit before ended
    in, or begins anew at the merged step of its schedule.  Dropout's generators are keyed by (seed, step, shard):
    replicas that began alike would otherwise drop the same units.

    Args:
        fresh: of a trainer at its first weights.
        merged: None in the first round, which begins with the first weights.
        own: None to begin the optimizer anew.
    """
    begun = merged or fresh
    inner = own or fresh
    arrays = {key: array for key, array in inner.arrays.items() if key.startswith((OPTIMIZER, LOSS_SCALE))}
    if own is None:
        arrays[_ITERATION] = np.full_like(arrays[_ITERATION], begun.step)
    generators = sorted(key for key in fresh.arrays if key.startswith(RANDOM))
    arrays |= {
        key: _generator(fresh.arrays[key], seed, begun.step, shard * _GENERATORS_PER_SHARD + number)
        for number, key in enumerate(generators)
    }
    return TrainState(begun.step, {**_weights(begun), **arrays})


def recompute_statistics(model: Any, shard: Split, images: int = 4096, batch: int = 256) -> None:
    """Set the moving statistics of a network's batch normalisations to the means over a fixed pass.

    The mean of replicas' statistics is not the statistics of the mean of their weights.  The pass is over the shard's
    first images in their order, as they are: that is what the network will be asked about.  Each statistic becomes
    the plain mean over all batches (the k-th batch is averaged in with weight 1/k).  A network without batch
    normalisation is left as it is.
    """
    # The layers inside of a person's own layers too, which `layers` does not list.
    every = model._flatten_layers(include_self=False)
    layers = [layer for layer in every if isinstance(layer, keras.layers.BatchNormalization)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    batches = max(1, min(images, len(shard)) // batch)
    for number in range(batches):
        for layer in layers:
            layer.momentum = number / (number + 1)
        model(shard.images[number * batch : (number + 1) * batch].astype(np.float32), training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def with_statistics(model: Any, state: TrainState, shard: Split) -> TrainState:
    """The state with the statistics of batch normalisation that its weights have, and those its moving average has.

    `model` is left with the state's weights; its dropout has gone on from where it stood, so set it first.
    """
    arrays = dict(state.arrays)
    own = {key: array for key, array in arrays.items() if key.startswith(MODEL)}
    averaged = any(key.startswith(AVERAGE) for key in arrays)
    for prefix, weights in [(AVERAGE, inference_weights(state))] * averaged + [(MODEL, own)]:
        load_weights(model, weights)
        recompute_statistics(model, shard)
        found = {prefix + key.removeprefix(MODEL): array for key, array in network_weights(model).items()}
        arrays |= {key: array for key, array in found.items() if key in arrays}
    return TrainState(state.step, arrays)


def _weights(state: TrainState) -> dict[str, NDArray[Any]]:
    return {key: array for key, array in state.arrays.items() if key.startswith((MODEL, AVERAGE))}


def _mean(replicas: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """float64, but for whole numbers, which are the same in all."""
    first = replicas[0]
    for other in replicas[1:]:
        if _shapes(first) != _shapes(other):
            raise StateMismatch("Replicas of different networks cannot be merged.")
    return {key: _mean_of(key, [replica[key] for replica in replicas]) for key in first}


def _shapes(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    return {key: (array.shape, array.dtype) for key, array in arrays.items()}


def _mean_of(key: str, arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    if not _is_real(arrays[0]):
        if not all(np.array_equal(arrays[0], other) for other in arrays[1:]):
            raise StateMismatch(f"Replicas differ in {key!r}, whole numbers that have no mean.")
        return arrays[0]
    total = arrays[0].astype(np.float64)
    for other in arrays[1:]:
        total += other
    return total / len(arrays)


def _nesterov(
    before: Mapping[str, NDArray[Any]], mean: Mapping[str, NDArray[Any]], outer: Outer
) -> dict[str, NDArray[Any]]:
    """The outer gradient is how far the replicas have moved on average, taken backwards."""
    keys = [key for key in mean if key.startswith(MODEL)]
    if {key for key in before if key.startswith(MODEL)} != set(keys):
        raise StateMismatch("The replicas are of another network than the state that they began with.")
    stepped: dict[str, NDArray[Any]] = {}
    for key in keys:
        if not _is_real(mean[key]):
            continue
        gradient = before[key].astype(np.float64) - mean[key]
        name = OUTER + key.removeprefix(MODEL)
        stepped[name] = outer.momentum * before.get(name, 0.0) + gradient
        weights = before[key] - outer.learning_rate * (gradient + outer.momentum * stepped[name])
        stepped[key] = weights.astype(before[key].dtype)
    return stepped


def _is_real(array: NDArray[Any]) -> bool:
    return np.issubdtype(array.dtype, np.floating)


def _generator(like: NDArray[Any], seed: int, step: int, index: int) -> NDArray[Any]:
    words = blocks(seed, step, Purpose.DROPOUT, np.array([index]))[0]
    keyed: NDArray[Any] = (words & np.uint64(0xFFFFFFFF)).astype(like.dtype)[: like.size].reshape(like.shape)
    return keyed
