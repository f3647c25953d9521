"""How accurate the strong networks become on all of CIFAR-10 in the time that there is.

    python benchmarks/gpu/strong.py FILE --data DIR --seconds N [--speeds FILE] [--small]

The aims in their order, each with a share of the time; its passes are as many as fit into it at the speed that
`throughput.py` has measured.  While one network trains the next one compiles.  The accuracy is that of the last weights
(their moving average) on the whole test set: no weights are chosen by it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pack

from models.architectures import catalog
from models.datasets import synthetic
from models.recipes import Recipe, Training

TRAINING = Path(__file__).with_name("strong_training.py")
IMAGES = 50_000
FASTEST_KERNELS = (("XLA_FLAGS", "--xla_gpu_deterministic_ops=false"),)
"""XLA times the kernels and takes the fastest, which need not be the same the next time."""
_WORTHWHILE = 1.15
"""How much faster they must be for the aims to be tried with them."""
_STEPS_SHARE = 0.9
"""The steps' share of an aim's time; the rest goes to evaluations."""
_PATIENCE = 1.4
"""How much longer than expected a training may take before it is cut off for the sake of the others."""
_SLACK = 10.0
"""Seconds that it may take besides."""
_LAST_EVALUATION = 8.0
"""Seconds that are kept for it."""
_COMPILATION = 150.0
"""Seconds that no network takes to compile on a machine with a GPU."""
_FIRST_COMPILATION = 45.0
"""Seconds; the other networks compile while one before them trains."""


@dataclass(frozen=True)
class Aim:
    """An accuracy to reach with a network, and the share of all the time that it may take."""

    network: str
    top1: float
    share: float
    recipe: Recipe
    most_epochs: int


_MIXED = {"crop_padding": 4, "cutout": 0, "cutmix": 1.0, "randaugment": 1, "magnitude": 5}
_CONVOLUTIONS = catalog.get("alexnet").recipe.replace(batch_size=512, learning_rate=0.4, ema=0.995)
_TOKENS = catalog.get("cct").recipe.replace(
    optimizer="muon", batch_size=1024, learning_rate=3e-3, ema=0.998, augmentation=_MIXED
)
STRONG = (
    Aim("alexnet", 0.94, 0.1, _CONVOLUTIONS.replace(schedule="one-cycle", warmup_fraction=0.2), 50),
    Aim("alexnet-residual", 0.96, 0.27, _CONVOLUTIONS.replace(ema=0.998, augmentation=_MIXED), 150),
    Aim("cct", 0.945, 0.35, _TOKENS, 300),
    Aim("alexnet", 0.958, 0.28, _CONVOLUTIONS.replace(ema=0.998, augmentation=_MIXED), 300),
)
_TINY = catalog.get("alexnet-tiny").recipe
SMALL = (
    Aim("alexnet-tiny", 0.3, 0.5, _TINY.replace(ema=0.9, augmentation=_MIXED), 2),
    Aim("vit-tiny", 0.3, 0.5, _TINY.replace(optimizer="muon", learning_rate=2e-3), 1),
)


class Deadline:
    """How much of the time is left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def seconds(self) -> float:
        return self._end - time.monotonic()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="where the packed parts lie, and the images go")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--speeds", type=Path, help="the figures of throughput.py; by default those in FILE")
    parser.add_argument("--small", action="store_true", help="tiny networks on synthetic images, to try it on a CPU")
    arguments = parser.parse_args()
    deadline = Deadline(arguments.seconds)
    aims = SMALL if arguments.small else STRONG
    images = write_images(arguments.data, small=arguments.small)
    # Where nothing was measured, so few that a training comes to its end on every device that this is meant for.
    speeds = Speeds(arguments.speeds or arguments.file, unknown=20.0 if arguments.small else 15_000.0)
    print(f"{images} images after {arguments.seconds - deadline.seconds:.0f} s", flush=True)
    patience = deadline.seconds if arguments.small else _COMPILATION
    pursue(aims, Pursuit(arguments.file, arguments.data, images, deadline, speeds, patience))


def write_images(directory: Path, *, small: bool) -> int:
    """Unpack the images to where the trainings read them; how many to train on there are.

    Raises:
        FileNotFoundError: a part of the data is not there.
    """
    if small:
        train, test = (split.take(np.arange(0, len(split), 9)) for split in synthetic.make())
    else:
        train, test = pack.unpack([directory / f"part{number}" / pack.FILE for number in range(1, pack.PARTS + 1)])
    for name, split in (("train", train), ("test", test)):
        np.save(directory / f"{name}_images.npy", split.images)
        np.save(directory / f"{name}_labels.npy", split.labels)
    return len(train)


