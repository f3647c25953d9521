"""Ready-made studies, as the files that `orch init` writes."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from models.files import replace_file
from orchestrator.errors import UsageError

NAMES = ("tiny", "paper", "paper-cpu", "strong")


def text(name: str) -> str:
    """The study file of a preset."""
    assert name in NAMES, f"the presets are {', '.join(NAMES)}"
    return files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8")


def write(name: str, file: Path, *, over: bool) -> None:
    """Write a preset's study file, whole or not at all.

    Raises:
        UsageError: there is no such preset, or the file may not or cannot be written.
    """
    if name not in NAMES:
        raise UsageError(f"There is no preset {name!r}; the presets are {', '.join(NAMES)}.")
    if file.exists() and not over:
        raise UsageError(f"{file} exists already; give another name, or --force to write over it.")
    if file.exists() and not file.is_file():
        raise UsageError(f"{file} is no file that could be written over; give another name.")
    try:
        # A link stays one: what it leads to is written.
        replace_file(file.resolve(), text(name).encode(), parents=False)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}.") from None
