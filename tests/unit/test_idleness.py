"""A worker without a job looks for one often at first, and ever more rarely."""

from __future__ import annotations

import pytest

from workers.idleness import Idleness


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("waited", "pause"), [(0.0, 1.0), (19.0, 1.0), (60.0, 3.0), (200.0, 10.0), (86_400.0, 10.0)])
def test_the_longer_it_has_waited_the_longer_it_waits_up_to_a_limit(waited: float, pause: float) -> None:
    clock = Clock()
    idleness = Idleness(clock)
    assert idleness.pause() == 1.0
    clock.now += waited
    assert idleness.pause() == pytest.approx(pause)


def test_a_job_in_between_begins_it_anew() -> None:
    clock = Clock()
    idleness = Idleness(clock)
    idleness.pause()
    clock.now += 3600
    idleness.over()
    assert idleness.pause() == 1.0
