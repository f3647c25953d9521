"""Checkpoints come as often as deaths and costs make worth while."""

from __future__ import annotations

import math

import pytest

from orchestrator.jobs import FailureStatistics
from workers.checkpoint_policy import (
    FIRST_CHECKPOINT_SECONDS,
    PRIOR_SECONDS_BETWEEN_DEATHS,
    CheckpointPolicy,
    checkpoint_interval,
    seconds_between_deaths,
)


def test_the_published_example_gives_24_steps_of_15_seconds() -> None:
    assert round(checkpoint_interval(between_deaths=6000, restart=600, cost=10) / 15) == 24


def test_standing_still_never_takes_more_than_its_share() -> None:
    assert checkpoint_interval(between_deaths=10, restart=1, cost=5) == pytest.approx(5 / 0.035)


def test_the_first_checkpoint_comes_soon_and_the_next_by_what_it_cost() -> None:
    policy = CheckpointPolicy(between_deaths=6000, restart=600)
    assert policy.seconds(cost=None) == FIRST_CHECKPOINT_SECONDS
    assert policy.seconds(cost=10) == checkpoint_interval(6000, 600, 10)


def test_a_person_who_says_how_often_is_obeyed() -> None:
    policy = CheckpointPolicy(between_deaths=6000, restart=600, fixed=2.5)
    assert (policy.seconds(cost=None), policy.seconds(cost=10)) == (2.5, 2.5)


def test_without_deaths_the_longer_a_study_has_run_the_longer_it_is_trusted() -> None:
    assert seconds_between_deaths(FailureStatistics(0.0, 0)) == PRIOR_SECONDS_BETWEEN_DEATHS
    assert seconds_between_deaths(FailureStatistics(1000.0, 0)) == PRIOR_SECONDS_BETWEEN_DEATHS + 1000


def test_every_death_shortens_the_estimate() -> None:
    assert seconds_between_deaths(FailureStatistics(1800.0, 2)) == (PRIOR_SECONDS_BETWEEN_DEATHS + 1800) / 3


def test_the_estimate_is_finite_even_when_everything_dies_at_once() -> None:
    assert math.isfinite(seconds_between_deaths(FailureStatistics(0.0, 100)))
