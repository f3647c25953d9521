"""The data set that a study names: what is known of it, and its images, read once for both where it must be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from models import datasets
from orchestrator.errors import OrchError, StudyError


class DataError(OrchError):
    """The data set cannot be had, or is damaged."""


class DataSource:
    """One data set.  For one thread.

    Args:
        directory: where its files are, if anywhere in particular.
        loaded: the data set, if it is loaded already.
    """

    def __init__(self, name: str, directory: Path | None, loaded: datasets.Dataset | None = None) -> None:
        self._name = name
        self._directory = directory
        self._loaded = loaded

    def description(self) -> datasets.Description:
        """Raises StudyError: a person's own data set cannot be used."""
        if self._loaded is None and datasets.is_described(self._name):
            return datasets.describe(self._name)
        try:
            return self.images().description
        except DataError as error:
            raise StudyError(str(error)) from None

    def images(self) -> datasets.Dataset:
        """The images, with a progress bar on standard error while they are downloaded.  Raises DataError."""
        if self._loaded is None:
            self._loaded = load(self._name, self._directory)
        return self._loaded


def load(name: str, directory: Path | None) -> datasets.Dataset:
    """A data set, with a progress bar on standard error while it is downloaded.  Raises DataError."""
    try:
        with _download_bar(name) as progress:
            return datasets.load(name, directory, progress=progress)
    except datasets.DatasetError as error:
        raise DataError(str(error)) from error


@contextmanager
def _download_bar(name: str) -> Iterator[Any]:
    columns = (TextColumn("downloading " + name), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    # Rich ends a bar with a line feed where it shows none, too.
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)
