"""Where a person's own files lie, by the XDG Base Directory Specification 0.8; not every user has such a place.

A container's user often has none: HOME is not set, and no line of /etc/passwd names another.
"""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path | None:
    """This person's home directory; None if they have none."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def cache() -> Path | None:
    """For what can be had again; None if there is no place for it."""
    return _named("XDG_CACHE_HOME") or _at_home(".cache")


def config() -> Path | None:
    """For settings and sign-ins; None if there is no place for them."""
    return _named("XDG_CONFIG_HOME") or _at_home(".config")


def state() -> Path | None:
    """For what is worth keeping and true of this machine alone, such as logs; None if there is no place for it."""
    return _named("XDG_STATE_HOME") or _at_home(".local/state")


def _named(variable: str) -> Path | None:
    """The specification has a relative path there ignored."""
    named = Path(os.environ.get(variable, ""))
    return named if named.is_absolute() else None


def _at_home(name: str) -> Path | None:
    place = home()
    return None if place is None else place / name
