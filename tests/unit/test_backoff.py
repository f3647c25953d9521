"""Whoever fails waits longer each time, and not together with the others."""

from __future__ import annotations

from orchestrator.backoff import longest_pause, random_pause


def test_a_pause_is_twice_the_one_before_up_to_a_limit() -> None:
    assert [longest_pause(failures, 2.0, 10.0) for failures in (1, 2, 3, 4, 2000)] == [2.0, 4.0, 8.0, 10.0, 10.0]


def test_pauses_at_random_lie_apart_and_within_the_longest() -> None:
    pauses = [random_pause(3, 2.0, 60.0) for _ in range(500)]
    assert 0 <= min(pauses) < 1.0 and 7.0 < max(pauses) <= 8.0
