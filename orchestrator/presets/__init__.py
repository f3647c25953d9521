"""Ready-made studies, as the files that `orch init` writes."""

from __future__ import annotations

from importlib.resources import files

NAMES = ("tiny", "paper", "strong")


def text(name: str) -> str:
    """The study file of a preset."""
    assert name in NAMES, f"the presets are {', '.join(NAMES)}"
    return files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
