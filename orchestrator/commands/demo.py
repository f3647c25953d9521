"""What `orch demo` does: the whole way on this machine, with a worker that is killed on purpose.

Two workers train two small networks; one worker is SIGKILLed half-way through a training job and another
takes its place; the trainings of the model it held are then run again undisturbed, and the weights compared.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from models import datasets
from orchestrator import presets
from orchestrator.commands import report
from orchestrator.errors import OrchError
from orchestrator.home import Home
from orchestrator.jobs import Job, JobState, Stage
from orchestrator.planning import data_source, publishing
from orchestrator.progress import terminal
from orchestrator.progress.summary import snapshot
from orchestrator.report.results import Results
from orchestrator.study import Study

_LEASE_SECONDS = 3.0
"""Short, so that nobody waits long for the killed worker's job, and that its progress is seen every second."""
_CHECKPOINT_SECONDS = 2.0
"""Twice the time between two signs of progress, so that steps after a checkpoint are seen before they are lost."""
_REFRESH_SECONDS = 0.25


class DemoError(OrchError):
    """The demonstration did not come to its end."""


@dataclass(frozen=True)
class Kill:
    """The death that was arranged."""

    worker: str
    job: str
    """The job's id."""
    job_name: str
    model: str
    step: int
    """Where the job was when it was last heard of."""


def run(directory: Path, data: Path | None) -> None:
    """Go the whole way in a fresh directory, on CIFAR-10 if it can be had.

    Raises:
        DemoError: workers ended before the study was done, or the weights differ.
        OrchError: whatever planning and reporting raise.
    """
    place = fresh(directory)
    dataset, notes = dataset_or_synthetic(data)
    go(place, tiny_study(dataset.description.name), dataset, notes)


def dataset_or_synthetic(data: Path | None) -> tuple[datasets.Dataset, tuple[str, ...]]:
    """CIFAR-10 if it can be had; else synthetic images, and a note that says so.

    Raises:
        DataError: the directory that the person named has no CIFAR-10, or a damaged one.
    """
    try:
        return data_source.load("cifar10", data), ()
    except data_source.DataError as error:
        named = data is not None or "ORCH_DATA" in os.environ
        if named or not isinstance(error.__cause__, datasets.DatasetMissing):
            raise
        return datasets.load("synthetic"), (f"CIFAR-10 could not be had here: {error}",)


def tiny_study(dataset: str) -> Study:
    """The preset `tiny`, on this data set, with leases so short that nobody waits long for a killed worker's job."""
    tiny = Study.parse(presets.text("tiny"))
    leases = tiny.leases.model_copy(update={"seconds": _LEASE_SECONDS})
    changes: dict[str, Any] = {"name": "demo", "dataset": dataset, "leases": leases}
    if dataset == "synthetic":  # fewer images: more passes, so that a visit is long enough to be killed in its middle
        training = tiny.training.model_copy(update={"epochs": 12, "epochs_per_visit": 6})
        changes |= {"train_images": None, "test_images": None, "training": training}
    return tiny.model_copy(update=changes)


def go(place: Path, study: Study, dataset: datasets.Dataset, notes: tuple[str, ...]) -> None:
    """Plan, work, kill, go on, compare, report: all below the directory `place`.  Raises DemoError."""
    console = Console()
    planned = publishing.publish(study, place / "home", None, dataset, notes)
    home = Home.open(planned.home)
    for note in notes:
        console.print(f"[bold yellow]{note}[/]")
    console.print(f"Planned {planned.jobs} jobs on {dataset.description.name} in {place}; starting two workers.")

    began = time.monotonic()
    with _workers(home, place, 2) as workers:
        kill = _see_through(home, workers, console)
    seconds = time.monotonic() - began
    console.print(f"All jobs are done after {seconds:.0f} s. Training {kill.model} once more, undisturbed, to compare.")
    same = _undisturbed_weights(study, kill.model, dataset, place, console) == _weights(home, kill.model)

    results = report.collect(home)
    report.write_and_show(results, place / "report")
    _tell(kill, results, same, console)
    if not same:
        raise DemoError(f"The weights differ from those of an undisturbed run; please report this with {place}.")


def fresh(directory: Path) -> Path:
    """The directory, or the next free name beside it: an earlier demonstration is left alone."""
    names = [directory, *(directory.with_name(f"{directory.name}-{number}") for number in range(2, 1000))]
    free = next((name for name in names if not name.exists()), None)
    if free is None:
        raise DemoError(f"There are {len(names)} demonstrations beside {directory}; remove some, or give --dir.")
    return free.absolute()


