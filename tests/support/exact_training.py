"""Two small networks, and trainings of them that stop and go on in every way; run in processes of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.datasets import Split
from models.pruning import Pruning
from models.recipes import Augmentation, Recipe, Training, Visit
from models.training import checkpoint
from models.training.distillation import Teacher
from models.training.trainer import Trainer, TrainState

IMAGES = 150
EVERYTHING = Augmentation(cutout=4, mixup=0.4, cutmix=1.0, randaugment=2, erasing=0.5, repeats=2)
RECIPE = Recipe(batch_size=16, learning_rate=3e-3, augmentation=EVERYTHING)
AVERAGED: dict[str, Any] = {"ema": 0.9}
"""A change of the recipe: the proofs of exactness keep a moving average besides."""
PRUNING = Pruning(sparsity=0.8, end=0.75, interval=4)
"""Masks are made anew after steps 0, 4, 8 and 12."""
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


def trainer(network: str, precision: str = "float32", *, compressed: bool = False, **changes: Any) -> Trainer:
    """A fresh trainer; `changes` are of the recipe.

    Args:
        compressed: pruned while it trains, and taught by the other network.
    """
    training = Training(network, RECIPE.replace(**changes), 0, 4, (16, 16, 3), VISIT.steps)
    build, teacher = NETWORKS[network], Teacher(_other(network), 4.0, 0.5) if compressed else None
    return Trainer(training, build=build, precision=precision, pruning=PRUNING if compressed else None, teacher=teacher)


def _other(network: str) -> Any:
    (other,) = NETWORKS.keys() - {network}
    return trainer(other).model


def weights_after(
    network: str,
    steps_per_call: int = 16,
    stops: Sequence[int] = (),
    precision: str = "float32",
    **changes: Any,
) -> str:
    """Digest at the visit's end; at each stop a fresh trainer takes over.  `changes` are as `trainer`'s."""
    changes = {**AVERAGED, **changes}
    current = trainer(network, precision, **changes)
    for stop in stops:
        state = run(current, stop, steps_per_call)
        current = trainer(network, precision, **changes)
        current.restore(state)
    return digest(run(current, VISIT.last_step, steps_per_call))


def digest(state: TrainState) -> str:
    """The digest of the whole state: a difference in what only later steps depend on shows too."""
    found = hashlib.sha256(str(state.step).encode())
    for key, array in sorted(state.arrays.items()):
        found.update(f"{key} {array.dtype} {array.shape}".encode() + array.tobytes())
    return found.hexdigest()


def run(current: Trainer, stop: int, steps_per_call: int = 1) -> TrainState:
    """The state at the first call that ends at `stop` or later."""
    for progress in current.advance(shard(), VISIT, steps_per_call=steps_per_call):
        if progress.step >= stop:
            break
    return current.state()


def save_at(network: str, stop: int, path: Path, *, compressed: bool = False) -> None:
    checkpoint.save(run(trainer(network, compressed=compressed, **AVERAGED), stop), path, {})


def weights_after_resuming(network: str, path: Path, *, compressed: bool = False) -> str:
    state, _ = checkpoint.load(path)
    current = trainer(network, compressed=compressed, **AVERAGED)
    current.restore(state)
    return digest(run(current, VISIT.last_step, steps_per_call=5))
