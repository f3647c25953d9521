"""Planning, the job table, storage, status and report.  Never TensorFlow.

from orchestrator import Home, Study, make_plan
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.home import Home
    from orchestrator.planning.planner import make_plan
    from orchestrator.study import Study

__all__ = ["Home", "Study", "make_plan"]

# Loaded when first asked for: `orch --help` must not wait for pydantic and SQLAlchemy.
_HOMES_OF_NAMES = {
    "Home": "orchestrator.home",
    "Study": "orchestrator.study",
    "make_plan": "orchestrator.planning.planner",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES_OF_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES_OF_NAMES[name]), name)
