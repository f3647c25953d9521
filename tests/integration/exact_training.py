"""Two small networks, and trainings of them that stop and go on in every way; run in processes of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from models import checkpoint
from models.averaging import begin_visit, merge, recompute_statistics
from models.datasets import Split
from models.recipes import Augmentation, Outer, Recipe, Training, Visit
from models.training import Trainer, TrainState, weights_digest

IMAGES = 150
RECIPE = Recipe(batch_size=16, learning_rate=3e-3, augmentation=Augmentation(cutout=4, mixup=0.4))
VISIT = Visit(first_epoch=3, epochs=2, first_step=0, steps=2 * RECIPE.steps_per_epoch(IMAGES))


def convolutional(keras: Any, image_shape: tuple[int, int, int] = (16, 16, 3), classes: int = 4) -> Any:
    """Convolution, batch norm and dropout; its layers are named by Keras."""
    layers = keras.layers
    pixels = keras.Input(image_shape)
    x = layers.Rescaling(1 / 128, offset=-1)(pixels)
    for width in (8, 16):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D()(layers.ReLU()(x))
        x = layers.Dropout(0.2)(x)
    return keras.Model(pixels, layers.Dense(classes)(layers.Flatten()(x)))


def attention(keras: Any, image_shape: tuple[int, int, int] = (16, 16, 3), classes: int = 4) -> Any:
    """One transformer block over patches."""
    layers = keras.layers
    pixels = keras.Input(image_shape)
    x = layers.Rescaling(1 / 128, offset=-1)(pixels)
    tokens = layers.Reshape((16, 24))(layers.Conv2D(24, 4, strides=4)(x))
    normal = layers.LayerNormalization()(tokens)
    tokens = tokens + layers.MultiHeadAttention(2, 12, dropout=0.1)(normal, normal)
    tokens = tokens + layers.Dropout(0.1)(layers.Dense(24, activation="gelu")(tokens))
    return keras.Model(pixels, layers.Dense(classes)(layers.GlobalAveragePooling1D()(tokens)))


NETWORKS = {"convolutional": convolutional, "attention": attention}


def shard() -> Split:
    """Random images, numbered like a part of something larger."""
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, 16, 16, 3), dtype=np.uint8)
    return Split(images, np.arange(IMAGES) % 4, np.arange(IMAGES) * 5 + 2)


def trainer(network: str, precision: str = "float32", **changes: Any) -> Trainer:
    """A fresh trainer; `changes` are of the recipe."""
    training = Training(network, RECIPE.replace(**changes), 0, 4, (16, 16, 3), VISIT.steps)
    return Trainer(training, build=NETWORKS[network], precision=precision)


def weights_after(network: str, steps_per_call: int = 16, stops: Sequence[int] = (), precision: str = "float32") -> str:
    """Digest at the visit's end; at each stop a fresh trainer takes over."""
    current = trainer(network, precision=precision)
    for stop in (*stops, VISIT.last_step):
        state = run(current, stop, steps_per_call)
        current = trainer(network, precision=precision)
        current.restore(state)
    return weights_digest(state)


def run(current: Trainer, stop: int, steps_per_call: int = 1) -> TrainState:
    """The state at the first call that ends at `stop` or later."""
    for progress in current.advance(shard(), VISIT, steps_per_call=steps_per_call):
        if progress.step >= stop:
            break
    return current.state()


def save_at(network: str, stop: int, path: Path) -> None:
    checkpoint.save(run(trainer(network), stop), path, {})


def weights_after_resuming(network: str, path: Path) -> str:
    state, _ = checkpoint.load(path)
    current = trainer(network)
    current.restore(state)
    return weights_digest(run(current, VISIT.last_step, steps_per_call=5))


def averaged_weights_after(network: str, stops: Mapping[tuple[int, int], int], rounds: int = 2) -> str:
    """Digest of what two replicas come to, on different parts of the images, after rounds with a merge in each.

    Args:
        stops: steps at which another trainer takes over, by round and shard.
    """
    whole = shard()
    parts = [Split(whole.images[part::2], whole.labels[part::2], whole.indices[part::2]) for part in range(2)]
    steps = RECIPE.steps_per_epoch(len(parts[0]))
    fresh = trainer(network).state()
    merged, own = fresh, cast(list[TrainState | None], [None, None])
    for number in range(rounds):
        visit = Visit(number, 1, number * steps, steps)
        for part, split in enumerate(parts):
            begun = begin_visit(fresh, merged if number else None, own[part], seed=0, shard=part)
            own[part] = _advanced(network, begun, split, visit, stops.get((number, part)))
        merged = _merged(network, fresh, own, merged, parts[0])
    return weights_digest(merged)


def _advanced(network: str, state: TrainState, split: Split, visit: Visit, stop: int | None) -> TrainState:
    for until in (stop, visit.last_step):
        current = trainer(network)
        current.restore(state)
        if until is not None and current.step < until:
            for progress in current.advance(split, visit, steps_per_call=1):
                if progress.step >= until:
                    break
        state = current.state()
    return state


def _merged(network: str, fresh: TrainState, replicas: Sequence[Any], previous: TrainState, split: Split) -> TrainState:
    merged = merge(replicas, previous, Outer("nesterov"))
    current = trainer(network)
    current.restore(begin_visit(fresh, merged, None, seed=0, shard=0))
    recompute_statistics(current.model, split, images=64, batch=16)
    weights = {key: array for key, array in current.state().arrays.items() if key in merged.arrays}
    return TrainState(merged.step, {**merged.arrays, **weights})
