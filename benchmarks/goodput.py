"""Goodput: the share of wall time that a worker spends in training steps, over a slow link and through deaths.

    python benchmarks/goodput.py --passes 6           jobs of about 10 s, 100 MB states, a link of 20 MB/s
    python benchmarks/goodput.py --passes 6 --jobs 60 --deaths 40 --scale 15 --megabytes-per-second 300
                                                      the worker is killed every 40 s, which stands for ten minutes

Aims: at least 97 % without deaths; with deaths, wasted work (steps that were taken again, and standing still) at most
1.1 times what the best interval between checkpoints would waste: sqrt(2 M C) a death (Young 1974), for states that are
safe at once.  A state that goes to the store while the training goes on is safe later by a latency L, which is lost at
each death, whatever the interval: sqrt(2 M C) + L (Vaidya, "Impact of Checkpoint Latency on Overhead Ratio of a
Checkpointing Scheme", 1997).  Standing still for the whole of L instead would waste sqrt(2 M (C + L)).
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

import lives

from orchestrator.home import Home
from orchestrator.jobs import Job
from orchestrator.planning.publishing import publish
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deaths", type=float, help="seconds between two deaths")
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("--passes", type=int, default=3, help="over its shard that a job takes: decides how long it is")
    parser.add_argument("--megabytes-per-second", type=float, default=20.0)
    parser.add_argument("--scale", type=float, default=1.0, help="divides how long workers are taken to live at first")
    parser.add_argument("--home", help=argparse.SUPPRESS)
    parser.add_argument("--diary", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.home:
        work(options)
        return
    study = Study.parse(STUDY.format(passes=options.passes, epochs=options.jobs // 2 * options.passes))
    with tempfile.TemporaryDirectory(prefix="orch-goodput-") as directory:
        home = Home.open(publish(study, Path(directory) / "home", None).home)
        report(home, run(home, options, Path(directory)), options)


def work(options: argparse.Namespace) -> None:
    """A worker, in a process of its own."""
    from workers import checkpoint_policy
    from workers.machine.hosts import fresh_worker_name, this_host
    from workers.supervisor import Settings, Supervisor

    checkpoint_policy.PRIOR_SECONDS_BETWEEN_DEATHS /= options.scale
    home = Home.open(options.home)
    assert home.directory is not None, "the benchmark's home is a directory"
    diary = lives.Diary(options.diary)
    store = lives.SlowStore(home.directory / "artifacts", options.megabytes_per_second * 1e6, diary)
    name = fresh_worker_name(this_host())
    console = lives.DiaryConsole(name, diary)
    os._exit(Supervisor(replace(home, artifacts=store), Settings(name, this_host()), console).run())


def run(home: Home, options: argparse.Namespace, directory: Path) -> list[lives.Life]:
    """Workers one after another until all is done."""
    command = [sys.executable, __file__, "--home", home.url]
    command += ["--megabytes-per-second", str(options.megabytes_per_second), "--scale", str(options.scale)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    first_steps = {job.name: job.spec["visit"]["first_step"] for job in home.jobs.jobs()}
    lived: list[lives.Life] = []
    while home.jobs.unfinished():
        diary = directory / f"life{len(lived)}.jsonl"
        own = [*command, "--diary", str(diary)]
        with subprocess.Popen(own, stdout=subprocess.DEVNULL, env=environment, cwd=Path(__file__).parent) as worker:
            try:
                worker.wait(timeout=options.deaths)
            except subprocess.TimeoutExpired:
                worker.send_signal(signal.SIGKILL)
            lived.append(lives.read(diary, time.monotonic(), first_steps))
    return lived


def report(home: Home, lived: list[lives.Life], options: argparse.Namespace) -> None:
    jobs = home.jobs.jobs()
    state = max(artifact.size for artifact in home.jobs.outputs(jobs[-1].id).values())
    in_steps = sum(seconds_of(job) for job in jobs)
    print(f"{len(jobs)} jobs of {in_steps / len(jobs):.1f} s, states of {state / 1e6:.0f} MB")
    if options.deaths is not None:
        report_deaths(lives.waste(lived))
        return
    attempts = home.jobs.attempts()
    began = min(attempt.started for attempt in attempts)
    ended = max(attempt.last_sign for attempt in attempts)
    upload = state / options.megabytes_per_second / 1e6
    print(f"in training steps {in_steps:.1f} s of {ended - began:.1f} s from the first claim to the last commit")
    print(f"goodput {in_steps / (ended - began):.1%}")
    print(f"without the last upload, for which nothing waits: {in_steps / (ended - began - upload):.1%}")


def report_deaths(waste: lives.Waste) -> None:
    cost = standstill_seconds()
    still = waste.checkpoints * cost
    wasted = waste.lost + still
    at_once = math.sqrt(2 * waste.between * cost)
    later = at_once + waste.until_safe
    waiting = math.sqrt(2 * waste.between * (cost + waste.until_safe))
    print(f"{waste.deaths} deaths, {waste.between:.1f} s after a first step; {waste.checkpoints:.1f} checkpoints each")
    print(f"a checkpoint stands still for {cost:.3f} s and is in the store {waste.until_safe:.2f} s after its step")
    print(f"wasted {wasted:.2f} s a death: {waste.lost:.2f} s of steps taken again, {still:.2f} s of standing still")
    print(f"{wasted / later:.2f} times {later:.2f} s, the optimum with that latency")
    print(f"{wasted / at_once:.2f} times {at_once:.2f} s, the optimum if states were safe at once")
    print(f"{wasted / waiting:.2f} times {waiting:.2f} s, the optimum if the training waited for the store")


def standstill_seconds() -> float:
    """How long this network's state takes to be copied to host memory: the median of some copies."""
    script = (
        "import time, models.training.trainer as t, models.recipes as r\n"
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
