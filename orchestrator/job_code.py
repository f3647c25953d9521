"""Which code of a person's own a job builds networks with, and as which of its inputs that code comes.

How a study's code is read and checked stands in `orchestrator.planning.own_code`, how it is run in `models.own_code`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from models.own_code import reference
from models.own_code.reference import Reference

_CODE, _TEACHER_CODE = "code", "teacher_code"


def artifact_name(digest: str) -> str:
    """Under which name code is published: as with a shard, it says everything that decides the contents."""
    return f"{_CODE}/{digest}"


def digests_by_input(spec: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 of the code that a job of this spec needs, by the name of the input; one code comes once."""
    named = {called: own.digest for called, own in _references(spec) if own.digest is not None}
    if named.get(_TEACHER_CODE) == named.get(_CODE):
        named.pop(_TEACHER_CODE, None)
    return named


def _references(spec: Mapping[str, Any]) -> Iterator[tuple[str, Reference]]:
    training, distil, transform = (_part(spec, key) for key in ("training", "distil", "transform"))
    architecture = spec.get("architecture", training.get("architecture"))
    for called, name in (
        (_CODE, architecture),
        (_TEACHER_CODE, distil.get("teacher", transform.get("teacher"))),
    ):
        own = reference.parse(name) if isinstance(name, str) else None
        if own is not None:
            yield called, own


def _part(spec: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A table of the spec; empty if it has none, or if somebody has written something else there."""
    part = spec.get(key)
    return part if isinstance(part, Mapping) else {}
