"""What computes for the workers that tests start: TensorFlow, or a stand-in that begins at once.

How a worker hands jobs over, loses and replaces its runner, is asked to end and goes on elsewhere is the supervisor's
doing, and the same with both: the stand-in (`fast_motion.stand_in`) is started, spoken to and killed as the real one,
and its digests tell of every step.  Whoever asks for the fixture `runner` is proved with the stand-in, and once more
with TensorFlow among the slow tests, unless the test is `the_same_with_both`.  That a *training* ends in the same bits
is proved with TensorFlow alone, in `acceptance/test_kills.py`, `acceptance/test_damage.py` and
`integration/test_training_is_exact.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fast_motion.stand_in import STEP_SECONDS

from workers.runner.process import RUNNER

_ROOT = Path(__file__).parents[2]
COMPUTE_NOTHING = """
import functools
from orchestrator.jobtable.backends import sqlite
from orchestrator.jobtable.transactions import leases
from workers import cli, session, supervisor
supervisor.Settings = functools.partial(supervisor.Settings, runner="fast_motion.stand_in")
# What a worker only waits for; with TensorFlow all of it is waited out.
supervisor._STEP_BACK_SECONDS = 0.5
session._STOP_SECONDS = 4.0
leases.FIRST_BACK_OFF_SECONDS = 0.5
sqlite.BUSY_SECONDS = 2.0
"""
"""What Python runs so that a worker in the same process has the stand-in."""


@dataclass(frozen=True)
class Runner:
    """How to start workers that compute so."""

    module: str
    worker: tuple[str, ...]
    """What Python runs to be `orch-worker`; the command's options follow."""
    load_seconds: float
    """Within which it has usually begun to compute."""
    environment: Mapping[str, str]

    def paced(self, step_seconds: float) -> Runner:
        """The same, whose steps take so long if it is the stand-in."""
        return replace(self, environment={**self.environment, STEP_SECONDS: str(step_seconds)})


TENSORFLOW = Runner(RUNNER, ("-P", "-m", "workers"), 20.0, {})
STAND_IN = Runner(
    "fast_motion.stand_in",
    ("-P", "-c", f"{COMPUTE_NOTHING}cli.main()\n"),
    4.0,
    {
        "PYTHONPATH": os.pathsep.join([str(_ROOT / "benchmarks"), str(_ROOT), os.environ.get("PYTHONPATH", "")]),
        STEP_SECONDS: "0.01",
    },
)


@pytest.fixture(
    name="runner",
    scope="module",
    params=[
        pytest.param(STAND_IN, id="stand-in"),
        pytest.param(TENSORFLOW, id="TensorFlow", marks=pytest.mark.slow),
    ],
)
def fixture_runner(request: pytest.FixtureRequest) -> Runner:
    found: Runner = request.param
    return found


the_same_with_both = pytest.mark.parametrize("runner", [STAND_IN], indirect=True, ids=["stand-in"])
"""For a test in which the runner only computes, and neither dies nor is spoken to in an unusual way: one with
TensorFlow could not fail while this one and those of real trainings pass."""
