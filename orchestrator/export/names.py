"""Names of figures and parameters in the characters that a tool takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def allowed(values: Mapping[str, T], refused: re.Pattern[str], longest: int) -> dict[str, T]:
    """The same values under names that a tool takes; of two names that become the same, the second is numbered.

    Args:
        refused: the characters that it does not take, for which `_` stands.
        longest: how many it takes.
    """
    named: dict[str, T] = {}
    for name, value in values.items():
        plain = refused.sub("_", name)[:longest]
        free, number = plain, 2
        while free in named:
            free, number = f"{plain}_{number}", number + 1
        named[free] = value
    return named
