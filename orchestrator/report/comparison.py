"""How sure a figure is, and whether two of them differ: estimates with 95 % intervals, tests, pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.predictions import Predictions

_NORMAL = 1.959964
"""97.5 % quantile of the normal distribution."""

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

    def verdict(self, level: float = 0.0) -> Verdict:
        """Whether the whole interval lies on one side of `level`, where neither is better."""
        if self.low > level:
            return Verdict.BETTER
        return Verdict.WORSE if self.high < level else Verdict.OPEN


class Verdict(StrEnum):
    """What a 95 % interval allows to say of two networks."""

    BETTER = "better"
    WORSE = "worse"
    OPEN = "not told apart"


@dataclass(frozen=True)
class Spread:
    """A figure over seeds."""

    mean: float
    deviation: float | None
    """Sample standard deviation; None for a single seed, which has none."""
    values: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class RightAnswers:
    """Which test images a network gets right, top-1: what is left of its predictions in a report, a bit an image."""

    test_set: str
    """SHA-256 of the images and labels, in their order."""
    images: int
    bits: NDArray[np.uint8]
    """[ceil(images / 8)], as `numpy.packbits` gives them."""

    @classmethod
    def of(cls, said: Predictions) -> RightAnswers:
        return cls(said.test_set, len(said.label_ranks), np.packbits(said.label_ranks == 0))


@dataclass(frozen=True)
class Paired:
    """Two networks on the same test images, top-1."""

    only_first: int
    """Images that the first alone gets right."""
    only_second: int
    images: int
    """All that both of them were shown."""
    p: float
    """Of McNemar's exact test: how often two equally good networks would differ as unevenly as these, or more."""

    @property
    def difference(self) -> Estimate:
        """The second's share of right answers less the first's, with its 95 % interval for paired data.

        Bonett and Price 2012 (adjusted Wald).  Where McNemar's exact test does not reject that both are equally good,
        the interval is widened to take zero in, so that the two never contradict each other.
        """
        value, count = (self.only_second - self.only_first) / self.images, self.images + 2
        first, second = (self.only_first + 1) / count, (self.only_second + 1) / count
        reach = _NORMAL * math.sqrt((first + second - (second - first) ** 2) / count)
        known = (0.0,) if self.p >= 0.05 else ()
        return Estimate(
            value,
            max(-1.0, min(second - first - reach, value, *known)),
            min(1.0, max(second - first + reach, value, *known)),
        )

    def to_json(self, first: str) -> dict[str, Any]:
        """Args:
        first: what the first network is called: "float32" or "twin".
        """
        change = self.difference
        return {
            f"only_{first}_right": self.only_first,
            "only_this_right": self.only_second,
            "images": self.images,
            "p": self.p,
            "difference": change.value,
            "difference_interval": [change.low, change.high],
        }


def paired(first: RightAnswers | None, second: RightAnswers | None) -> Paired | None:
    """Compare two networks image by image; None where one's answers are missing or are of other test images."""
    if first is None or second is None or (first.test_set, first.images) != (second.test_set, second.images):
        return None
    only_first, only_second = _count(first.bits & ~second.bits), _count(second.bits & ~first.bits)
    return Paired(only_first, only_second, first.images, mcnemar(only_first, only_second))


def _count(bits: NDArray[np.uint8]) -> int:
    return int(np.count_nonzero(np.unpackbits(bits)))


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


def over_seeds(estimates: Sequence[Estimate], least: float = 0.0) -> Estimate | None:
    """The mean over seeds, with the wider of two intervals at either end, between `least` and 1.

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
        max(least, min(mean - reach, fmean(estimate.low for estimate in estimates))),
        min(1.0, max(mean + reach, fmean(estimate.high for estimate in estimates))),
    )


def ratio_over_seeds(ratios: Sequence[float]) -> Estimate | None:
    """The mean with Student's t interval over seeds; None for fewer than two, of which nobody knows how they vary."""
    if len(ratios) < 2:
        return None
    mean, reach = fmean(ratios), _student_reach(ratios)
    return Estimate(mean, mean - reach, mean + reach)


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
