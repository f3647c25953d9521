"""What a test needs that not every machine has."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """End a test that cannot be made on this machine: skipped with the reason on a person's, failed in CI."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
