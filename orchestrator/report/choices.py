"""Which network to take for how many bytes, and for how much time: the Pareto front, as far as chance allows one.

A front of measured accuracies has steps that other test images would not show.  Here one network follows another only
where it is certainly more accurate; what costs more and is not stands beside the one before.  How a choice is put into
words is for `orchestrator.report.answer`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.report import tradeoffs, wording
from orchestrator.report.comparison import Estimate
from orchestrator.report.summaries import Summary, accuracy_lead
from orchestrator.report.tradeoffs import Point


@dataclass(frozen=True)
class Undecided:
    """A network that costs more and measured better, by less than the test images can show."""

    point: Point
    gain: Estimate


@dataclass(frozen=True)
class Step:
    """The network to take from its cost on."""

    point: Point
    top1: Estimate
    gain: Estimate | None
    """What it has more of top-1 than the step before; None for the first."""
    undecided: tuple[Undecided, ...]


@dataclass(frozen=True)
class Choice:
    """The steps of one front, by rising cost; one or more."""

    by: str
    """What a network costs: `the size of what is shipped`, `the time of a call (batch 1, 1 thread)`."""
    dearer: str
    """What a network is that costs more: `larger`, `slower`."""
    cost: Callable[[float], str]
    """Words for a cost."""
    steps: tuple[Step, ...]
    beaten: int
    """How many networks stand on no step, and beside none: another costs no more and measured as well or better."""


def choices(summaries: Sequence[Summary]) -> tuple[Choice, ...]:
    """What one bench says, by size and by time; nothing where fewer than two networks are to be chosen from."""
    by_size = tradeoffs.against_size(summaries)
    found: list[Choice] = []
    if len(by_size) > 1:
        found.append(Choice("the size of what is shipped", "larger", wording.size, *_steps(by_size, summaries)))
    call = tradeoffs.single_call(summaries)
    by_time = tradeoffs.against_latency(summaries, call.way) if call else ()
    if call and len(by_time) > 1:
        by = f"the time of a call ({call.label})"
        found.append(Choice(by, "slower", _milliseconds, *_steps(by_time, summaries)))
    return tuple(found)


def _steps(points: Sequence[Point], summaries: Sequence[Summary]) -> tuple[tuple[Step, ...], int]:
    known = {(each.model, each.method): each for each in summaries}
    steps: list[Step] = []
    undecided: list[Undecided] = []
    front = tradeoffs.frontier(points)
    for point in front:
        here = known[point.model, point.method]
        before = known[steps[-1].point.model, steps[-1].point.method] if steps else None
        gain = accuracy_lead(here, before) if before else None
        assert here.top1 is not None, "only what was measured is a point"
        if gain is not None and gain.low <= 0:
            undecided.append(Undecided(point, gain))
            continue
        steps = _closed(steps, undecided)
        steps.append(Step(point, here.top1, gain, ()))
        undecided = []
    return tuple(_closed(steps, undecided)), len(points) - len(front)


def _closed(steps: list[Step], undecided: Sequence[Undecided]) -> list[Step]:
    if not steps:
        return steps
    last = steps[-1]
    return [*steps[:-1], Step(last.point, last.top1, last.gain, tuple(undecided))]


def _milliseconds(value: float) -> str:
    return f"{wording.milliseconds(value)} ms"
