"""What can be wrong with a data set."""

from __future__ import annotations


class DatasetError(Exception):
    """A data set is unknown, or its files are not what they should be; the message says which."""


class DatasetMissing(DatasetError):
    """A data set's files are nowhere to be had."""
