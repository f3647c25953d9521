"""A home's clock that is set forward and back, for workers that are told of it by a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from fast_motion.schedule import Blow, Strike
from models.files import replace_file

_AHEAD = (0.0, 4.0, -4.0, 3600.0, -3600.0)
"""Seconds.  None between half a minute and ten: set back by so little, a job's back-off or lease lasts so much longer,
which is meant to be, and would make slow motion of the campaign.  None of a day: files that were just put would seem
old enough to be swept, on a Drive whose files do not have the time of its answers.
"""


class ClockFaults:
    """The clock jumps, and goes on from there."""

    def __init__(self, set_ahead: Callable[[float], None]) -> None:
        self._set_ahead = set_ahead

    def blows(self) -> Mapping[str, Blow]:
        return {"clock jumps": self._jump}

    def _jump(self, strike: Strike) -> None:
        self._set_ahead(_AHEAD[int(strike.detail * len(_AHEAD))])


class ClockFile:
    """What `fast_motion.quick_worker` reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.set_ahead(0.0)

    def set_ahead(self, seconds: float) -> None:
        replace_file(self.path, str(seconds).encode())
