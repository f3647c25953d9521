"""Why a study file is refused: pydantic's complaint as one sentence, with the line of the file.

What a study may say lives in `orchestrator.study`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from pydantic import BaseModel
from pydantic_core import ErrorDetails

_PYDANTICS_OWN = ("function-after", "constrained-float")
"""Parts of a complaint's place that say how pydantic validates, and are no keys."""


def sentence(
    error: ErrorDetails, text: str, source: str, root: type[BaseModel], sections: Mapping[str, type[BaseModel]]
) -> str:
    """One sentence from one of pydantic's complaints: where, what was found, what is allowed.

    Args:
        text: of the file that `source` calls.
        root: what the file's top is, and `sections` what the tables and lists below it are, by their keys.
    """
    path = [part for part in error["loc"] if part not in _PYDANTICS_OWN]
    line = _line_of(path, text)
    where = f"{source}, line {line}" if line else source
    key = _key(path)
    found = error["input"]
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown key {key!r}; {_what_was_meant(path, root, sections)}"
    if error["type"] == "missing":
        return f"{where}: the key {key!r} is missing."
    reason = error["msg"].removeprefix("Value error, ")
    reason = reason[:1].lower() + reason[1:]
    if isinstance(found, dict | list | tuple) or not key:
        return f"{where}: {key + ': ' if key else ''}{reason}."
    return f"{where}: {key} = {found!r} is not allowed: {reason}."


def _key(path: list[int | str]) -> str:
    """`('models', 1, 'compress', 0)` -> `models[1].compress[0]`, counted from 0 as in the file's order."""
    key = ""
    for part in path:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    return key


def _what_was_meant(path: list[int | str], root: type[BaseModel], sections: Mapping[str, type[BaseModel]]) -> str:
    section = root
    for part in path[:-1]:
        if isinstance(part, str):
            section = sections.get(part, section)
    names = list(section.model_fields)
    close = difflib.get_close_matches(str(path[-1]), names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"allowed are {', '.join(names)}."


def _line_of(path: list[int | str], text: str) -> int | None:
    """The line on which a key stands, found by its table's header and its name; None if it is not written there.

    tomllib keeps no positions; a key inside an inline table is found on the line of that table.
    """
    lines = text.splitlines()
    start = 0
    names = [part for part in path if isinstance(part, str)]
    index = next((part for part in path if isinstance(part, int)), 0)
    if len(names) > 1 or (names and names[0] in ("models",)):
        pattern = re.compile(rf"^\s*\[+\s*{re.escape(names[0])}\s*\]+")
        headers = [number for number, line in enumerate(lines) if pattern.match(line)]
        if not headers:
            return None
        start = headers[min(index, len(headers) - 1)]
    for name in reversed(names):
        for number in range(start, len(lines)):
            if re.match(rf"^\s*(\S+\.)?\"?{re.escape(name)}\"?\s*=", lines[number]):
                return number + 1
            if number > start and lines[number].lstrip().startswith("["):
                break
    return start + 1 if names and start else None
