"""The checkpoint policy: the interval that loses least, for given costs and a given rate of deaths.

What a checkpoint costs, and when the last was taken, the runner knows: `workers.runner.connection`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from orchestrator.jobs import FailureStatistics

PRIOR_SECONDS_BETWEEN_DEATHS = 1800.0
"""How long a free notebook is taken to live before any death was seen; this also keeps the estimate finite."""
FIRST_CHECKPOINT_SECONDS = 5.0
"""Before the first, nobody knows what one costs on this machine; it comes soon, because a worker may die soon."""

LARGEST_STANDSTILL = 0.035
"""Share of the time that training may stand still for checkpoints, however often workers die."""


def checkpoint_interval(between_deaths: float, restart: float, cost: float) -> float:
    """Seconds of computing between two checkpoints: sqrt(2 (M + R) C), to first order the best (Young 1974, Daly 2006).

    Args:
        between_deaths: mean time between deaths, M, in seconds.
        restart: time from a death until training goes on, R, in seconds.
        cost: time that training stands still for one checkpoint, C, in seconds.
    """
    return max(math.sqrt(2 * (between_deaths + restart) * cost), cost / LARGEST_STANDSTILL)


def seconds_between_deaths(statistics: FailureStatistics) -> float:
    """Mean working time per death, one death at the prior's rate counted in beforehand."""
    return (PRIOR_SECONDS_BETWEEN_DEATHS + statistics.worked_seconds) / (1 + statistics.deaths)


@dataclass(frozen=True)
class CheckpointPolicy:
    """How often a training is checkpointed, once the runner has measured what a checkpoint costs."""

    between_deaths: float
    """Mean time between deaths, in seconds."""
    restart: float
    """Time from a death until training goes on, in seconds."""
    fixed: float | None = None
    """Seconds between two checkpoints, if the person has said so."""

    def seconds(self, cost: float | None) -> float:
        """How long to compute between two checkpoints.

        Args:
            cost: how long training stood still for the last one, in seconds; None before there was one.
        """
        if self.fixed is not None:
            return self.fixed
        if cost is None:
            return FIRST_CHECKPOINT_SECONDS
        return checkpoint_interval(self.between_deaths, self.restart, cost)
