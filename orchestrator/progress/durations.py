"""How long something takes or is past, in one unit: what a person who looks now and then wants to know of it."""

from __future__ import annotations

from orchestrator.report.wording import MISSING


def duration(seconds: float | None) -> str:
    """`95 s`, `12 min`, `3.4 h`, `2.1 days`; an en dash when unknown.  `report/templates/live.js` says the same."""
    if seconds is None:
        return MISSING
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"
