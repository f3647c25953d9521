"""Images a second on the CPU: our training loop beside plain `keras.Model.fit`, same network, batch and images.

    python benchmarks/images_per_second.py [--rounds 5]

Both take turns in one process, each round one pass over the same images; the median ratio of the rounds is printed, so
that a noisy machine slows both alike.  Ours crops and flips every image and counts every operation as deterministic;
`fit` gets the images as they are, as float32, with its own shuffling.  Aim: never slower.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import keras
import numpy as np

from models import catalog, datasets
from models.optimizers import build_optimizer
from models.recipes import Training, Visit
from models.runtime import configure_runtime
from models.training import Trainer

IMAGES = 4096
NETWORKS = ("alexnet-tiny", "vit-tiny")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    configure_runtime(threads=2)
    split = datasets.subset(datasets.load("synthetic", None).train, IMAGES, 0)
    print(f"{'network':14} {'batch':>5} {'ours':>9} {'fit':>9} {'ours to fit':>12}")
    for name in NETWORKS:
        compare(name, split, rounds)


def compare(name: str, split: datasets.Split, rounds: int) -> None:
    batch = catalog.get(name).recipe.batch_size
    ours, fit = our_pass(name, split, rounds + 1), fit_pass(name, split)
    ours(), fit()  # compiling is not measured
    seen = len(split) // batch * batch
    pairs = [(seen / ours(), seen / fit()) for _ in range(rounds)]
    print(
        f"{name:14} {batch:5} {median(one for one, _ in pairs):7,.0f}/s {median(other for _, other in pairs):7,.0f}/s"
        f" {median(one / other for one, other in pairs):11.2f}x",
        flush=True,
    )


def our_pass(name: str, split: datasets.Split, passes: int) -> Callable[[], float]:
    recipe = catalog.get(name).recipe
    steps = recipe.steps_per_epoch(len(split))
    training = Training(name, recipe, 0, 10, split.images.shape[1:], total_steps=passes * steps)
    trainer = Trainer(training)
    numbers = iter(range(passes))

    def one_pass() -> float:
        number = next(numbers)
        visit = Visit(number, 1, number * steps, steps)
        began = time.perf_counter()
        for _ in trainer.advance(split, visit):
            pass
        return time.perf_counter() - began

    return one_pass


def fit_pass(name: str, split: datasets.Split) -> Callable[[], float]:
    architecture = catalog.get(name)
    recipe = architecture.recipe
    model = architecture.build(keras, image_shape=split.images.shape[1:], classes=10)
    optimizer = build_optimizer(recipe, 10_000, model.trainable_variables, "float32")
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    seen = len(split) // recipe.batch_size * recipe.batch_size
    images, labels = split.images[:seen].astype(np.float32), split.labels[:seen]

    def one_pass() -> float:
        began = time.perf_counter()
        model.fit(images, labels, batch_size=recipe.batch_size, epochs=1, verbose=0)
        return time.perf_counter() - began

    return one_pass


if __name__ == "__main__":
    main()
