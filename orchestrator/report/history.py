"""Who ran what when, and what deaths cost: attempts with their jobs' names and what was done twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.foreign_text import single_line
from orchestrator.jobs import Attempt, Ending, Job, Stage, attempts_by_job


@dataclass(frozen=True)
class Turn:
    """One attempt at one job, from its start to the last sign of life."""

    job: str
    """The job's readable name."""
    model: str
    stage: Stage
    number: int
    worker: str
    host: str
    device: str
    started: float
    """Seconds since 1970."""
    stopped: float
    """When it ended; for a dead worker, and for one that still works, when it was last heard of."""
    from_step: int
    to_step: int
    outcome: Ending | None
    """None while it runs."""
    repeated_steps: int
    """Steps that the next attempt did again, because no checkpoint held them.  A second attempt beside one that is late
    is none that follows: what both of them do is done twice on purpose."""
    waited: float | None
    """Seconds from a death's last sign of life to the next attempt; None without a death or a next one."""

    @property
    def died(self) -> bool:
        return self.outcome is Ending.EXPIRED

    def to_json(self) -> dict[str, Any]:
        keys = ("job", "worker", "host", "device", "from_step", "to_step", "repeated_steps", "waited")
        return {key: getattr(self, key) for key in keys}


@dataclass(frozen=True)
class History:
    """All turns of a study, by start."""

    turns: tuple[Turn, ...] = ()

    @property
    def workers(self) -> tuple[str, ...]:
        """By first appearance."""
        return tuple(dict.fromkeys(turn.worker for turn in self.turns))

    @property
    def deaths(self) -> tuple[Turn, ...]:
        return tuple(turn for turn in self.turns if turn.died)

    @property
    def steps(self) -> int:
        """Training steps that were computed, in fine-tunings, too; those done twice count twice."""
        return sum(max(0, turn.to_step - turn.from_step) for turn in self.turns)

    @property
    def repeated_steps(self) -> int:
        return sum(turn.repeated_steps for turn in self.turns)

    @property
    def start(self) -> float | None:
        return min((turn.started for turn in self.turns), default=None)

    @property
    def end(self) -> float | None:
        return max((turn.stopped for turn in self.turns), default=None)

    def to_json(self) -> dict[str, Any]:
        """What the study took and what deaths cost it; seconds since 1970, None where nothing has begun."""
        return {
            "started": self.start,
            "stopped": self.end,
            "workers": list(self.workers),
            "attempts": len(self.turns),
            "steps": self.steps,
            "repeated_steps": self.repeated_steps,
            "deaths": [death.to_json() for death in self.deaths],
        }


def trace(jobs: Iterable[Job], attempts: Iterable[Attempt]) -> History:
    """The history of `jobs`; attempts at other jobs (of an earlier plan) are left out."""
    by_job = attempts_by_job(attempts)
    turns = [turn for job in jobs for turn in _turns(job, by_job.get(job.id, []))]
    return History(tuple(sorted(turns, key=lambda turn: (turn.started, turn.job, turn.number))))


def _turns(job: Job, attempts: Sequence[Attempt]) -> list[Turn]:
    return [_turn(job, attempt, _following(attempt, attempts)) for attempt in attempts]


def _following(attempt: Attempt, attempts: Sequence[Attempt]) -> Attempt | None:
    """The attempt that took the job up when this one had stopped; None if another was at work on it already."""
    goes_on = attempt.outcome in (None, Ending.DONE, Ending.SUPERSEDED)
    if goes_on or any(_goes_on_beside(attempt, each) for each in attempts):
        return None
    later = (each for each in attempts if each.number > attempt.number and not _began_during(attempt, each))
    return next(later, None)


def _goes_on_beside(attempt: Attempt, other: Attempt) -> bool:
    """Whether the other was at work when this one stopped."""
    began_before = other.number < attempt.number or _began_during(attempt, other)
    return began_before and other.started < attempt.last_sign < other.last_sign


def _began_during(attempt: Attempt, other: Attempt) -> bool:
    """An attempt of a higher number that began earlier began after the clock was set back, and after this one."""
    return attempt.started <= other.started < attempt.last_sign


def _turn(job: Job, attempt: Attempt, following: Attempt | None) -> Turn:
    died = attempt.outcome is Ending.EXPIRED
    # An expired lease is noticed at the next claim, which may be hours after the death.
    stopped = attempt.last_sign
    return Turn(
        job=job.name,
        model=job.spec["model"],
        stage=job.stage,
        number=attempt.number,
        worker=single_line(attempt.worker),
        host=single_line(attempt.host),
        device=single_line(attempt.device),
        started=attempt.started,
        stopped=stopped,
        from_step=attempt.from_step,
        to_step=attempt.to_step,
        outcome=attempt.outcome,
        repeated_steps=max(0, attempt.to_step - following.from_step) if following else 0,
        waited=max(0.0, following.started - stopped) if died and following else None,
    )