class Speeds:
    """Images a second by network, as they were measured before."""

    def __init__(self, file: Path, unknown: float) -> None:
        self._unknown = unknown
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        self._figures = [line for line in map(json.loads, lines) if line["figure"] == "images per second"]

    def of(self, aim: Aim) -> tuple[float, tuple[tuple[str, str], ...]]:
        """The images a second, and the environment in which a training gets them."""
        ours = {
            "fastest kernels" in figure["way"]: float(figure["median"])
            for figure in self._figures
            if (figure["network"], figure["batch"]) == (aim.network, aim.recipe.batch_size)
            and figure["way"].startswith("ours")
        }
        repeatable, fastest = ours.get(False, 0.0), ours.get(True, 0.0)
        if fastest > _WORTHWHILE * repeatable:
            return fastest, FASTEST_KERNELS
        return repeatable or self._unknown, ()


@dataclass(frozen=True)
class Pursuit:
    """What the trainings share."""

    file: Path
    data: Path
    images: int
    deadline: Deadline
    speeds: Speeds
    patience: float
    """Seconds after which a process that has not compiled is given up."""


def pursue(aims: Sequence[Aim], pursuit: Pursuit) -> None:
    """Train for one aim after another; the next one's process compiles meanwhile."""
    order = make_order(aims, pursuit, pursuit.deadline.seconds - _FIRST_COMPILATION)
    process = begin(order)
    for number, aim in enumerate(aims):
        if not told(process, "ready", pursuit.patience) and order.environment != FASTEST_KERNELS:
            print(f"{aim.network}: once more, with the kernels that XLA finds fastest", flush=True)
            order = dataclasses.replace(order, environment=FASTEST_KERNELS)
            process = begin(order)
            told(process, "ready", pursuit.patience)
        patience = min(_PATIENCE * order.seconds + _SLACK, pursuit.deadline.seconds - _LAST_EVALUATION)
        patience = max(0.0, patience)
        say(process, f"go {patience:.1f}")
        training = process
        if later := aims[number + 1 :]:
            order = make_order(later, pursuit, pursuit.deadline.seconds - order.seconds)
            process = begin(order)
        told(training, "done", patience + pursuit.patience)
        training.wait()
        print(f"{aim.network}: {pursuit.deadline.seconds:.0f} s are left", flush=True)


@dataclass(frozen=True)
class Order:
    """What a process is to train."""

    training: Training
    epochs: int
    seconds: float
    """Seconds that it is expected to take."""
    environment: tuple[tuple[str, str], ...]
    arguments: str


def make_order(aims: Sequence[Aim], pursuit: Pursuit, seconds: float) -> Order:
    """For the first of these aims, which share so many seconds."""
    aim = aims[0]
    speed, environment = pursuit.speeds.of(aim)
    mine = max(0.0, seconds) * aim.share / sum(other.share for other in aims)
    epochs = max(1, min(aim.most_epochs, int(_STEPS_SHARE * mine * speed / pursuit.images)))
    steps = epochs * aim.recipe.steps_per_epoch(pursuit.images)
    training = Training(aim.network, aim.recipe, 0, 10, (32, 32, 3), steps)
    expected = epochs * pursuit.images / speed / _STEPS_SHARE
    told = {
        "training": training.to_dict(),
        "epochs": epochs,
        "aim": aim.top1,
        "expected_images_per_second": speed,
        "data": str(pursuit.data),
        "file": str(pursuit.file),
    }
    print(f"{aim.network}: {epochs} epochs in {expected:.0f} s at {speed:,.0f} images/s", flush=True)
    return Order(training, epochs, expected, environment, json.dumps(told))


def begin(order: Order) -> subprocess.Popen[str]:
    """A process that compiles a training, says `ready`, and waits for `go SECONDS`."""
    return subprocess.Popen(
        [sys.executable, str(TRAINING), order.arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **dict(order.environment)},
    )


def told(training: subprocess.Popen[str], word: str, patience: float) -> bool:
    """Pass on what it says until it says this word alone; whether it did in so many seconds.  If not, it is ended."""
    assert training.stdout is not None
    impatient = threading.Timer(patience, training.kill)
    impatient.start()
    try:
        for line in training.stdout:
            if line.strip() == word:
                return True
            print(line, end="", flush=True)
        return False
    finally:
        impatient.cancel()


def say(training: subprocess.Popen[str], line: str) -> None:
    assert training.stdin is not None
    try:
        training.stdin.write(line + "\n")
        training.stdin.flush()
    except BrokenPipeError:
        print("It has ended already.", flush=True)


if __name__ == "__main__":
    main()
