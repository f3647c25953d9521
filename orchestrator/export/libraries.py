"""The libraries of tools that an export needs: loaded when it is asked for, and told how to be had."""

from __future__ import annotations

from importlib import import_module

from orchestrator.errors import UsageError
from orchestrator.installation import distribution


def need(module: str, extra: str, tool: str) -> None:
    """Raises UsageError if the module of a library cannot be imported; the extra is the one that installs it."""
    try:
        import_module(module)
    except ImportError as error:
        lacking = error.name or module
        raise UsageError(
            f"An export to {tool} needs the package {lacking}; install it: "
            f"pip install '{distribution.requirement(extra)}'."
        ) from error
