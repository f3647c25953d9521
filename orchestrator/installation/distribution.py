"""The distribution that Orch's packages come in: its name on a package index, and how a part of it is installed.

The name is not the command's, `orch`: what is called so on PyPI is another project, and must not be installed instead.
"""

from __future__ import annotations

NAME = "orch-train"


def requirement(extra: str) -> str:
    """What pip is asked for to have a part of Orch, one of the optional dependencies in pyproject.toml (PEP 508)."""
    return f"{NAME}[{extra}]"
