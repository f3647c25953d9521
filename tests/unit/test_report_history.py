from __future__ import annotations

from orchestrator.jobs import Ending
from orchestrator.report.history import trace
from tests.report_jobs import attempt, small_study, train


def test_steps_after_the_last_checkpoint_of_a_dead_worker_count_as_repeated() -> None:
    history = trace(*small_study())

    (death,) = history.deaths
    assert (death.worker, death.repeated_steps) == ("bob", 22)
    assert (history.repeated_steps, history.steps) == (22, 100 + 70 + 52)


def test_a_death_is_dated_by_the_last_sign_of_life_and_not_by_when_it_was_noticed() -> None:
    (death,) = trace(*small_study()).deaths

    assert (death.stopped, death.waited) == (18, 60)


def test_a_resume_from_the_very_last_step_repeats_nothing() -> None:
    job = train("vit")
    attempts = [
        attempt(job, 1, steps=(0, 40), outcome=Ending.RELEASED),
        attempt(job, 2, started=11, seen=20, ended=20, steps=(40, 100)),
    ]

    history = trace([job], attempts)

    assert history.repeated_steps == 0 and not history.deaths


def test_a_running_attempt_lasts_until_it_was_last_seen() -> None:
    job = train("vit")

    (turn,) = trace([job], [attempt(job, started=5, seen=9, ended=None, outcome=None)]).turns

    assert (turn.started, turn.stopped, turn.outcome) == (5, 9, None)


def test_attempts_at_jobs_of_an_earlier_plan_are_left_out() -> None:
    assert trace([train("vit")], [attempt(train("gone"))]).turns == ()


def test_workers_are_listed_by_first_appearance() -> None:
    jobs, attempts = small_study()

    assert trace(jobs, attempts[::-1]).workers == ("ann", "bob")
