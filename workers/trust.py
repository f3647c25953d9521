"""Whose code a worker runs besides Orch's own: what the person who started it has planned or named, by SHA-256.

Everybody whom a home is shared with can plan a job into it.  Without this, all of them could run code on the machines
of all others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator import job_code


def _nothing() -> Collection[str]:
    return ()


@dataclass(frozen=True)
class Trust:
    """What a worker was told, and where it looks when it meets code that it was not told of."""

    named: Collection[str] = ()
    """SHA-256 of code, from the worker's options."""
    noted: Callable[[], Collection[str]] = _nothing
    """What `orch plan` has noted in the directory; read again each time, because a study is planned again."""

    def refusal(self, spec: Mapping[str, Any]) -> str | None:
        """Why a job of this spec is not for this worker, in a sentence; None if it is."""
        wanted = set(job_code.digests_by_input(spec).values()) - set(self.named)
        unknown = sorted(wanted and wanted - set(self.noted()))
        if not unknown:
            return None
        return (
            f"It runs code of a person's own that nobody has vouched for here (SHA-256 {unknown[0]}): start the worker "
            f"where the study was planned or, if you trust the code, with --code {unknown[0]}."
        )
