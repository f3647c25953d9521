"""What may stand in a home, which everybody whom it is shared with can write: checked here, where it enters.

A value that does not fit its pattern is refused and never repaired.  How values are quoted where they leave stands with
what they leave to: the terminal in `orchestrator.foreign_text`, a notebook's cell in
`orchestrator.worker_package.snippet`, the page in its templates, a path in the store that makes it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from orchestrator.errors import HomeError

_LONGEST_QUOTE = 60

_JOB_ID = re.compile(r"[0-9a-f]{32,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TOKEN = re.compile(r"[0-9a-f]{32}")
# As `orchestrator.study` has them: a study becomes a directory's name, a model part of a job's name.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
_DRIVE_ID = re.compile(r"[A-Za-z0-9_-]{5,200}")
# Parts between slashes, none of which leads upwards or begins like an option.
_PATH = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.+=:,-]*)(?:/[A-Za-z0-9_][A-Za-z0-9_.+=:,-]*)*")
_LONGEST_PATH = 400
# A location is its store's to understand: here it must only be a line that can be shown.
_LOCATION = re.compile(r"[\x20-\x7e]{1,1024}")


class Altered(HomeError):
    """The home holds what no Orch writes: somebody else, or another program, has written to it."""

    def __init__(self, what: str, found: object) -> None:
        quoted = ascii(found)
        shown = quoted if len(quoted) <= _LONGEST_QUOTE else f"{quoted[:_LONGEST_QUOTE]}..."
        super().__init__(
            f"The home holds {shown} as {what}, which no Orch writes: somebody who may write there has altered it; "
            "ask them, or plan into a new home with --home."
        )


@contextmanager
def understood(where: str) -> Iterator[None]:
    """Turns what Python says of values of the wrong kind, while rows are read, into a sentence about the home."""
    try:
        yield
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise HomeError(
            f"The job table of {where} cannot be understood ({type(error).__name__}): another program has written to "
            "it, or this is a fault in Orch; run it again with --debug, and report what it says."
        ) from error


def job_id(value: object) -> str:
    return _matching("a job's id", value, _JOB_ID)


def sha256(value: object) -> str:
    return _matching("a SHA-256", value, _SHA256)


def token(value: object) -> str:
    return _matching("a lease's token", value, _TOKEN)


def name(what: str, value: object) -> str:
    """A study's or model's: letters, digits, `-` and `_`."""
    return _matching(what, value, _NAME)


def path(what: str, value: object) -> str:
    """A name in parts, such as a job's (`vit/seed0/train/r03.s2`), an input's or an output's."""
    matched = _matching(what, value, _PATH)
    if len(matched) > _LONGEST_PATH:
        raise Altered(what, value)
    return matched


def location(value: object) -> str:
    return _matching("an artifact's location", value, _LOCATION)


def drive_id(what: str, value: object) -> str:
    """An id that Google Drive gave to a file or folder."""
    return _matching(what, value, _DRIVE_ID)


def is_sha256(value: str) -> bool:
    return _SHA256.fullmatch(value) is not None


def is_drive_id(value: str) -> bool:
    return _DRIVE_ID.fullmatch(value) is not None


def text(what: str, value: object) -> str:
    """Any text; whoever shows it quotes it."""
    if not isinstance(value, str):
        raise Altered(what, value)
    return value


def whole(what: str, value: object, least: int = 0) -> int:
    """An integer that is not below `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise Altered(what, value)
    return value


def number(what: str, value: object) -> float:
    """A finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise Altered(what, value)
    return float(value)


def mapping(what: str, value: object) -> dict[str, Any]:
    """An object of JSON; what its keys mean is for whoever reads them."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise Altered(what, value)
    return value


def parsed(what: str, value: object) -> Any:
    """A text of JSON, such as Python writes it (NaN and infinity are numbers)."""
    try:
        return json.loads(text(what, value))
    except (ValueError, RecursionError):
        raise Altered(what, value) from None


def member(values: Mapping[str, Any], key: str, what: str) -> Any:
    """What an object of JSON has under a key."""
    if key not in values:
        raise Altered(f"{what} without {key!r}", dict(values))
    return values[key]


def _matching(what: str, value: object, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise Altered(what, value)
    return value
