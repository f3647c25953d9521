"""What a worker's wall time goes into while two of them do the demonstration's study.

    ORCH_DATA=... python benchmarks/worker_time.py

The share in training steps, of a worker's whole life (loading TensorFlow included) and of the time in which it
held training jobs; the rest of the latter is building and compiling networks, checkpoints, uploads and commits.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from orchestrator.commands import demo
from orchestrator.home import Home
from orchestrator.jobs import Job, Stage
from orchestrator.planning import publishing


@dataclass(frozen=True)
class Spent:
    """Seconds of one worker."""

    worker: str
    life: float
    jobs: float
    training_jobs: float
    steps: float


def main() -> None:
    dataset, _ = demo.dataset_or_synthetic(None)
    study = demo.tiny_study(dataset.description.name)
    with tempfile.TemporaryDirectory(prefix="orch-worker-time-") as directory:
        home = Home.open(publishing.publish(study, Path(directory) / "home", None, dataset).home)
        lives = _lives(home, ["w1", "w2"])
        rows = [_spent(home, worker, life) for worker, life in lives.items()]
    print(f"{dataset.description.name}; seconds")
    print("worker   life   jobs  training jobs  steps   of life  of training jobs")
    for row in rows:
        print(
            f"{row.worker:6} {row.life:6.1f} {row.jobs:6.1f} {row.training_jobs:14.1f} {row.steps:6.1f}"
            f" {row.steps / row.life:9.1%} {row.steps / row.training_jobs:17.1%}"
        )


def _lives(home: Home, names: list[str]) -> dict[str, float]:
    """Run one worker process of each name to its end; seconds from its start to its end."""
    began = time.monotonic()
    processes = {
        name: subprocess.Popen(
            [sys.executable, "-P", "-m", "workers", "--home", home.url, "--name", name], stdout=subprocess.DEVNULL
        )
        for name in names
    }
    lives: dict[str, float] = {}
    while len(lives) < len(processes):
        for name, process in processes.items():
            if name not in lives and process.poll() is not None:
                assert process.returncode == 0, f"{name} ended with {process.returncode}"
                lives[name] = time.monotonic() - began
        time.sleep(0.05)
    return lives


def _spent(home: Home, worker: str, life: float) -> Spent:
    jobs: dict[str, Job] = {job.id: job for job in home.jobs.jobs()}
    own = [attempt for attempt in home.jobs.attempts() if attempt.worker == worker and attempt.ended is not None]
    held = {attempt.job: attempt.last_sign - attempt.started for attempt in own}
    training = [job for job in held if jobs[job].stage is Stage.TRAIN]
    return Spent(
        worker=worker,
        life=life,
        jobs=sum(held.values()),
        training_jobs=sum(held[job] for job in training),
        steps=sum((jobs[job].metrics or {})["seconds"] for job in training),
    )


if __name__ == "__main__":
    main()
