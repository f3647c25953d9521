"""Failures that another try cannot mend."""

from __future__ import annotations


class PermanentFailure(Exception):
    """It follows from what a job is told and given, on whichever machine: every further try would end the same."""
