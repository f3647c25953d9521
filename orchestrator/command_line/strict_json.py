"""JSON as every reader takes it: what commands print with --json."""

from __future__ import annotations

import json
import math
from typing import Any


def text(value: Any, indent: int | None = None) -> str:
    """One object on one line, or indented by so many spaces.

    NaN and infinity, for which JSON has no word, are null; half a character, as a path has that is not UTF-8, is
    U+FFFD.
    """
    return json.dumps(_strict(value), indent=indent)


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {_strict(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value
