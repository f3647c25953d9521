"""The campaign shortens pauses of a worker by their names, which somebody may change."""

from __future__ import annotations

from importlib import import_module

import pytest
from fast_motion.quick_worker import PAUSES


@pytest.mark.parametrize(("module", "pause"), PAUSES)
def test_every_pause_that_is_shortened_is_there_and_longer(module: str, pause: str) -> None:
    assert getattr(import_module(module), pause) > PAUSES[module, pause]
