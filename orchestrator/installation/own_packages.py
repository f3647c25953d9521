"""Orch's own packages, whatever else is called like them: a person may have a `models` on PYTHONPATH.

It stands before what is installed, and would hide ours.  The person's own keeps every other name.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

_NAMES = ("models", "orchestrator", "workers")
_BESIDE_THIS = [str(Path(__file__).parents[2])]


class _Own(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, _BESIDE_THIS, target) if path is None and name in _NAMES else None


def prefer() -> None:
    """From now on, have this process import Orch's own packages from where this one was found."""
    if not any(isinstance(finder, _Own) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Own())


def command(module: str) -> list[str]:
    """The command line of another Python that runs `main` of one of Orch's modules; arguments may follow.

    Not `python -m`, which knows nothing of `prefer`.  -P: nor does what lies in the working directory hide ours.
    """
    return [
        sys.executable,
        "-P",
        "-c",
        f"from orchestrator.installation import own_packages; own_packages.run({module!r})",
    ]


def run(module: str) -> None:
    """Run `main` of one of Orch's modules."""
    prefer()
    import_module(module).main()
