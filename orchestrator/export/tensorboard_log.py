"""Runs as TensorBoard reads them: a directory for each, with curves, figures and hyperparameters."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from models.files import replace_file
from orchestrator.errors import DiskError
from orchestrator.export import libraries
from orchestrator.export.names import allowed
from orchestrator.export.runs import Run

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

_REFUSED = re.compile(r"[^-/\w.]")
"""What tensorboardX takes in no tag."""
_LONGEST_NAME = 240

_FILE = "events.out.tfevents.0.orch"
"""One name, so that an export takes the place of the one before: TensorBoard knows a file by `tfevents` in its name."""


def require() -> None:
    """Raises UsageError if tensorboardX is not installed."""
    libraries.need("tensorboardX", "tensorboard", "TensorBoard")


def write(runs: Iterable[Run], directory: Path) -> None:
    """Write `STUDY/MODEL/seedN/` below the directory for each run.  Raises DiskError."""
    for run in runs:
        place = directory / run.study / run.name
        try:
            with tempfile.TemporaryDirectory(prefix="orch-export-") as scratch:
                _write(run, Path(scratch))
                (events,) = Path(scratch).iterdir()
                replace_file(place / _FILE, events.read_bytes())
        except OSError as error:
            raise DiskError(
                f"{place} cannot be written: {error.strerror or error}; choose another directory."
            ) from error


def _write(run: Run, scratch: Path) -> None:
    from tensorboardX import SummaryWriter

    last = run.curve[-1] if run.curve else None
    measured = allowed({each.name: each for each in run.measured}, _REFUSED, _LONGEST_NAME)
    with SummaryWriter(str(scratch)) as writer:
        _write_hyperparameters(writer, run, [name for name, each in measured.items() if each.name.endswith("/top1")])
        for sample in run.curve:
            for name, value in (("loss", sample.loss), ("images_per_second", sample.images_per_second)):
                if value is not None:
                    writer.add_scalar(name, value, sample.step, sample.time)
        for name, each in measured.items():
            writer.add_scalar(name, each.value, last.step if last else 0, each.time)


def _write_hyperparameters(writer: SummaryWriter, run: Run, results: Iterable[str]) -> None:
    """For TensorBoard's table of runs: what each was trained with, beside the figures that it came to.

    `SummaryWriter.add_hparams` would put them into a run of their own, at the time of the export.

    Args:
        results: the names of those figures, beside the loss.
    """
    from tensorboardX.summary import hparams

    for summary in hparams(dict(run.parameters), dict.fromkeys(("loss", *results), 0.0)):
        writer.file_writer.add_summary(summary, walltime=run.began)
