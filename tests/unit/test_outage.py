"""Trouble with the home is told once, met again ever more rarely, and given up only where nobody mends it."""

from __future__ import annotations

import itertools
import time
from io import StringIO
from typing import cast

import pytest

from orchestrator.errors import HomeClosed, HomeError
from orchestrator.google_drive.refusals import not_signed_in
from workers.console import Console
from workers.outage import PERSON_SECONDS, UNMENDABLE_SECONDS, Outage

UNREACHABLE = HomeError("The home cannot be reached.")
CLOSED = HomeClosed("The folder is in the bin; restore it.")
REVOKED = not_signed_in("the sign-in was revoked")


class Clock:
    """The monotonic one, as the test sets it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    set_by_hand = Clock()
    monkeypatch.setattr(time, "monotonic", set_by_hand)
    return set_by_hand


def outage(*, in_notebook: bool = False) -> Outage:
    return Outage(Console("w1", StringIO()), lambda _: None, in_notebook=in_notebook)


def said(trouble: Outage) -> list[str]:
    trouble._console.flush()
    return cast(StringIO, trouble._console._stream).getvalue().splitlines()


def seconds_until_given_up(trouble: Outage, error: HomeError, clock: Clock) -> float:
    for _ in range(1000):
        try:
            clock.now += trouble.met(error)
        except HomeError:
            return clock.now
    return float("inf")


def test_it_is_told_once_with_what_to_do_and_again_when_it_is_over(clock: Clock) -> None:
    trouble = outage()
    for _ in range(50):
        clock.now += trouble.met(UNREACHABLE)
    assert len(said(trouble)) == 1 and str(UNREACHABLE) in said(trouble)[0]
    trouble.over()
    assert "can be reached again" in said(trouble)[1]
    trouble.over()
    trouble.met(UNREACHABLE)
    assert len(said(trouble)) == 3, "another trouble is told anew"


def test_the_tries_become_rarer_and_a_lease_is_still_renewed_in_time() -> None:
    trouble = outage()
    pauses = [trouble.met(UNREACHABLE) for _ in range(10)]
    assert all(before <= after for before, after in itertools.pairwise(pauses))
    assert pauses[0] <= 2.0 and pauses[-1] == 60.0
    assert trouble.met(UNREACHABLE, lease_seconds=60.0) == 20.0
    trouble.over()
    assert trouble.met(UNREACHABLE) == pauses[0]


def test_a_network_is_waited_for_for_ever(clock: Clock) -> None:
    assert seconds_until_given_up(outage(), UNREACHABLE, clock) == float("inf")


@pytest.mark.parametrize("in_notebook", [False, True])
def test_what_a_person_can_mend_is_waited_for_until_they_may_have_come_back(clock: Clock, in_notebook: bool) -> None:
    trouble = outage(in_notebook=in_notebook)
    assert PERSON_SECONDS <= seconds_until_given_up(trouble, CLOSED, clock) <= PERSON_SECONDS + 60
    assert len(said(trouble)) == 1 and "tries again for 60 min" in said(trouble)[0]


def test_a_revoked_sign_in_is_waited_for_only_where_one_can_sign_in_beside_the_worker(clock: Clock) -> None:
    assert seconds_until_given_up(outage(), REVOKED, clock) >= PERSON_SECONDS
    clock.now = 0.0
    assert UNMENDABLE_SECONDS <= seconds_until_given_up(outage(in_notebook=True), REVOKED, clock) <= 120


def test_what_was_mended_meanwhile_is_waited_for_anew(clock: Clock) -> None:
    trouble = outage()
    trouble.met(CLOSED)
    clock.now += PERSON_SECONDS - 1
    trouble.over()
    trouble.met(CLOSED)
    clock.now += PERSON_SECONDS - 1
    trouble.met(CLOSED)
