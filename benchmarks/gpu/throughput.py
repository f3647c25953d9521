"""Images a second on this device: our training beside `keras.Model.fit` on JAX, and beside keras.io's example.

    python benchmarks/gpu/throughput.py FILE strong|compared [--seconds N] [--small]

`compared` is as `benchmarks/images_per_second.py`, with larger batches, and with `fit` also in our precision.  `strong`
is how fast the networks are that `strong.py` trains, with deterministic kernels and with those that XLA finds fastest:
their epochs depend on it.  All sides compile at once; then they take turns.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import record
from images_per_second import EXAMPLE, OURS, PLAIN, Side, images_per_second, process
from strong import FASTEST_KERNELS, STRONG, Deadline

from models.architectures import catalog

ROUNDS = 3
IMAGES = 25_600
BATCH = 512
_PATIENCE = 150.0
"""Seconds after which a side that has not compiled and gone through its images is given up."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("sides", choices=("strong", "compared"))
    parser.add_argument("--seconds", type=float, default=240.0, help="after which no round is begun")
    parser.add_argument("--wait-for", type=Path, help="a file: nothing is timed before it is there")
    parser.add_argument("--small", action="store_true", help="tiny networks and few images, to try it on a CPU")
    arguments = parser.parse_args()
    sides = {"strong": strong_sides, "compared": compared_sides}[arguments.sides]()
    deadline, patience = Deadline(arguments.seconds), Deadline(min(_PATIENCE, arguments.seconds))
    if arguments.small:
        sides, patience = SMALL[arguments.sides], deadline
    measure(arguments.file, sides, deadline, patience, arguments.wait_for)


@dataclass(frozen=True)
class Running:
    """A side in its process."""

    side: Side
    executor: Executor
    pid: Future[int]
    first: Future[float]
    """In which it compiles."""


def measure(file: Path, sides: Sequence[Side], deadline: Deadline, patience: Deadline, wait_for: Path | None) -> None:
    """Compile all sides at once, then let them take turns; a side that fails is recorded as such."""
    with ExitStack() as ends:
        begun = [begin(side, ends.enter_context(process(side))) for side in sides]
        ready = [running for running in begun if compiled(file, running, patience)]
        while wait_for and not wait_for.exists():
            time.sleep(0.2)
        rates: dict[Side, list[float]] = {running.side: [] for running in ready}
        for number in range(ROUNDS):
            if number and deadline.seconds < 0:
                break
            for running in ready:
                rates[running.side].append(running.executor.submit(images_per_second).result())
    for side, found in rates.items():
        print(f"{side.network:18} {side.batch:5} {median(found):9,.0f}/s  {name(side)}", flush=True)
        record.append(
            file,
            "images per second",
            network=side.network,
            way=name(side),
            batch=side.batch,
            median=median(found),
            rounds=found,
            images=side.images,
        )


def begin(side: Side, executor: Executor) -> Running:
    return Running(side, executor, executor.submit(os.getpid), executor.submit(images_per_second))


def compiled(file: Path, running: Running, patience: Deadline) -> bool:
    """Whether a side came through its first pass in time."""
    try:
        running.first.result(timeout=max(0.0, patience.seconds))
        return True
    except Exception as error:
        if isinstance(error, TimeoutError) and running.pid.done():
            os.kill(running.pid.result(), signal.SIGKILL)
        side = running.side
        print(f"{side.network} {name(side)}: {error!r}"[:2000], flush=True)
        record.append(file, "failed", network=side.network, way=name(side), error=repr(error)[:2000])
        return False


def name(side: Side) -> str:
    kernels = ", fastest kernels" if side.environment else ""
    return f"{side.way}{', ' + side.precision if side.precision else ''}{kernels}"


def compared_sides() -> list[Side]:
    ways: list[tuple[str, str | None]] = [(OURS, None), (PLAIN, None), (PLAIN, "mixed_bfloat16")]
    larger = {network: catalog.get(network).recipe.replace(batch_size=BATCH) for network in ("alexnet", "vit")}
    sides = [
        Side(network, way, "jax", IMAGES, recipe, precision)
        for network, recipe in larger.items()
        for way, precision in ways
    ]
    of_example: list[tuple[str, str | None]] = [(OURS, None), (EXAMPLE, None), (EXAMPLE, "mixed_bfloat16")]
    return sides + [
        Side("vit-paper", way, "jax", IMAGES if way == OURS else IMAGES // 10, None, precision)
        for way, precision in of_example
    ]


def strong_sides() -> list[Side]:
    """The plain convolutions, which come twice, with deterministic kernels only."""
    recipes = {aim.network: aim.recipe for aim in STRONG}
    repeatable = [Side(network, OURS, "jax", 2 * IMAGES, recipe) for network, recipe in recipes.items()]
    fastest = [replace(side, environment=FASTEST_KERNELS) for side in repeatable if side.network != "alexnet"]
    return repeatable + fastest


SMALL = {
    "strong": [Side("alexnet-tiny", OURS, "jax", 256)],
    "compared": [Side("alexnet-tiny", PLAIN, "jax", 128), Side("vit-tiny", EXAMPLE, "jax", 64)],
}


if __name__ == "__main__":
    main()
