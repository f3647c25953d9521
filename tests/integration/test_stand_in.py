"""The campaign's stand-in for a runner: spoken to as the real one, and as sensitive to every step."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from fast_motion.stand_in import STEP_SECONDS

from tests.support.processes import PATIENCE_SECONDS
from workers.checkpoint_policy import CheckpointPolicy
from workers.runner.messages import (
    CheckpointDiscarded,
    CheckpointWritten,
    Finished,
    Message,
    Ready,
    RunJob,
    Stop,
    Stopped,
)
from workers.runner.process import RunnerDied, RunnerProcess

STEPS = 20
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
Kind = TypeVar("Kind", bound=Message)


class StandIn:
    """A process, and what it says."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._said: queue.SimpleQueue[Message | RunnerDied] = queue.SimpleQueue()
        self.process = RunnerProcess(1, place, self._said.put, "fast_motion.stand_in")
        self._jobs = 0

    def hear(self, kind: type[Kind]) -> Kind:
        """The next message of this kind."""
        while not isinstance(said := self._said.get(timeout=PATIENCE_SECONDS), kind):
            assert not isinstance(said, RunnerDied), said
        return said

    def order(self, state: str | None = None, steps: int = STEPS) -> None:
        """One visit of so many steps, with a checkpoint whenever one can be written."""
        self._jobs += 1
        directory = self._place / f"job{self._jobs}"
        directory.mkdir()
        shard = self._place / "shard"
        shard.write_text("images")
        visit = {"first_step": 0, "steps": steps}
        spec = {"training": {"seed": 0}, "visit": visit}
        inputs = {"shard": str(shard)}
        self.process.send(
            RunJob("a" * 32, "train", spec, inputs, state, None, str(directory), CheckpointPolicy(1.0, 1.0, 0.0))
        )

    def trained(self, state: str | None = None, steps: int = STEPS) -> str:
        self.order(state, steps)
        return str(self.hear(Finished).metrics["weights_sha256"])


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], StandIn]]:
    monkeypatch.setenv("PYTHONPATH", f"{BENCHMARKS}:{BENCHMARKS.parent}")
    monkeypatch.setenv(STEP_SECONDS, "0.05")
    started: list[StandIn] = []

    def start() -> StandIn:
        (tmp_path / str(len(started))).mkdir()
        started.append(StandIn(tmp_path / str(len(started))))
        started[-1].hear(Ready)
        return started[-1]

    yield start
    for one in started:
        one.process.end()


def test_stopped_and_gone_on_elsewhere_it_ends_in_the_same_digest(stand_in: Callable[[], StandIn]) -> None:
    stopped = stand_in()
    stopped.order()
    stopped.hear(CheckpointWritten)
    stopped.process.send(Stop())
    last = stopped.hear(CheckpointWritten)
    stopped.hear(Stopped)
    assert 0 < last.job_step < STEPS
    assert stand_in().trained(state=last.path) == stand_in().trained()


def test_killed_and_gone_on_from_its_checkpoint_it_ends_in_the_same_digest(stand_in: Callable[[], StandIn]) -> None:
    killed = stand_in()
    killed.order()
    checkpoint = killed.hear(CheckpointWritten)
    killed.process.kill()
    assert stand_in().trained(state=checkpoint.path) == stand_in().trained()


def test_a_step_less_is_another_digest(stand_in: Callable[[], StandIn]) -> None:
    assert stand_in().trained(steps=STEPS - 1) != stand_in().trained()


def test_a_damaged_state_is_discarded(stand_in: Callable[[], StandIn]) -> None:
    runner = stand_in()
    runner.order()
    state = Path(runner.hear(Finished).outputs["state"])
    content = bytearray(state.read_bytes())
    content[-1] ^= 1
    state.write_bytes(content)
    runner.order(state=str(state))
    assert "damaged" in runner.hear(CheckpointDiscarded).reason
