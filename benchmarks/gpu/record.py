"""Figures as they are measured, a line of JSON each: a run that is cut off leaves those that it has."""

from __future__ import annotations

import datetime
import json
import os
import sys
from pathlib import Path
from typing import Any

from models.runtime import device_description


def append(file: Path, figure: str, **measured: Any) -> None:
    """Add a figure with what it was measured on, when, and with which command."""
    line = {
        "figure": figure,
        **measured,
        "device": device_description(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": os.environ.get("ORCH_GPU_COMMAND", " ".join(sys.argv)),
    }
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(line) + "\n")
        lines.flush()
        os.fsync(lines.fileno())
