"""One training of `strong.py`, in a process of its own: says `ready` when it has compiled, trains on `go SECONDS`.

All by Orch's own trainer and recipes.  What it measured goes to the file of figures.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import record
from numpy.typing import NDArray

from models.datasets import Split
from models.measurement.evaluation import accuracy
from models.recipes import Training, Visit
from models.runtime import configure_runtime, precision
from models.training.trainer import Trainer, TrainState, fresh_network, inference_weights, load_weights

_EVALUATED = (0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 0.95)
"""After these shares of the steps, besides the last one: points of the curve."""
_BATCH = 1000


def main() -> None:
    order = json.loads(sys.argv[1])
    training = Training.from_dict(order["training"])
    configure_runtime(threads=len(os.sched_getaffinity(0)))
    train, test = (split(Path(order["data"]), name) for name in ("train", "test"))
    visit = Visit(0, order["epochs"], 0, training.total_steps)
    trainer = Trainer(training, precision=precision())
    evaluator = Evaluator(training.architecture, test)
    compile_all(trainer, evaluator, train, visit)
    print("ready", flush=True)
    seconds = float(sys.stdin.readline().split()[1])
    measured = train_for(trainer, evaluator, train, visit, seconds)
    record.append(
        Path(order["file"]),
        "accuracy",
        network=training.architecture,
        aim=order["aim"],
        training=order["training"],
        epochs=order["epochs"],
        expected_images_per_second=order["expected_images_per_second"],
        **measured,
    )
    print("done", flush=True)


def split(directory: Path, name: str) -> Split:
    return Split.whole(np.load(directory / f"{name}_images.npy"), np.load(directory / f"{name}_labels.npy"))


class Evaluator:
    """Accuracy on the test set, of the weights that a state would be compressed with, in float32."""

    def __init__(self, architecture: str, test: Split) -> None:
        self._network = fresh_network(architecture, (32, 32, 3), 10)
        self.labels = test.labels
        self._images = test.images
        self._logits = jax.jit(self._forward)

    def logits(self, state: TrainState, *, mirrored: bool = False) -> NDArray[np.float32]:
        load_weights(self._network, inference_weights(state))
        weights = [variable.value for variable in self._network.variables]
        images = self._images[:, :, ::-1] if mirrored else self._images
        parts = [images[first : first + _BATCH].astype(np.float32) for first in range(0, len(images), _BATCH)]
        return np.concatenate([np.asarray(self._logits(weights, part)) for part in parts])

    def top1(self, state: TrainState) -> float:
        return accuracy(self.logits(state), self.labels).top1

    def _forward(self, weights: list[Any], images: Any) -> Any:
        values = {id(variable): value for variable, value in zip(self._network.variables, weights, strict=True)}
        trainable, others = (
            [values[id(variable)] for variable in group]
            for group in (self._network.trainable_variables, self._network.non_trainable_variables)
        )
        return self._network.stateless_call(trainable, others, images, training=False)[0]


def compile_all(trainer: Trainer, evaluator: Evaluator, train: Split, visit: Visit) -> None:
    """A step and an evaluation, of which no trace is left."""
    first = trainer.state()
    next(trainer.advance(train, visit, steps_per_call=1))
    evaluator.top1(first)
    trainer.restore(first)


def train_for(trainer: Trainer, evaluator: Evaluator, train: Split, visit: Visit, seconds: float) -> dict[str, Any]:
    """The training to its end, or so long as there is time."""
    due = [round(share * visit.steps) for share in _EVALUATED]
    curve, began, stepping, images, loss = [], time.monotonic(), 0.0, 0, float("nan")
    last = began
    for progress in trainer.advance(train, visit):
        images, loss = images + progress.images, progress.loss
        stepping += time.monotonic() - last
        if time.monotonic() - began > seconds:
            break
        if due and progress.step >= due[0]:
            due = [step for step in due if step > progress.step]
            point = {
                "epoch": progress.step * visit.epochs / visit.steps,
                "seconds": time.monotonic() - began,
                "loss": loss,
                "top1": evaluator.top1(trainer.state()),
            }
            curve.append(point)
            print(f"  epoch {point['epoch']:.1f}: loss {loss:.3f}, top-1 {point['top1']:.4f}", flush=True)
        last = time.monotonic()
    trained = time.monotonic() - began
    state = trainer.state()
    plain, mirrored = evaluator.logits(state), evaluator.logits(state, mirrored=True)
    labels = evaluator.labels
    found, averaged = accuracy(plain, labels), accuracy(plain + mirrored, labels)
    print(f"  top-1 {found.top1:.4f}, with the mirrored image {averaged.top1:.4f}", flush=True)
    return {
        "top1": found.top1,
        "top1_interval": found.top1_interval,
        "top5": found.top5,
        "top1_with_mirrored_image": averaged.top1,
        "loss": loss,
        "steps": state.step,
        "cut_off": state.step < visit.last_step,
        "seconds": trained,
        "images_per_second": images / stepping,
        "curve": curve,
    }


if __name__ == "__main__":
    main()
