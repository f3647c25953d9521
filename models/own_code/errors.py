"""What can be wrong with a person's own code."""

from __future__ import annotations

from models.failures import PermanentFailure


class OwnCodeFault(PermanentFailure):
    """A mistake in a person's own code; the message names file and line, as far as they are known."""


class UntrustedCode(PermanentFailure):
    """Code whose contents are not those that are meant; nothing of it was run."""
