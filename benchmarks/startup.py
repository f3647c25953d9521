"""How long a person waits for `orch --help` and `orch status`, as ratios to importing the libraries they stand on.

    python benchmarks/startup.py

Whole processes, taken in turns so that a noisy machine slows all of them alike; the medians are compared.
Aims: `--help` 1.0, `status` on a home with 10,000 jobs 2.0.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from orchestrator.home import Home
from orchestrator.jobs import Artifact
from orchestrator.planning.planner import make_plan
from orchestrator.study import Study

ROUNDS = 15
JOBS = 10_000

STUDY = """
name = "ten-thousand"
dataset = "synthetic"
shards = 7
seeds = {seeds}
[training]
epochs = 14
epochs_per_visit = 1
[[models]]
architecture = "alexnet-tiny"
[leases]
seconds = 60
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="orch-startup-") as directory:
        home = home_with_jobs(Path(directory))
        orch = str(Path(sys.executable).with_name("orch"))
        commands = {
            "python -c 'import typer, sqlalchemy'": [sys.executable, "-c", "import typer, sqlalchemy"],
            "orch --help": [orch, "--help"],
            f"orch status, {JOBS:,} jobs": [orch, "status", "--home", home],
            f"orch status --json, {JOBS:,} jobs": [orch, "status", "--json", "--home", home],
        }
        seconds = _in_turns(commands)
    reference = next(iter(seconds.values()))
    for name, taken in seconds.items():
        print(f"{name:40} {taken * 1000:7.0f} ms   {taken / reference:5.2f}")


def home_with_jobs(directory: Path) -> str:
    home = Home.create(directory / "home")
    plan = make_plan(Study.parse(STUDY.format(seeds=list(range(JOBS // 100)))))
    data = {name: Artifact("0" * 64, 1, name) for name in (*plan.shard_names, plan.test_name)}
    change = home.jobs.publish(plan, data)
    assert change.added == JOBS, f"the study has {change.added} jobs"
    home.jobs.close()
    return home.url


def _in_turns(commands: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Median seconds of each, after one round that warms the disk's cache and is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS + 1):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            taken[name].append(time.perf_counter() - began)
    return {name: median(each[1:]) for name, each in taken.items()}


if __name__ == "__main__":
    main()