class _Workers:
    """Worker processes of one home, by name."""

    def __init__(self, home: Home, place: Path) -> None:
        self._home = home
        self._place = place
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> str:
        name = f"worker-{len(self._processes) + 1}"
        with (self._place / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [
                    sys.executable, "-P", "-m", "workers", "--home", self._home.url, "--name", name,
                    "--checkpoint-seconds", str(_CHECKPOINT_SECONDS),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        return name

    def kill(self, name: str) -> None:
        self._processes[name].send_signal(signal.SIGKILL)
        self._processes[name].wait()

    def all_ended(self) -> bool:
        return all(process.poll() is not None for process in self._processes.values())

    def log(self) -> str:
        """What the last worker printed last."""
        lines = (self._place / f"worker-{len(self._processes)}.log").read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it printed nothing"

    def end(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self._processes.values():
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def _workers(home: Home, place: Path, count: int) -> Iterator[_Workers]:
    workers = _Workers(home, place)
    try:
        for _ in range(count):
            workers.start()
        yield workers
    finally:
        workers.end()


def _see_through(home: Home, workers: _Workers, console: Console) -> Kill:
    """Show progress until every worker has ended; on the way, kill one and start another in its place."""
    kill: Kill | None = None
    for jobs in _ticks(home, workers, console):
        if kill is None and (kill := _half_way(home, jobs)) is not None:
            workers.kill(kill.worker)
            console.print(
                f"[bold red]SIGKILL[/] to {kill.worker} at step {kill.step} of {kill.job_name}; "
                f"starting {workers.start()} in its place."
            )
    if kill is None:
        raise DemoError("Every training job was over before a worker could be killed in its middle.")
    return kill


def _ticks(home: Home, workers: _Workers, console: Console) -> Iterator[list[Job]]:
    """The jobs, twice a second, until the workers have ended; the terminal shows them meanwhile.

    Raises:
        DemoError: the workers ended before the jobs did.
    """
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not workers.all_ended():
            view = snapshot("demo", home.url, home.jobs.overview())
            live.update(terminal.render(view), refresh=True)
            yield home.jobs.jobs()
            time.sleep(_REFRESH_SECONDS)
    undone = [job for job in home.jobs.jobs() if job.state is not JobState.DONE]
    if undone:
        raise DemoError(f"The workers ended before {undone[0].name} was done ({undone[0].state}): {workers.log()}")


def _half_way(home: Home, jobs: Sequence[Job]) -> Kill | None:
    """A running training job past its middle, with a checkpoint to go on from and some steps after it to lose.

    On a machine so fast that none was ever seen like that, any that is in the last round of its training.
    """
    last_round = max(job.spec["round"] for job in jobs if job.stage is Stage.TRAIN)
    for job in jobs:
        if job.stage is not Stage.TRAIN or job.state is not JobState.RUNNING or job.worker is None:
            continue
        step, steps = int(job.progress.get("step", 0)), int(job.spec["visit"]["steps"])
        saved = home.jobs.checkpoints(job.id)
        half_way = saved and saved[0].step < step and steps / 2 <= step < steps
        if half_way or 0 < last_round == job.spec["round"]:
            return Kill(job.worker, job.id, job.name, job.spec["model"], step)
    return None


def _undisturbed_weights(study: Study, model: str, dataset: datasets.Dataset, place: Path, console: Console) -> str:
    """The digest of the weights that one worker gets when nobody kills it."""
    alone = tuple(section.model_copy(update={"compress": ()}) for section in study.models if section.name == model)
    place = place / "undisturbed"
    planned = publishing.publish(study.model_copy(update={"models": alone}), place / "home", None, dataset)
    home = Home.open(planned.home)
    with _workers(home, place, 1) as workers:
        for _ in _ticks(home, workers, console):
            pass
    return _weights(home, model)


def _weights(home: Home, model: str) -> str:
    """The digest of the weights that a model's training ended with."""
    ends = [job for job in home.jobs.jobs() if job.stage in (Stage.TRAIN, Stage.MERGE) and job.spec["model"] == model]
    last = max(ends, key=lambda job: (int((job.metrics or {})["step"]), job.stage is Stage.MERGE))
    return str((last.metrics or {})["weights_sha256"])


def _tell(kill: Kill, results: Results, same: bool, console: Console) -> None:
    """What was lost to the kill."""
    lost = sum(turn.repeated_steps for turn in results.history.deaths)
    waited = max((turn.waited or 0.0 for turn in results.history.deaths), default=0.0)
    total = sum(turn.to_step - turn.from_step for turn in results.history.turns)
    console.print(
        f"\nThe kill of {kill.worker} at step {kill.step} of {kill.job_name} cost {lost} repeated steps of {total}, "
        f"and {waited:.0f} s until another worker went on from the last checkpoint."
    )
    if same:
        console.print(f"[bold green]The weights of {kill.model} equal those of an undisturbed run, bit for bit.[/]")
