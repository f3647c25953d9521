"""What strikes a study, and when: a pure function of the campaign's seed and the study's number."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Strike:
    """One fault, before it is known what it will find."""

    number: int
    """From 1, within its study."""
    after: float
    """Seconds since the one before."""
    fault: str
    victim: float
    """Which of all that it could befall, from 0 up to 1."""
    seconds: float
    """How long it lasts, if it is one that lasts."""
    detail: float
    """For whatever else is left to chance, from 0 up to 1."""

    def __str__(self) -> str:
        return f"#{self.number} {self.fault}"


@dataclass(frozen=True)
class Standing:
    """A fault that lasts."""

    seconds: float
    lift: Callable[[], None]
    """Raises NotYet if it lasts a little longer."""
    missing: str | None = None
    """The location of an artifact that the fault has taken away: a job that needs it may use up its tries meanwhile."""


class NotYet(Exception):
    """A fault cannot be lifted just now; a moment later it can."""


class Missed(Exception):
    """There was nothing that the fault could have befallen."""


Blow = Callable[[Strike], Standing | None]
"""Does what a strike says.  Raises Missed."""

WEIGHTS: Mapping[str, float] = {"kill worker": 5.0, "kill supervisor": 3.0, "freeze worker": 2.0, "kill runner": 2.0}
"""How often a fault is chosen, beside 1 for all others."""


@dataclass(frozen=True)
class Tempo:
    """How hard a study is struck."""

    between: float
    """Seconds from strike to strike, in the mean."""
    lasting: float
    """Seconds that a fault lasts, in the mean; never more than four times that."""
    strikes: int
    """After so many a study is left to end in peace: no faults may come so densely that nothing is ever done."""


def schedule(key: str, faults: Sequence[str], tempo: Tempo) -> Iterator[Strike]:
    """The strikes of one study, in order.

    Args:
        key: the campaign's seed and the study's number.
        faults: the names of those that can befall a study on its home.
    """
    chance = random.Random(key)
    weights = [WEIGHTS.get(fault, 1.0) for fault in faults]
    for number in range(1, tempo.strikes + 1):
        yield Strike(
            number,
            after=chance.expovariate(1 / tempo.between),
            fault=chance.choices(faults, weights)[0],
            victim=chance.random(),
            seconds=min(chance.expovariate(1 / tempo.lasting), 4 * tempo.lasting),
            detail=chance.random(),
        )


def chosen(of: Sequence[object], strike: Strike) -> int:
    """Which of these a strike befalls.  Raises Missed if there are none."""
    if not of:
        raise Missed
    return int(strike.victim * len(of))
