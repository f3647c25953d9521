"""Several workers on one model: accuracy against the images seen, and the speed-up that the exchange allows.

    ORCH_DATA=... python benchmarks/average_mode.py [--epochs 6] [--images 20000] [--out DIR]

For K = 1, 2 and 4 workers the training set is split into K shards; in every round each of K replicas makes one pass
over its own, then they are merged (DiLoCo's Nesterov).  All K see equally many images in all.  The replicas are trained
one after another here, so that each has the machine to itself; the wall time is what K such machines would take: the
slowest replica of each round, its state up and the merged one down over the link, and the merge.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models import datasets
from models.architectures import catalog
from models.measurement.evaluation import accuracy
from models.recipes import Outer, Training, Visit
from models.runtime import configure_runtime
from models.training.averaging import begin_visit, merge, recompute_statistics
from models.training.trainer import Trainer, TrainState
from orchestrator.report import theme
from orchestrator.report.charts import Chart, Table, pictures, style

LINK_BYTES_PER_SECOND = 5e6
"""What a home notebook's link to a shared folder carries, each way."""
ARCHITECTURE = "alexnet-tiny"


@dataclass(frozen=True)
class Round:
    images: int
    """Seen by all replicas together since the beginning."""
    top1: float
    seconds: float
    """Wall time since the beginning, with a machine for each replica."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=6, help="passes over the whole training set")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=Path("average-mode"))
    options = parser.parse_args()
    configure_runtime(threads=2)
    data = datasets.load("cifar10", None)
    train, test = datasets.subset(data.train, options.images, 0), datasets.subset(data.test, 2_000, 0)
    curves = {workers: rounds(train, test, workers, options.epochs) for workers in (1, 2, 4)}
    show(curves)
    options.out.mkdir(parents=True, exist_ok=True)
    draw(curves, options.out / "average_mode.png")


def rounds(train: datasets.Split, test: datasets.Split, workers: int, epochs: int) -> list[Round]:
    shards = datasets.stratified_shards(train, workers, 0)
    recipe = catalog.get(ARCHITECTURE).recipe
    per_visit = min(recipe.steps_per_epoch(len(shard)) for shard in shards)
    training = Training(ARCHITECTURE, recipe, 0, 10, train.images.shape[1:], total_steps=epochs * per_visit)
    trainer = Trainer(training)
    fresh = trainer.state()
    warm_up(trainer, shards[0], per_visit, fresh)
    merged: TrainState | None = None
    own: list[TrainState | None] = [None] * workers
    done: list[Round] = []
    images = seconds = 0.0
    for number in range(epochs):
        visit = Visit(number, 1, number * per_visit, per_visit)
        slowest = 0.0
        for shard, split in enumerate(shards):
            trainer.restore(begin_visit(fresh, merged, own[shard], seed=0, shard=shard))
            began = time.perf_counter()
            images += sum(progress.images for progress in trainer.advance(split, visit))
            slowest = max(slowest, time.perf_counter() - began)
            own[shard] = trainer.state()
        began = time.perf_counter()
        merged = joined(trainer, fresh, merged, own, shards[0])
        exchange = 2 * size(own[0]) / LINK_BYTES_PER_SECOND + time.perf_counter() - began if workers > 1 else 0.0
        seconds += slowest + exchange
        done.append(Round(int(images), top1(trainer, test), seconds))
        print(f"K = {workers}: {int(images):7} images, top-1 {done[-1].top1:.2%}, {seconds:6.1f} s", flush=True)
    return done


def warm_up(trainer: Trainer, shard: datasets.Split, steps: int, fresh: TrainState) -> None:
    """Compiling is no part of a round."""
    next(iter(trainer.advance(shard, Visit(0, 1, 0, steps))))
    trainer.restore(fresh)


def joined(
    trainer: Trainer,
    fresh: TrainState,
    previous: TrainState | None,
    replicas: list[TrainState | None],
    shard: datasets.Split,
) -> TrainState:
    whole = [replica for replica in replicas if replica is not None]
    outer = Outer("nesterov") if len(whole) > 1 else Outer("mean")
    merged = merge(whole, previous or fresh, outer)
    trainer.restore(begin_visit(fresh, merged, whole[0], seed=0, shard=0))
    if len(whole) > 1:
        recompute_statistics(trainer.model, shard)
    arrays = {key: array for key, array in trainer.state().arrays.items() if key in merged.arrays}
    return TrainState(merged.step, {**merged.arrays, **arrays})


def size(state: TrainState | None) -> int:
    assert state is not None, "every replica has been trained"
    return sum(array.nbytes for array in state.arrays.values())


def top1(trainer: Trainer, test: datasets.Split) -> float:
    logits = trainer.model.predict(test.images.astype(np.float32), batch_size=250, verbose=0)
    return accuracy(logits, test.labels).top1


def show(curves: dict[int, list[Round]]) -> None:
    print(f"\n{'workers':>8} {'images':>9} {'top-1':>7} {'wall time':>10} {'speed-up':>9}")
    alone = curves[1][-1].seconds
    for workers, done in curves.items():
        last = done[-1]
        print(f"{workers:8} {last.images:9} {last.top1:7.2%} {last.seconds:8.1f} s {alone / last.seconds:8.2f}x")


def draw(curves: dict[int, list[Round]], path: Path) -> None:
    """Two panels: by the images that all workers saw, and by the time that it took."""
    dots = [
        {"workers": f"K = {workers}", "images": one.images / 1000, "seconds": one.seconds, "top1": 100 * one.top1}
        for workers, done in curves.items()
        for one in done
    ]
    titles = {
        "images": "thousand images, all workers together",
        "seconds": f"seconds, link of {LINK_BYTES_PER_SECOND / 1e6:.0f} MB/s",
    }
    colours = theme.colours_of([f"K = {workers}" for workers in curves])
    panels = [
        {
            "width": 380,
            "height": 240,
            "mark": {"type": "line", "point": True},
            "encoding": {
                "x": style.quantity(field, title=title),
                "y": style.quantity("top1", title="top-1, %", scale={"zero": False}),
                "color": {"field": "workers", "type": "nominal", "scale": style.colour_scale(colours)},
            },
        }
        for field, title in titles.items()
    ]
    spec = style.document({"data": style.values(dots), "hconcat": panels})
    path.write_bytes(pictures.png(Chart("average", "average", "Several workers", "", spec, Table((), ()))))
    print(f"\nThe figure: {path}")


if __name__ == "__main__":
    main()
