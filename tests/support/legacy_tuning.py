"""A small fine-tuning in legacy Keras that stops and goes on; a program for a process with legacy Keras and tfmot.

Its arguments are a case of `OPTIONS`, a directory for files, a state to go on from or "-", the step to end at, and
whether to be killed there ("killed") or to print the digest ("ends").  With "unlike" legacy Keras is given another
network.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from models.datasets import Split
from models.pruning import magnitude_mask
from models.recipes import Augmentation, Recipe, Training, Visit
from models.runtime import configure_runtime
from models.training import checkpoint
from models.training.trainer import network_weights
from tests.support.exact_training import digest

IMAGES = 96
RECIPE = Recipe(batch_size=16, learning_rate=3e-3, augmentation=Augmentation(crop_padding=2, cutout=4))
VISIT = Visit(first_epoch=3, epochs=2, first_step=0, steps=2 * RECIPE.steps_per_epoch(IMAGES))
TRAINING = Training("small", RECIPE, 0, 4, (16, 16, 3), VISIT.steps)
OPTIONS: dict[str, dict[str, Any]] = {
    "tfmot-prune": {"sparsity": 0.75, "layers": ("dense", "conv")},
    "cluster": {"clusters": 8, "layers": ("dense", "conv"), "keep_zeros": False},
    "cluster+zeros": {"clusters": 8, "layers": ("dense", "conv"), "keep_zeros": True},
    "qat": {},
}


def small(keras: Any, image_shape: tuple[int, int, int] = (16, 16, 3), classes: int = 4) -> Any:
    """Convolutions with batch norm, and dense layers with dropout."""
    layers = keras.layers
    pixels = keras.Input(image_shape)
    x = layers.Rescaling(1 / 128, offset=-1, name="rescale")(pixels)
    for number, width in enumerate((8, 12), start=1):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"conv{number}")(x)
        x = layers.BatchNormalization(name=f"norm{number}")(x)
        x = layers.MaxPooling2D(name=f"pool{number}")(layers.ReLU(name=f"relu{number}")(x))
    x = layers.Dense(24, activation="relu", name="dense1")(layers.Flatten(name="flatten")(x))
    x = layers.Dropout(0.3, name="dropout")(x)
    return keras.Model(pixels, layers.Dense(classes, name="logits")(x))


def unlike(keras: Any, image_shape: tuple[int, int, int] = (16, 16, 3), classes: int = 4) -> Any:
    """A network that computes something else in legacy Keras."""
    network = small(keras, image_shape, classes)
    if keras.__version__.startswith("2."):
        network.get_layer("rescale").offset = 1
    return network


def shard() -> Split:
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, 16, 16, 3), dtype=np.uint8)
    return Split(images, np.arange(IMAGES) % 4, np.arange(IMAGES) * 5 + 2)


def first_weights(case: str) -> dict[str, Any]:
    """Those of a fresh network; before a clustering that keeps zeros, three quarters of two kernels are zero."""
    keras.utils.set_random_seed(1)
    weights = network_weights(small(keras))
    if case == "cluster+zeros":
        for key in ("model/conv2/kernel", "model/dense1/kernel"):
            weights[key] = weights[key] * magnitude_mask(weights[key], 0.75)
    return weights


def main(case: str, directory: str, begin: str, end: str, ending: str) -> None:
    # Here, because the tests read this module where there is no tfmot.
    from models.compression.legacy.tuner import Tuner, export_int8

    configure_runtime(1)
    method = case.partition("+")[0]
    if begin == "-":
        build = unlike if ending == "unlike" else small
        tuner = Tuner(method, TRAINING, OPTIONS[case], first_weights(case), build=build)
    else:
        state, _ = checkpoint.load(Path(begin))
        tuner = Tuner(method, TRAINING, OPTIONS[case], state.arrays, build=small)
        tuner.restore(state)
    for progress in tuner.advance(shard(), VISIT):
        if progress.step == int(end):
            break
    state = tuner.state()
    checkpoint.save(state, Path(directory) / f"{end}.safetensors", {})
    if ending == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if method == "qat" and state.step == VISIT.last_step:
        export_int8(state, TRAINING, Path(directory) / "model.tflite", build=small)
    print(json.dumps({"digest": digest(state)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
