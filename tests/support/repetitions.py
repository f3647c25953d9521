"""Which repetitions of a proof the usual suite makes; CI makes them all (`pytest -m ""`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def repetitions(values: Iterable[Any], *, often: Collection[Any]) -> list[Any]:
    """The values as parameters of a test or a fixture; those that are not made often are slow."""
    every = list(values)
    missing = [value for value in often if value not in every]
    assert not missing, f"{missing} would be repeated often, and never is"
    return [value if value in often else pytest.param(value, marks=pytest.mark.slow) for value in every]
