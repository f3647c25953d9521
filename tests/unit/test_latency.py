from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle, groupby, repeat

import pytest

from models.measurement.latency import measure


class FakeMachine:
    """A clock that moves only while something runs, and the order in which things ran."""

    def __init__(self) -> None:
        self.now = 0.0
        self.order: list[str] = []

    def clock(self) -> float:
        return self.now

    def program(self, name: str, milliseconds: Iterator[float]) -> Callable[[], None]:
        def run() -> None:
            self.order.append(name)
            self.now += next(milliseconds) / 1e3

        return run


@pytest.fixture
def machine() -> FakeMachine:
    return FakeMachine()


def test_percentiles_are_of_the_measured_runs_only(machine: FakeMachine) -> None:
    block = [500.0, *[float(run) for run in range(1, 11)]]  # the run that warms the caches, then ten measured
    program = machine.program("candidate", iter([900.0, *block]))
    latency = measure(program, min_runs=10, min_seconds=0, warmup=1, clock=machine.clock)
    assert latency.runs == 10
    assert latency.p50_ms == pytest.approx(5.5)
    assert latency.p90_ms == pytest.approx(9.1)
    assert latency.p99_ms == pytest.approx(9.91)


def test_a_candidate_without_reference_is_its_own(machine: FakeMachine) -> None:
    latency = measure(machine.program("candidate", repeat(3.0)), clock=machine.clock)
    assert latency.speedup == 1.0


def test_a_candidate_of_less_than_half_the_time_is_more_than_twice_as_fast(machine: FakeMachine) -> None:
    latency = measure(
        machine.program("candidate", repeat(2.0)), machine.program("reference", repeat(5.0)), clock=machine.clock
    )
    assert latency.speedup == pytest.approx(2.5)
    assert latency.p50_ms == pytest.approx(2.0)


def test_candidate_and_reference_take_turns(machine: FakeMachine) -> None:
    measure(
        machine.program("candidate", repeat(2.0)),
        machine.program("reference", repeat(5.0)),
        min_runs=30,
        min_seconds=0,
        warmup=0,
        clock=machine.clock,
    )
    turns = [(name, len(list(runs))) for name, runs in groupby(machine.order)]
    assert turns == [("candidate", 11), ("reference", 11)] * 3


def test_a_machine_that_turns_slow_half_way_leaves_the_ratio_alone(machine: FakeMachine) -> None:
    def slowing(base: float) -> Iterator[float]:
        while True:
            yield base if machine.now < 1.0 else 4 * base

    latency = measure(
        machine.program("candidate", slowing(2.0)),
        machine.program("reference", slowing(6.0)),
        min_runs=400,
        clock=machine.clock,
    )
    assert latency.speedup == pytest.approx(3.0)
    assert latency.p50_ms == pytest.approx(8.0)


def test_a_neighbour_that_slows_most_runs_of_one_side_leaves_the_ratio_alone(machine: FakeMachine) -> None:
    disturbed = cycle([3.0, 3.0, 2.0, 3.0])
    latency = measure(
        machine.program("candidate", disturbed), machine.program("reference", repeat(10.0)), clock=machine.clock
    )
    assert latency.speedup == pytest.approx(5.0)
    assert latency.p50_ms == pytest.approx(3.0)


def test_a_fast_candidate_runs_for_the_least_time(machine: FakeMachine) -> None:
    latency = measure(machine.program("candidate", repeat(0.5)), min_runs=200, min_seconds=1.0, clock=machine.clock)
    assert latency.runs == pytest.approx(2000, abs=10)


def test_a_slow_candidate_runs_the_least_number_of_times(machine: FakeMachine) -> None:
    latency = measure(machine.program("candidate", repeat(50.0)), min_runs=200, min_seconds=1.0, clock=machine.clock)
    assert latency.runs == 200


def test_a_very_slow_candidate_is_stopped_by_the_cap_with_both_sides_measured(machine: FakeMachine) -> None:
    latency = measure(
        machine.program("candidate", repeat(4_000.0)),
        machine.program("reference", repeat(8_000.0)),
        max_seconds=10.0,
        clock=machine.clock,
    )
    assert latency.runs == 1
    assert latency.speedup == pytest.approx(2.0)
    assert machine.now < 50.0


def test_no_runs_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="min_runs is 0"):
        measure(lambda: None, min_runs=0)
