"""Figures out of a job's metrics, which another process wrote: a finite number or nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.foreign_text import single_line


def number(values: Mapping[str, Any], name: str) -> float | None:
    """None if it is missing, no number, NaN or infinite."""
    value = values.get(name)
    try:
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
    except OverflowError:  # an integer that is larger than any float
        return None


def integer(values: Mapping[str, Any], name: str) -> int | None:
    value = number(values, name)
    return None if value is None else int(value)


def positive(values: Mapping[str, Any], name: str) -> float | None:
    """A time, a speed or a ratio: what is measured is above zero, and a logarithmic axis has no place for the rest."""
    value = number(values, name)
    return value if value is not None and value > 0 else None


def positive_integer(values: Mapping[str, Any], name: str) -> int | None:
    """A number of bytes, parameters or images."""
    value = integer(values, name)
    return value if value is not None and value > 0 else None


def share(values: Mapping[str, Any], name: str) -> float | None:
    """A part of a whole, from 0 to 1: beyond them there is no interval around it."""
    value = number(values, name)
    return value if value is not None and 0 <= value <= 1 else None


def line(values: Mapping[str, Any], name: str) -> str | None:
    """Text on one line, without what a terminal or a page would stumble over; None if it is missing or no text."""
    value = values.get(name)
    return single_line(value) or None if isinstance(value, str) else None


def objects(values: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A list of objects; what is none is left out."""
    value = values.get(name)
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list | tuple) else []


def interval(value: Any) -> tuple[float, float] | None:
    """`[low, high]`; None unless both are finite and in order."""
    ends = [number({"end": end}, "end") for end in value] if isinstance(value, list | tuple) else []
    low, high = ends if len(ends) == 2 else (None, None)
    return None if low is None or high is None or low > high else (low, high)


def not_finite(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the figures that are NaN or infinite, at any depth."""
    return tuple(sorted({name for name, value in _leaves("", metrics) if not _is_finite(value)}))


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(str(key), inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(name, inner)
    else:
        yield name, value


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
