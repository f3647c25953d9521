"""Images a second: our training loop beside `keras.Model.fit`, same network, batch, images, backend and device.

    python benchmarks/images_per_second.py [--rounds 5] [--backend tensorflow] [--backend jax]

Each side has a process of its own, and they take turns: a round is one pass of each over the same images.  The median
ratio of the rounds is printed, so that a noisy machine slows both alike.  Ours augments as the network's recipe says,
in the precision that suits the device, and computes deterministically, as a worker does.  `fit` runs as the backend
comes, and gets the images as float32, with its own shuffling: plain, and for the study's ViT as the example "Image
classification with Vision Transformer" of keras.io (K. Salama, 2021) does it, where layers in front of the network
resize, flip, rotate and zoom.
Aims: never slower than plain `fit`; on a GPU three times as fast as the example (`benchmarks/gpu/run.sh`).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import median
from typing import Any

import numpy as np

from models.architectures import catalog
from models.datasets import Split
from models.recipes import Recipe, Training, Visit
from models.training import backends

IMAGES = 4096
OURS = "ours"
PLAIN = "fit"
EXAMPLE = "keras.io's example"
COMPARED = (("alexnet-tiny", PLAIN), ("vit-tiny", PLAIN), ("vit-paper", PLAIN), ("vit-paper", EXAMPLE))

_one_pass: Callable[[], int]
"""This process's side: it trains on all images once and says on how many."""


@dataclass(frozen=True)
class Side:
    """One way to train a network, in a process of its own."""

    network: str
    way: str
    """`OURS`, `PLAIN` or `EXAMPLE`."""
    backend: str = "tensorflow"
    images: int = IMAGES
    recipe: Recipe | None = None
    """The network's own by default."""
    precision: str | None = None
    """By default what suits the device on our side, and float32, as Keras comes, on the others."""
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def batch(self) -> int:
        return (self.recipe or catalog.get(self.network).recipe).batch_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backend", action="append", choices=backends.NAMES, help="default: each in turn")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    print(f"{'backend':10} {'network':14} {'batch':>5} {'ours':>9} {'other':>9} {'ratio':>7}  beside")
    for backend in arguments.backend or backends.NAMES:
        for network, other in COMPARED:
            compare(Side(network, OURS, backend), Side(network, other, backend), arguments.rounds)


def compare(ours: Side, other: Side, rounds: int) -> None:
    with ExitStack() as ends:
        sides = [ends.enter_context(process(side)) for side in (ours, other)]
        pairs = in_turns(sides, rounds)
    rates = (median(figures) for figures in zip(*pairs, strict=True))
    ratio = median(one / another for one, another in pairs)
    row = (
        f"{ours.backend:10} {ours.network:14} {ours.batch:5} {next(rates):7,.0f}/s {next(rates):7,.0f}/s {ratio:6.2f}x"
    )
    print(f"{row}  {other.way}", flush=True)


def process(side: Side) -> Executor:
    """A process that is ready to train on this side; its first pass compiles."""
    return ProcessPoolExecutor(1, get_context("spawn"), prepare, (side,))


def in_turns(sides: Sequence[Executor], rounds: int) -> list[tuple[float, ...]]:
    """The images a second of all sides, for each round after the first, in which they compile."""
    figures = [tuple(side.submit(images_per_second).result() for side in sides) for _ in range(rounds + 1)]
    return figures[1:]


def prepare(side: Side) -> None:
    global _one_pass
    os.environ.update(side.environment)
    backends.choose(side.backend)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (side.images, 32, 32, 3), dtype=np.uint8)
    split = Split.whole(images, random.integers(0, 10, side.images))
    _one_pass = our_pass(side, split) if side.way == OURS else fit_pass(side, split)


def images_per_second() -> float:
    began = time.perf_counter()
    images = _one_pass()
    return images / (time.perf_counter() - began)


def our_pass(side: Side, split: Split) -> Callable[[], int]:
    from models.runtime import configure_runtime, precision
    from models.training.trainer import Trainer

    configure_runtime(threads=len(os.sched_getaffinity(0)))
    recipe = side.recipe or catalog.get(side.network).recipe
    steps = recipe.steps_per_epoch(len(split))
    training = Training(side.network, recipe, 0, 10, (32, 32, 3), total_steps=100 * steps)
    trainer = Trainer(training, precision=side.precision or precision())

    def one_pass() -> int:
        number = trainer.step // steps
        for _ in trainer.advance(split, Visit(number, 1, number * steps, steps)):
            pass
        return steps * recipe.batch_size

    return one_pass


def fit_pass(side: Side, split: Split) -> Callable[[], int]:
    import keras

    from models.training.optimizers import build_optimizer

    keras.config.set_dtype_policy(side.precision or "float32")
    architecture = catalog.get(side.network)
    recipe = side.recipe or architecture.recipe
    model = architecture.build(keras)
    if side.way == EXAMPLE:
        model = keras.Sequential([keras.Input((32, 32, 3)), *example_augmentation(keras, (32, 32)), model])
    optimizer = build_optimizer(recipe, 10_000, model.trainable_variables, "float32")
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    seen = recipe.steps_per_epoch(len(split)) * recipe.batch_size
    images, labels = split.images[:seen].astype(np.float32), split.labels[:seen]

    def one_pass() -> int:
        model.fit(images, labels, batch_size=recipe.batch_size, epochs=1, verbose=0)
        return seen

    return one_pass


def example_augmentation(keras: Any, size: tuple[int, int]) -> list[Any]:
    """The example's layers, at the images' own size; its normalization is the network's first layer here."""
    layers = keras.layers
    return [
        layers.Resizing(*size),
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(0.02),
        layers.RandomZoom(0.2, 0.2),
    ]


if __name__ == "__main__":
    main()
