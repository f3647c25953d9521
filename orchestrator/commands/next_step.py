"""What `orch` does when it is given no command: say how things stand in this directory, and what to do next."""

from __future__ import annotations

from pathlib import Path

from orchestrator import address
from orchestrator.home import Home
from orchestrator.progress import next_step, watching

_STUDY_FILE = Path("study.toml")
"""The file that `orch init` writes and `orch plan` reads, unless they are told another one."""


def run() -> None:
    """Raises HomeError if the home that is noted here cannot be reached, or nothing is planned in it."""
    print("\n".join(_lines()))


def _lines() -> list[str]:
    at = address.known_if_any(None, None)
    if at is None:
        return next_step.without_study(str(_STUDY_FILE) if _STUDY_FILE.exists() else None)
    return next_step.with_study(watching.look(Home.open(at.url, at.artifacts)))
