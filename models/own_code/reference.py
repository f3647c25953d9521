"""How code of a person's own is named: `FILE.py:FUNCTION`, and with its contents `FILE.py@SHA256:FUNCTION`.

A study has the first, because a person edits the file; a job has the second, so that it stays what it was.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

_LONGEST = 200
_NAMED = re.compile(
    r"(?P<path>(?:[A-Za-z_]\w*/)*[A-Za-z_]\w*\.py)(?:@(?P<digest>[0-9a-f]{64}))?:(?P<function>[A-Za-z_]\w*)", re.ASCII
)


@dataclass(frozen=True)
class Reference:
    """One function in a file."""

    path: str
    """From the study's folder, with slashes; each part is a name that Python can import."""
    function: str
    digest: str | None = None
    """SHA-256 of the bundle that the file travels in, in hexadecimal."""

    def __str__(self) -> str:
        return f"{self.path}{f'@{self.digest}' if self.digest else ''}:{self.function}"

    def pinned(self, digest: str) -> Reference:
        """The same function with these contents."""
        return dataclasses.replace(self, digest=digest)


def parse(name: str) -> Reference | None:
    """The reference that `name` is; None if it is something else, such as `package.module:function`."""
    matched = _NAMED.fullmatch(name) if len(name) <= _LONGEST else None
    return matched and Reference(matched["path"], matched["function"], matched["digest"])
