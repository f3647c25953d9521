"""The measuring protocol for latency: single stream, with the reference measured in between.

What is measured is a callable; this module knows no model and no runtime.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Run = Callable[[], object]
"""One inference, finished when it returns."""

Clock = Callable[[], float]
"""Seconds from any start, never going back."""

_BLOCK_RUNS = 10
"""Runs of one side before the other has its turn: short beside a noisy neighbour's burst, which then slows both."""

_UNDISTURBED = 10
"""The percentile of their runs that two sides are compared by.

A neighbour only ever adds to a run (Chen and Revels, "Robust benchmarking in noisy environments", 2016), and not the
same share to each side: the medians of an int8 and a float32 network had ratios of 9.0 to 12.3 from one window of
twelve seconds to the next, as the neighbour came and went.
"""


@dataclass(frozen=True)
class Latency:
    """Percentiles of the candidate's latency in milliseconds, and how it compares with the reference."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    runs: int
    """Measured runs of the candidate."""
    speedup: float
    """The reference's undisturbed runs over the candidate's, by their 10th percentiles; 1.0 without a reference."""


def measure(
    candidate: Run,
    reference: Run | None = None,
    *,
    min_runs: int = 200,
    min_seconds: float = 1.0,
    max_seconds: float = 60.0,
    warmup: int = 10,
    clock: Clock = time.perf_counter,
) -> Latency:
    """Measure `candidate`, taking turns with `reference` in this process so that their ratio survives noise.

    Goes on until the candidate has had `min_runs` runs and `min_seconds` of them, or until `max_seconds` have
    passed in all; then at least one block of each side has been measured.  `warmup` runs of each side go
    before, and every block begins with one run that is not measured: it brings back the caches that the other
    side took.
    """
    if min_runs < 1:
        raise ValueError(f"min_runs is {min_runs}; a latency needs at least one run.")
    give_up_at = clock() + max_seconds
    sides = [_Side(candidate)] if reference is None else [_Side(candidate), _Side(reference)]
    for side in sides:
        side.warm_up(warmup, give_up_at, clock)
    mine = sides[0]
    while not mine.samples or ((len(mine.samples) < min_runs or mine.seconds < min_seconds) and clock() < give_up_at):
        for side in sides:
            side.measure_block(give_up_at, clock)
    return _latency(mine.samples, sides[-1].samples)


@dataclass
class _Side:
    """One of the two callables, with what its runs took."""

    run: Run
    samples: list[float] = field(default_factory=list)
    seconds: float = 0.0
    """The sum of all samples, added up as they come, since a small network has a hundred thousand of them."""

    def warm_up(self, runs: int, give_up_at: float, clock: Clock) -> None:
        for _ in range(runs):
            self.run()
            if clock() >= give_up_at:
                return

    def measure_block(self, give_up_at: float, clock: Clock) -> None:
        self.run()
        for _ in range(_BLOCK_RUNS):
            start = clock()
            self.run()
            end = clock()
            self.samples.append(end - start)
            self.seconds += end - start
            if end >= give_up_at:
                return


def _latency(candidate: list[float], reference: list[float]) -> Latency:
    p50, p90, p99 = (float(value) for value in np.percentile(candidate, (50, 90, 99)) * 1e3)
    speedup = float(np.percentile(reference, _UNDISTURBED) / np.percentile(candidate, _UNDISTURBED))
    return Latency(p50, p90, p99, runs=len(candidate), speedup=speedup)
