"""Fewer points of a curve that look the same: its ends, its extremes and what must stay."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def thinned(heights: Sequence[float], most: int, keep: Collection[int] = ()) -> list[int]:
    """Which points of a curve to draw, rising: at most about `most` besides those to `keep`.

    The curve is cut into equal parts, and the lowest and the highest point of each stay; so do the two ends.

    Args:
        heights: of the points, in their order.
        keep: positions that must stay.
    """
    if len(heights) <= most:
        return list(range(len(heights)))
    parts = max(1, most // 2)
    stay = {0, len(heights) - 1, *keep}
    for part in range(parts):
        inside = range(part * len(heights) // parts, (part + 1) * len(heights) // parts)
        if inside:
            stay |= {min(inside, key=heights.__getitem__), max(inside, key=heights.__getitem__)}
    return sorted(stay)
