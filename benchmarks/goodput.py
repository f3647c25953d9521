"""Goodput: the share of wall time that a worker spends in training steps, over a slow link and through deaths.

    python benchmarks/goodput.py --passes 6           jobs of about 10 s, 100 MB states, a link of 20 MB/s
    python benchmarks/goodput.py --passes 6 --deaths 40 --scale 15 --megabytes-per-second 300
                                                      the worker is killed every 40 s, which stands for ten minutes

Aims: at least 97 % without deaths; with deaths, wasted work (steps that were taken again, and standing still) at most
1.1 times what the best interval between checkpoints would waste.
The worker is the real one; only its store waits as long as the bytes would take on the link.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from orchestrator.artifacts import LocalStore
from orchestrator.home import Home
from orchestrator.jobs import Artifact, Attempt, Ending, Job
from orchestrator.planning import publish
from orchestrator.study import Study

STUDY = """
name = "goodput"
dataset = "synthetic"
test_images = 100
shards = 2

[training]
epochs = {epochs}
epochs_per_visit = {passes}
threads = 2
device = "any"

[[models]]
architecture = "wide_network:build"
name = "wide"
compress = []
recipe = {{ batch_size = 64 }}

[leases]
seconds = 3
tries = 100
"""


class SlowStore(LocalStore):
    """A store at the far end of a link."""

    def __init__(self, directory: Path, bytes_per_second: float) -> None:
        super().__init__(directory)
        self._bytes_per_second = bytes_per_second

    def put(self, file: Path) -> Artifact:
        time.sleep(file.stat().st_size / self._bytes_per_second)
        return super().put(file)

    def fetch(self, artifact: Artifact, to: Path) -> None:
        time.sleep(artifact.size / self._bytes_per_second)
        super().fetch(artifact, to)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deaths", type=float, help="seconds between two deaths")
    parser.add_argument("--jobs", type=int, default=24)
    parser.add_argument("--passes", type=int, default=3, help="over its shard that a job takes: decides how long it is")
    parser.add_argument("--megabytes-per-second", type=float, default=20.0)
    parser.add_argument("--scale", type=float, default=1.0, help="divides how long workers are taken to live at first")
    parser.add_argument("--home", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.home:
        work(options.home, options.megabytes_per_second, options.scale)
        return
    study = Study.parse(STUDY.format(passes=options.passes, epochs=options.jobs // 2 * options.passes))
    with tempfile.TemporaryDirectory(prefix="orch-goodput-") as directory:
        home = Home.open(publish(study, Path(directory) / "home", None).home)
        wall = run(home, options)
        report(home, wall, options)


def work(url: str, megabytes_per_second: float, scale: float) -> None:
    """A worker, in a process of its own."""
    from workers import intervals
    from workers.console import Console
    from workers.hosts import fresh_worker_name, this_host
    from workers.supervisor import Settings, Supervisor

    intervals.PRIOR_SECONDS_BETWEEN_DEATHS /= scale
    home = Home.open(url)
    assert home.directory is not None, "the benchmark's home is a directory"
    store = SlowStore(home.directory / "artifacts", megabytes_per_second * 1e6)
    name = fresh_worker_name(this_host())
    os._exit(Supervisor(replace(home, artifacts=store), Settings(name, this_host()), Console(name)).run())


def run(home: Home, options: argparse.Namespace) -> float:
    """Workers one after another until all is done; seconds from the first start."""
    command = [sys.executable, __file__, "--home", home.url]
    command += ["--megabytes-per-second", str(options.megabytes_per_second), "--scale", str(options.scale)]
    began = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    while home.jobs.unfinished():
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment, cwd=Path(__file__).parent) as worker:
            try:
                worker.wait(timeout=options.deaths)
            except subprocess.TimeoutExpired:
                worker.send_signal(signal.SIGKILL)
    return time.monotonic() - began


def report(home: Home, wall: float, options: argparse.Namespace) -> None:
    jobs = home.jobs.jobs()
    attempts = home.jobs.attempts()
    state = max(artifact.size for artifact in home.jobs.outputs(jobs[-1].id).values())
    in_steps = sum(seconds_of(job) for job in jobs)
    print(f"{len(jobs)} jobs of {in_steps / len(jobs):.1f} s, states of {state / 1e6:.0f} MB, {wall:.0f} s in all")
    if options.deaths is None:
        began = min(attempt.started for attempt in attempts)
        ended = max(attempt.last_sign for attempt in attempts)
        upload = state / options.megabytes_per_second / 1e6
        print(f"in training steps {in_steps:.1f} s of {ended - began:.1f} s from the first claim to the last commit")
        print(f"goodput {in_steps / (ended - began):.1%}")
        print(f"without the last upload, for which nothing waits: {in_steps / (ended - began - upload):.1%}")
    else:
        report_deaths(jobs, attempts, in_steps)


def report_deaths(jobs: list[Job], attempts: list[Attempt], in_steps: float) -> None:
    """Wasted work, and what Young and Daly's interval would waste: half of it at each death, and its standstills."""
    steps = sum(job.spec["visit"]["steps"] for job in jobs)
    taken = sum(attempt.to_step - attempt.from_step for attempt in attempts)
    deaths = sum(attempt.outcome is Ending.EXPIRED for attempt in attempts)
    again = (taken - steps) / steps * in_steps / deaths
    between = in_steps * taken / steps / deaths
    cost = standstill_seconds()
    best = math.sqrt(2 * between * cost)
    print(f"{deaths} deaths, {between:.1f} s of steps between two of them; a checkpoint stands still for {cost:.3f} s")
    print(f"taken again after a death: {again:.2f} s; best interval {best:.2f} s, which wastes {best:.2f} s a death")


def standstill_seconds() -> float:
    """Of copying this network's state to host memory: the median of some."""
    script = (
        "import time, models.training as t, models.recipes as r\n"
        "trainer = t.Trainer(r.Training('wide_network:build', r.Recipe(), 0, 10, (32, 32, 3), 10))\n"
        "for _ in range(9):\n"
        "    began = time.perf_counter(); trainer.state(); print(time.perf_counter() - began)\n"
    )
    place = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{place}:{place.parent}"}
    told = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return median(map(float, told.stdout.split()))


def seconds_of(job: Job) -> float:
    assert job.metrics is not None, f"{job.name} is {job.state}"
    return float(job.metrics["seconds"])


if __name__ == "__main__":
    main()
