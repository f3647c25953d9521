"""Lives of a benchmark's workers: what each wrote down while it worked, and what was lost when it was killed.

Steps are counted from the beginning of the training, through all its jobs; times are on the machine's monotonic clock.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean, median

import numpy as np

from orchestrator.artifacts import LocalStore
from orchestrator.jobs import Artifact
from workers.console import Console

_BEGINS = re.compile(r"(\S+) begins(?: again at its step (\d+))?$")
_SHOWN = re.compile(r"(\S+)  (\d+)/\d+")
_CHECKPOINT = re.compile(r"step(\d+)\.safetensors")


class Diary:
    """A file to which a worker's threads write what happens, a line at once: it may be killed at any moment."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def note(self, what: str, job: str, step: int) -> None:
        with self._file.open("a") as file:
            file.write(json.dumps([time.monotonic(), what, job, step]) + "\n")


class DiaryConsole(Console):
    """Writes down where each attempt begins and how far it is shown to be."""

    def __init__(self, name: str, diary: Diary) -> None:
        super().__init__(name)
        self._diary = diary

    def say(self, text: str) -> None:
        super().say(text)
        if begins := _BEGINS.match(text):
            self._diary.note("begins", begins[1], int(begins[2] or 0))

    def show(self, text: str) -> None:
        super().show(text)
        if shown := _SHOWN.match(text):
            self._diary.note("shown", shown[1], int(shown[2]))


class SlowStore(LocalStore):
    """A store at the far end of a link; the checkpoints that have arrived are written down."""

    def __init__(self, directory: Path, bytes_per_second: float, diary: Diary) -> None:
        super().__init__(directory)
        self._bytes_per_second = bytes_per_second
        self._diary = diary

    def put(self, file: Path) -> Artifact:
        time.sleep(file.stat().st_size / self._bytes_per_second)
        artifact = super().put(file)
        if checkpoint := _CHECKPOINT.fullmatch(file.name):
            self._diary.note("stored", "", int(checkpoint[1]))
        return artifact

    def fetch(self, artifact: Artifact, to: Path) -> None:
        time.sleep(artifact.size / self._bytes_per_second)
        super().fetch(artifact, to)


@dataclass(frozen=True)
class Life:
    """One worker, from its first attempt to its death."""

    began_at_step: int
    shown: Sequence[tuple[float, int]]
    """When a step was seen to be done, in order."""
    stored: Sequence[tuple[float, int]]
    """When the checkpoint of a step was in the store."""
    ended: float

    @property
    def began(self) -> float:
        """When its first step began, at the pace of those that were seen."""
        assert len(self.shown) > 1, "a worker died before two of its steps were seen; let it live longer"
        (first, after), (last, until) = self.shown[0], self.shown[-1]
        return first - (after - self.began_at_step) * (last - first) / (until - after)

    def when(self, step: int) -> float:
        """When a step was done, between those that were seen."""
        times, steps = zip((self.began, self.began_at_step), *self.shown, strict=True)
        return float(np.interp(step, steps, times))

    @property
    def seconds(self) -> float:
        """From its first step to its end."""
        return self.ended - self.began


def read(file: Path, ended: float, first_steps: Mapping[str, int]) -> Life:
    """The life that a diary tells of.

    Args:
        first_steps: of each job, by name, in the whole training.
    """
    events = [json.loads(line) for line in file.read_text().splitlines()]
    begins = [first_steps[job] + step for _, what, job, step in events if what == "begins"]
    shown = [(at, first_steps[job] + step) for at, what, job, step in events if what == "shown"]
    stored = [(at, step) for at, what, _, step in events if what == "stored"]
    return Life(begins[0], shown, stored, ended)


@dataclass(frozen=True)
class Waste:
    """What deaths cost, in seconds for each; the lives' last is not among them, since it came to its end."""

    deaths: int
    between: float
    """From a life's first step to its death."""
    lost: float
    """From the step that the next life went on from to the death."""
    checkpoints: float
    """How many a life stored."""
    until_safe: float
    """From a checkpoint's step until it was in the store."""


def waste(lives: Sequence[Life]) -> Waste:
    died = [(life, following) for life, following in pairwise(lives)]
    return Waste(
        deaths=len(died),
        between=mean(life.seconds for life, _ in died),
        lost=mean(life.ended - life.when(following.began_at_step) for life, following in died),
        checkpoints=mean(len(life.stored) for life, _ in died),
        until_safe=median(at - life.when(step) for life in lives for at, step in life.stored),
    )
