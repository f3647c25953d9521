"""Several people at one machine, each with a user of their own: only root can be all of them.

Their commands are children of a process that has imported all of Orch as root (`tests.support.preloaded`), because
Python's own files are often root's alone; a child becomes the person and never root again.  What the packages read as
they work (the fonts of charts) must be readable to everybody.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from tests.support.lacking import lacking
from tests.support.preloaded import Preloaded

LAB = 20_001
"""A group; neither it nor the people need a line in /etc."""


@dataclass(frozen=True)
class Person:
    """A user, and the group that their files belong to."""

    number: int
    group: int
    groups: tuple[int, ...] = (LAB,)
    umask: int = 0o002


ANN = Person(10_001, 10_001)
BEN = Person(10_002, 10_002)
"""Both in the group, and each with one of their own, as Debian makes users."""


@dataclass(frozen=True)
class Done:
    """What a command ended with."""

    code: int
    printed: str
    """On standard output and error together."""


@dataclass(frozen=True)
class People:
    """What people do in one directory, each as themselves."""

    machine: Preloaded
    place: Path

    def orch(self, person: Person, *arguments: str) -> Done:
        return self._run(person, arguments=arguments)

    def python(self, person: Person, code: str) -> Done:
        """Run a few lines that use Orch."""
        return self._run(person, code=code)

    def _run(self, person: Person, **what: Any) -> Done:
        environment = {**os.environ, "HOME": "/nowhere"}
        with self.machine.busy:
            done = self.machine.run(self.place, user=vars(person), environment=environment, together=True, **what)
        return Done(done.code, done.output)


@contextmanager
def people_in_a_shared_directory(machine: Preloaded, mode: int = 0o2775) -> Iterator[People]:
    """A directory of the group's; not below pytest's own, which is root's alone."""
    _expect_that_everybody_can_read(Path(numpy.__file__).parent)
    with tempfile.TemporaryDirectory(prefix="orch-people-") as directory:
        Path(directory).chmod(0o755)
        place = Path(directory) / "place"
        place.mkdir()
        os.chown(place, 0, LAB)
        place.chmod(mode)
        yield People(machine, place)


def _expect_that_everybody_can_read(directory: Path) -> None:
    shut = next((each for each in (directory, *directory.parents) if not each.stat().st_mode & stat.S_IXOTH), None)
    if shut:
        lacking(f"only root can use the packages below {shut}, and these tests run commands as other users")
