"""What a writer of somebody else's home could put into it: values, and how they get past the schema's checks."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

MARKER = "orch-was-here"
"""A file of this name would be made by the first of the texts, were it run as Python or by a shell."""

CODE = f"\"\nimport pathlib; pathlib.Path('{MARKER}').touch()\n'''\n$(touch {MARKER});`touch {MARKER}`\nORCH\n\""

TEXTS = (
    CODE,
    "../../../outside",
    "/etc/hostname",
    "-rf",
    "[/x][bold]",
    "\x1b]0;owned\x07\x1b[2J\r\x00\x9b1A",
    "<script>alert(1)</script>\"'&",
    "\u202egnp.exe\u2066",
    "\ud800",
    "",
    "9" * 5000,
)
NUMBERS = (-1, 10**18, 2**63 - 1, 1e308, float("inf"))
OTHERS = (None, b"\x00\xff", "NaN")
_ANY = [CODE]
JSONS = (
    "{",
    "[]",
    "null",
    "1e999",
    "[" * 5000,
    json.dumps({"a": "b"}),
    json.dumps(dict.fromkeys(("model", "seed", "threads", "method", "name", "job", "step", "training"), _ANY)),
    json.dumps({"model": CODE, "seed": -1, "threads": 0, "method": "../x", "visit": 3}),
    json.dumps({"model": "m", "seed": 0, "threads": 1, "method": "float32", "training": [], "visit": {}}),
    json.dumps({"device": TEXTS[6], "latencies": {"a": 1}, "top1": "1", "step": 1e400, "loss": {}}),
    json.dumps({"device": "[/x]", "latencies": [3, {"batch": "x", "p50": [], "runs": 10**400}], "top1_interval": "ab"}),
    json.dumps({"shard": {"name": "../x", "job": "../../x"}}),
)


def columns(jobs: Path) -> Iterator[tuple[str, str]]:
    """Every column of every table of the database, by table."""
    with closing(sqlite3.connect(jobs)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            for _, column, *_ in database.execute(f"PRAGMA table_info({table})"):
                yield table, column


def values_for(column: str) -> Iterator[Any]:
    yield from (*TEXTS, *NUMBERS, *OTHERS)
    if column in ("spec", "inputs", "progress", "metrics", "document", "notes"):
        yield from JSONS


def plant(jobs: Path, table: str, column: str, value: Any) -> bool:
    """Put a value into a column, whatever the schema says; False if SQLite itself does not take it.

    Into one row where the column must differ from row to row, else into all of them.
    """
    with closing(sqlite3.connect(jobs, isolation_level=None)) as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute("PRAGMA foreign_keys = OFF")
        for rows in ("", f" WHERE {column} = (SELECT min({column}) FROM {table})"):
            try:
                return database.execute(f"UPDATE {table} SET {column} = ?{rows}", (value,)).rowcount > 0
            except (sqlite3.Error, OverflowError, UnicodeEncodeError):
                continue
    return False
