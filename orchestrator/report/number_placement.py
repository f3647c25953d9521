"""Where the numbers of a crowd of dots stand so that they can be read: arithmetic on a panel's surface.

Lengths are points (1/72 inch), x to the right, y upwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_DIGIT, _HEIGHT = 5.4, 7.6
"""A digit of 8 points, with some air."""
_DOT = 3.5
"""Half of the square that a dot takes."""
_CLOSE = 8.0
_RADII = (_CLOSE, 12.0, 16.0, 21.0, 27.0, 34.0)
_DIRECTIONS = 16

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""


@dataclass(frozen=True)
class Dot:
    """A dot and what shall stand beside it."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Offset:
    """From a dot to the middle of its text."""

    away: tuple[float, float]
    is_close: bool
    """Whether it is plain which dot it belongs to; else a line should join the two."""


def place_numbers(dots: Sequence[Dot], obstacles: Iterable[Box], room: Box) -> list[Offset]:
    """An offset for each dot, the nearest one at which its text covers no dot, no obstacle and no other text.

    Dots in the thickest crowd choose first.  Where there is no free place within reach, the least covered one is taken.
    """
    taken = [*(dot_box(dot) for dot in dots), *obstacles]
    chosen: dict[int, Offset] = {}
    for index in sorted(range(len(dots)), key=lambda index: (-_crowd(dots[index], dots), index)):
        offset, box = _best(dots[index], taken, room)
        taken.append(box)
        chosen[index] = offset
    return [chosen[index] for index in range(len(dots))]


def dot_box(dot: Dot) -> Box:
    """What a dot covers."""
    return (dot.x - _DOT, dot.y - _DOT, dot.x + _DOT, dot.y + _DOT)


def text_box(dot: Dot, offset: Offset) -> Box:
    """What the text of a dot covers."""
    x, y = dot.x + offset.away[0], dot.y + offset.away[1]
    half = _DIGIT * len(dot.text) / 2
    return (x - half, y - _HEIGHT / 2, x + half, y + _HEIGHT / 2)


def overlap(first: Box, second: Box) -> float:
    """The area that two boxes share."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return width * height if width > 0 and height > 0 else 0.0


def _best(dot: Dot, taken: Sequence[Box], room: Box) -> tuple[Offset, Box]:
    best: tuple[float, Offset, Box] | None = None
    for offset in _offsets():
        box = text_box(dot, offset)
        outside = (box[2] - box[0]) * (box[3] - box[1]) - overlap(box, room)
        covered = outside + sum(overlap(box, other) for other in taken)
        if best is None or covered < best[0] - 1e-9:
            best = (covered, offset, box)
        if best[0] <= 1e-9:
            break
    assert best is not None, "there is at least one offset"
    return best[1], best[2]


def _offsets() -> Iterable[Offset]:
    """From near to far; above first, then to the sides."""
    for radius in _RADII:
        for step in range(_DIRECTIONS):
            # 0, 1, -1, 2, -2, ... sixteenths of a turn from straight up.
            turn = (step + 1) // 2 * (1 if step % 2 else -1) * 2 * math.pi / _DIRECTIONS
            yield Offset((radius * math.sin(turn), radius * math.cos(turn)), radius == _CLOSE)


def _crowd(dot: Dot, dots: Sequence[Dot]) -> int:
    reach = _RADII[1]
    return sum(math.hypot(dot.x - other.x, dot.y - other.y) < reach for other in dots)
