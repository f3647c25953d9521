"""What `orch doctor` finds.

How it looks stands in `orchestrator.commands.doctor`, and in `live_checks` of the services' rooms.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    well: bool
    told: str
    """In a sentence."""
