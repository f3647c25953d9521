"""Text that somebody else wrote (an error, a log, a worker's name), made safe to show on a terminal or a page.

What such text must look like at all stands in `orchestrator.untrusted`.
"""

from __future__ import annotations

import re

# A terminal's colour codes; the characters that would move its cursor, or that XML does not allow; and those that turn
# the direction of writing, so that a line reads as another one (CVE-2021-42574).
_UNPRINTABLE = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]"
    r"|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)


def printable(text: str) -> str:
    """The text without characters that do anything but show; its lines are kept."""
    return "\n".join(_UNPRINTABLE.sub("", line) for line in text.splitlines())


def single_line(text: str) -> str:
    """The same on one line."""
    return " ".join(printable(text).split())
