"""How figures are written for people: units, digits, plurals.  What they mean is said elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

MISSING = "\N{EN DASH}"
"""Stands where there is no figure."""

_NAMES_SHOWN = 3
"""So many names of many are shown; who wants all of them asks for a list."""


def percent(share: float | None, digits: int = 1) -> str:
    return MISSING if share is None else f"{100 * share:.{digits}f}%"


def points(difference: float | None, digits: int = 1) -> str:
    """A difference of two shares in percentage points, always with its sign."""
    return MISSING if difference is None else f"{100 * difference:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def probability(p: float) -> str:
    """The p of a test: two significant digits, and no more zeros than anybody reads."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def size(count: float | None) -> str:
    """Bytes in decimal units, as disks and the paper count them."""
    if count is None:
        return MISSING
    for unit, bytes_per_unit in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        # 999.95 kB would be printed as 1,000 kB.
        if count >= 0.9995 * bytes_per_unit:
            return f"{significant(count / bytes_per_unit)} {unit}"
    return f"{count:.0f} bytes"


def milliseconds(value: float | None) -> str:
    return MISSING if value is None else significant(value)


def factor(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2f}\N{MULTIPLICATION SIGN}"


def whole(count: float | None) -> str:
    return MISSING if count is None else f"{count:,.0f}"


def significant(value: float) -> str:
    """Three significant digits without an exponent, at most four decimals: 0.312, 3.12, 31.2, 312."""
    for limit, digits in ((0.0995, 4), (0.9995, 3), (9.995, 2), (99.95, 1)):
        if abs(value) < limit:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def way_of_calling(batch: int, threads: int) -> str:
    """How many images a call of a model has, and how many threads work on it."""
    return f"batch {batch}, {counted(threads, 'thread')}"


def named(names: Sequence[str], noun: str, plural: str | None = None) -> str:
    """`1 job (a)`, `12 jobs (a, b, c and 9 more)`."""
    shown = [*names[:_NAMES_SHOWN], *([f"{len(names) - _NAMES_SHOWN:,} more"] if len(names) > _NAMES_SHOWN else [])]
    return f"{counted(len(names), noun, plural)} ({listed(shown)})"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return MISSING
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M UTC")


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""
