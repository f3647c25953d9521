"""Whatever happened to a worker and its newest checkpoint, another goes on from the one before, to the same bits.

That a training in TensorFlow survives a death, a request to end and a damage is one proof, because each worker that
loads it costs a dozen seconds of a core; `test_kills.py` kills at further moments.
"""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.numpy

from orchestrator.errors import ExitCode
from orchestrator.home import Home
from orchestrator.jobs import Checkpoint, JobState
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.support.deaths import kill_with_its_runner
from tests.support.processes import Worker, wait_until, workers
from tests.support.runners import STAND_IN, TENSORFLOW, Runner

STUDY = Study.parse("""
name = "damage"
dataset = "synthetic"
train_images = 1300
test_images = 100
shards = 1

[training]
epochs = 6
epochs_per_visit = 6
threads = 1

[[models]]
architecture = "alexnet-tiny"
compress = []

[leases]
seconds = 3
""")


def truncated_to(size: int) -> Callable[[Home, Checkpoint], None]:
    def damage(home: Home, newest: Checkpoint) -> None:
        file = file_of(home, newest)
        file.write_bytes(file.read_bytes()[:size])

    return damage


def with_a_bit_flipped(home: Home, newest: Checkpoint) -> None:
    content = bytearray(file_of(home, newest).read_bytes())
    content[len(content) // 2] ^= 1
    file_of(home, newest).write_bytes(content)


def missing(home: Home, newest: Checkpoint) -> None:
    home.artifacts.delete(newest.artifact)


def of_another_training(home: Home, newest: Checkpoint) -> None:
    rewritten(home, newest, lambda header: {**header, "provenance": {**header["provenance"], "training": "another"}})


def of_another_schema(home: Home, newest: Checkpoint) -> None:
    rewritten(home, newest, lambda header: {**header, "schema": 99})


# Each damage costs a worker; what a file can have is `integration/test_checkpoint.py`.
@pytest.mark.parametrize(
    ("damages", "runner"),
    [
        pytest.param([truncated_to(100), with_a_bit_flipped, missing], STAND_IN, id="found by the supervisor"),
        pytest.param([of_another_training], TENSORFLOW, id="found by the training"),
        pytest.param([of_another_schema], TENSORFLOW, id="found as it is read", marks=pytest.mark.slow),
    ],
)
def test_a_death_and_every_kind_of_damage_one_after_the_other_change_no_bit(
    damages: list[Callable[[Home, Checkpoint], None]], runner: Runner, tmp_path: Path
) -> None:
    undisturbed, damaged = (planned(tmp_path / name) for name in ("undisturbed", "damaged"))
    with workers(undisturbed.url, tmp_path / "undisturbed", runner=runner) as start:
        start().wait()
    slowly = runner.paced(0.06)  # two seconds for each damage
    with workers(damaged.url, tmp_path / "damaged", "--checkpoint-seconds", "0.2", runner=slowly) as start:
        victim = start()
        wait_until(lambda: bool(checkpoints(damaged)), "a checkpoint")
        kill_with_its_runner(victim)
        for damage in damages:
            worker = start()
            wait_until(lambda worker=worker: saved_by(worker, damaged), "two checkpoints of its own")  # type: ignore[misc]
            worker.process.send_signal(signal.SIGTERM)
            worker.wait(ExitCode.TRY_LATER)
            damage(damaged, checkpoints(damaged)[0])
        last = start()
        last.wait()
        logs = [log.read_text() for log in sorted((tmp_path / "damaged").glob("w*.log"))]
    assert ["goes on from another state" in log for log in logs] == [False, False] + [True] * len(damages)
    assert damaged.jobs.attempts()[1].from_step > 0, "the heir goes on from the victim's checkpoint"
    assert weights(damaged) == weights(undisturbed)


def planned(place: Path) -> Home:
    place.mkdir()
    return Home.open(publish(STUDY, place / "home", None).home)


def saved_by(worker: Worker, home: Home) -> bool:
    """Whether this worker holds the job and has named both of its checkpoints."""
    (job,) = home.jobs.jobs()
    assert job.state is not JobState.DONE, "the training was over before it could be damaged"
    attempts = home.jobs.attempts()
    held = checkpoints(home)
    own = bool(attempts) and attempts[-1].worker == worker.name
    return own and len(held) == 2 and held[1].step > attempts[-1].from_step


def checkpoints(home: Home) -> tuple[Checkpoint, ...]:
    (job,) = home.jobs.jobs()
    return home.jobs.checkpoints(job.id)


def weights(home: Home) -> str:
    (job,) = home.jobs.jobs()
    assert job.metrics is not None, f"{job.name} is {job.state}"
    return str(job.metrics["weights_sha256"])


def file_of(home: Home, checkpoint: Checkpoint) -> Path:
    assert home.directory is not None, "a home on this machine's disk"
    return home.directory / "artifacts" / checkpoint.artifact.location


def rewritten(home: Home, newest: Checkpoint, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """A whole file, kept and named as a checkpoint is, with another header."""
    assert home.directory is not None, "a home on this machine's disk"
    source = file_of(home, newest)
    with safetensors.safe_open(source, framework="numpy") as file:
        header = change(json.loads(file.metadata()["orch"]))
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    changed = home.directory / "changed.safetensors"
    changed.write_bytes(safetensors.numpy.save(arrays, {"orch": json.dumps(header, sort_keys=True)}))
    kept = home.artifacts.put(changed)
    with sqlite3.connect(home.directory / "jobs.db") as table:
        table.execute(
            "UPDATE checkpoints SET sha256 = ?, size = ?, location = ? WHERE step = ?",
            (kept.sha256, kept.size, kept.location, newest.step),
        )
