"""How sure a figure is, and whether two of them differ: estimates with 95 % intervals, tests, pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from models.predictions import Predictions

# Student's t, 97.5 % quantile, for 1 to 30 degrees of freedom; beyond, the last one errs on the wide side.
_STUDENT = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)


@dataclass(frozen=True)
class Estimate:
    """A value and the 95 % interval around it."""

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        assert self.low <= self.high, "an interval's ends are in order"

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Spread:
    """A figure over seeds."""

    mean: float
    deviation: float | None
    """Sample standard deviation; None for a single seed, which has none."""
    values: tuple[float, ...]


@dataclass(frozen=True)
class Paired:
    """Two networks on the same test images, top-1."""

    only_first: int
    """Images that the first alone gets right."""
    only_second: int
    p: float
    """Of McNemar's exact test: how often two equally good networks would differ as unevenly as these, or more."""

    def to_json(self, first: str) -> dict[str, float]:
        """Args:
        first: what the first network is called: "float32" or "twin".
        """
        return {f"only_{first}_right": self.only_first, "only_this_right": self.only_second, "p": self.p}


def paired(first: Predictions | None, second: Predictions | None) -> Paired | None:
    """Compare two networks image by image; None where one's predictions are missing or are of other test images."""
    if first is None or second is None or first.test_set != second.test_set:
        return None
    if len(first.label_ranks) != len(second.label_ranks):
        return None
    one, other = first.label_ranks == 0, second.label_ranks == 0
    only_first, only_second = int(np.count_nonzero(one & ~other)), int(np.count_nonzero(other & ~one))
    return Paired(only_first, only_second, mcnemar(only_first, only_second))


def mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided p of the exact test (McNemar 1947): twice the smaller tail of Binomial(n, 1/2), at most 1.

    Args:
        only_first: images that the first network alone gets right.
        only_second: images that the second alone does.
    """
    differ, fewer = only_first + only_second, min(only_first, only_second)
    if only_first == only_second:
        return 1.0
    # The tail from its largest term down: each is the one before times k / (n - k + 1).
    share, tail = 1.0, 1.0
    for k in range(fewer, 0, -1):
        share *= k / (differ - k + 1)
        tail += share
        if share < 1e-17 * tail:
            break
    log_largest = math.lgamma(differ + 1) - math.lgamma(fewer + 1) - math.lgamma(differ - fewer + 1)
    return min(1.0, 2 * tail * math.exp(log_largest - differ * math.log(2)))


def spread(values: Sequence[float]) -> Spread | None:
    """Mean and sample standard deviation; None without values."""
    if not values:
        return None
    return Spread(fmean(values), stdev(values) if len(values) > 1 else None, tuple(values))


def over_seeds(estimates: Sequence[Estimate]) -> Estimate | None:
    """The mean over seeds, with the wider of two intervals at either end.

    One interval is Student's t over the seeds (does another training come out the same?), the other the mean
    of the seeds' own (would other test images say the same?).  Neither covers what the other is about, so
    the wider one is given.
    """
    if not estimates:
        return None
    values = [estimate.value for estimate in estimates]
    reach = _student_reach(values)
    mean = fmean(values)
    return Estimate(
        mean,
        max(0.0, min(mean - reach, fmean(estimate.low for estimate in estimates))),
        min(1.0, max(mean + reach, fmean(estimate.high for estimate in estimates))),
    )


def difference(first: Estimate, second: Estimate) -> Estimate:
    """`first - second` with its 95 % interval, from the two intervals alone (MOVER).

    Newcombe 1998 (method 10) for two proportions, Zou and Donner 2008 for any two estimates.  It takes the
    two for independent; ours share their test images, so the interval is rather too wide than too narrow.
    """
    value = first.value - second.value
    below = math.hypot(first.value - first.low, second.high - second.value)
    above = math.hypot(first.high - first.value, second.value - second.low)
    return Estimate(value, value - below, value + above)


def _student_reach(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    degrees = len(values) - 1
    return _STUDENT[min(degrees, len(_STUDENT)) - 1] * stdev(values) / math.sqrt(len(values))
