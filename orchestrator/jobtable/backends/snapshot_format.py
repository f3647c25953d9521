"""The bytes of a snapshot: a database with a note of the swaps that made it, compressed."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass

from orchestrator.errors import HomeError
from orchestrator.jobtable.schema.vetting import LARGEST_BYTES

_MAGIC = b"orch snapshot 1\n"
# The fastest: a database of rows alike shrinks to an eighth at any level.
_COMPRESSION = 1

REMEMBERED_SWAPS = 256
"""How many swaps a snapshot remembers: whoever lost an answer finds its own among them, unless more have come since."""


class NotASnapshot(HomeError):
    """The file holds something else."""


@dataclass(frozen=True)
class Snapshot:
    """One state of the whole job table."""

    generation: int
    """How many swaps it is the outcome of; 0 before the first."""
    swaps: tuple[str, ...]
    """The names that the last swaps gave themselves, newest last."""
    database: bytes
    """As SQLite serializes it; empty before the first swap."""

    def followed_by(self, swap: str, database: bytes) -> Snapshot:
        return Snapshot(self.generation + 1, (*self.swaps, swap)[-REMEMBERED_SWAPS:], database)


EMPTY = Snapshot(0, (), b"")


def encoded(snapshot: Snapshot) -> bytes:
    note = {"generation": snapshot.generation, "swaps": snapshot.swaps}
    return _MAGIC + zlib.compress(json.dumps(note).encode() + b"\n" + snapshot.database, _COMPRESSION)


def decoded(content: bytes) -> Snapshot:
    """An empty file is a table before its first swap.  Raises NotASnapshot."""
    if not content:
        return EMPTY
    if not content.startswith(_MAGIC):
        raise NotASnapshot("it is not a job table of this version of Orch")
    try:
        note, _, database = _unpacked(content[len(_MAGIC) :]).partition(b"\n")
        told = json.loads(note)
        return Snapshot(int(told["generation"]), tuple(map(str, told["swaps"])), database)
    except (zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotASnapshot(f"it is damaged ({error})") from error


def _unpacked(packed: bytes) -> bytes:
    """Raises NotASnapshot for more than a job table can be, however little it takes packed."""
    unpacking = zlib.decompressobj()
    unpacked = unpacking.decompress(packed, LARGEST_BYTES)
    if unpacking.unconsumed_tail:
        raise NotASnapshot(f"it unpacks to more than {LARGEST_BYTES >> 20} MiB, which no job table has")
    if not unpacking.eof:
        raise NotASnapshot("it is damaged (it ends too early)")
    return unpacked
