"""With which built-in architectures a proof is repeated: as `pytest` marks."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from models.architectures import catalog
from tests.support.repetitions import repetitions

ONE_OF_A_KIND = ("alexnet-tiny", "alexnet-residual-small", "vit-tiny", "vit-spt-small", "cct-small")
OF_EVERY_KIND = tuple(name for name in catalog.names() if f"{name}-small" not in catalog.names())
"""The full widths have the layers of the small ones."""


def each(names: Collection[str] = catalog.names(), *, often: Collection[str] = ONE_OF_A_KIND) -> pytest.MarkDecorator:
    """A test is given their `name`; it is slow with those that are not made often."""
    return pytest.mark.parametrize("name", repetitions(names, often=often))
