"""The two sorts of studies that a campaign is made of: many quick ones, and a few that train."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fast_motion.crew import QuickWorker, RealWorker, Worker
from fast_motion.quick_worker import Access
from fast_motion.schedule import Tempo
from orchestrator.study import Study

_TEXT = """
name = "campaign"
dataset = "synthetic"
train_images = {train_images}
test_images = {test_images}
shards = 2
seeds = {seeds}

[training]
mode = "{mode}"
epochs = {epochs}
epochs_per_visit = {epochs_per_visit}
threads = 1
outer = "{outer}"

[[models]]
architecture = "alexnet-tiny"
compress = {compress}
recipe = {{ batch_size = {batch_size} }}

[benchmark]
batch_sizes = [1]
threads = [1]

[leases]
seconds = {lease_seconds}
tries = 10
"""


@dataclass(frozen=True)
class Sort:
    """What studies of one sort have in common."""

    train_images: int
    test_images: int
    seeds: tuple[int, ...]
    epochs: int
    epochs_per_visit: int
    compress: tuple[str, ...]
    batch_size: int
    worker: Callable[[str, Access, Path, Path], Worker]
    """Starts one: its name, where it works, its log, and its directory for temporary files."""
    step_seconds: float
    """How long a stand-in takes for a step."""
    tempo: Tempo
    hang_seconds: float
    """After so long without progress and without a fault standing, something hangs."""

    def study(self, mode: str, lease_seconds: float) -> Study:
        return Study.parse(
            _TEXT.format(
                train_images=self.train_images,
                test_images=self.test_images,
                seeds=list(self.seeds),
                mode=mode,
                epochs=self.epochs,
                epochs_per_visit=self.epochs_per_visit,
                outer="nesterov" if mode == "average" else "mean",
                compress=list(self.compress),
                batch_size=self.batch_size,
                lease_seconds=lease_seconds,
            )
        )


QUICK = Sort(
    train_images=80,
    test_images=20,
    seeds=(0, 1),
    epochs=8,
    epochs_per_visit=2,
    compress=("float32", "float16"),
    batch_size=4,
    worker=QuickWorker,
    step_seconds=0.04,
    tempo=Tempo(between=0.3, lasting=0.7, strikes=150),
    hang_seconds=90.0,
)
"""Visits of twenty steps: in relay 24 jobs in two chains, in average mode 32."""

REAL = Sort(
    train_images=1300,
    test_images=100,
    seeds=(0,),
    epochs=12,
    epochs_per_visit=4,
    compress=("float32",),
    batch_size=64,
    worker=RealWorker,
    step_seconds=0.0,
    tempo=Tempo(between=4.0, lasting=2.0, strikes=60),
    hang_seconds=300.0,
)
"""Visits of forty steps: in relay 8 jobs in a chain, in average mode 11."""
