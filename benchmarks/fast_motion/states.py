"""The states of a stand-in's trainings: a chain of SHA-256 over all that ever went into them, as a file and back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from models.files import replace_file

_PADDING_BYTES = 48 << 10
"""Long enough that half a file can be lost on its way, or outgrow a limit; short enough for thousands of them."""


class Damaged(Exception):
    """A file is not a whole state."""


@dataclass(frozen=True)
class State:
    """Where a training stands."""

    training: str
    """Digest of what decides the training."""
    job: str
    """The id of the job that wrote it: the files of two jobs are never equal, as with real states."""
    step: int
    """The training's step."""
    digest: str
    """The digest of every step that was taken, and of all that it read: what stands in for the weights."""


def chained(*parts: object) -> str:
    """The digest of these, in this order."""
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()


def content_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save(state: State, path: Path) -> None:
    """Write the state so that the file is whole or not there; equal states give equal bytes.  Raises OSError."""
    replace_file(path, _encoded(state))


def load(path: Path) -> State:
    """Raises Damaged."""
    content = path.read_bytes()
    try:
        state = State(**json.loads(content.partition(b"\n")[0]))
    except (ValueError, TypeError) as error:
        raise Damaged(f"{path} is not a whole state.") from error
    if content != _encoded(state):
        raise Damaged(f"{path} is damaged.")
    return state


def _encoded(state: State) -> bytes:
    head = json.dumps(asdict(state), sort_keys=True).encode()
    return head + b"\n" + hashlib.shake_256(head).digest(_PADDING_BYTES)
