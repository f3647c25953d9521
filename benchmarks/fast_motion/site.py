"""Where a study of the campaign lives: a home, how workers get at it, and what can befall it.

The campaign itself looks at jobs and files past all faults that it makes on the way to them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fast_motion.files import Contents
from fast_motion.quick_worker import Access
from fast_motion.schedule import Blow
from models import datasets
from models.datasets import Dataset
from orchestrator.jobtable import JobTable
from orchestrator.study import Study


class Site(Protocol):
    """A home with a study planned in it."""

    @property
    def jobs(self) -> JobTable: ...

    @property
    def contents(self) -> Contents:
        """Its artifacts."""
        ...

    def access(self, worker: int) -> Access:
        """What the worker of this number is told."""
        ...

    def blows(self) -> Mapping[str, Blow]:
        """By the names of faults."""
        ...


@functools.cache
def dataset() -> Dataset:
    """What all studies of the campaign are trained on."""
    return datasets.load("synthetic", None)


@dataclass(frozen=True)
class Kind:
    """A kind of home."""

    name: str
    lease_seconds: float
    """The leases of its studies are as short as the home allows."""
    opened: Callable[[Study, Path], AbstractContextManager[Site]]
    """Plans a study into a new home, whose files on this machine are in a directory, which is made."""
