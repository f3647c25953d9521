"""A process that has imported all of Orch, and forks a child for every command, which so begins in milliseconds.

A child differs from a new process in nothing but what is read once for a process: see `new_python_needed`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import random
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[2]
_READ_AT_START = ("PYTHON", "LC_", "LANG", "RAY_")
"""Variables that Python reads as it starts, and Ray as it is imported, by how their names begin."""


@dataclass(frozen=True)
class Done:
    """What a command ended with."""

    code: int
    output: str
    errors: str
    """Empty where both were asked for together."""


class Preloaded:
    """The process, for any thread; it does one command at a time, and ends with this process at the latest."""

    def __init__(self) -> None:
        self.busy = threading.Lock()
        """Held for as long as a command runs."""
        self._begun_with = _read_at_start(os.environ)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.preloaded"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def new_python_needed(self, environment: Mapping[str, str]) -> bool:
        """Whether a command in this environment needs an interpreter of its own."""
        return _read_at_start(environment) != self._begun_with

    def run(self, place: Path, **what: Any) -> Done:
        """Run a command, or a few lines of Python, to its end.

        Args:
            place: the working directory.
            what: `arguments` of `orch`, `code`, or both, of which the code is first; `environment`; `user`, with
                `number`, `group`, `groups` and `umask`; `together` for one output; `undrawn` for reports without
                pictures.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        assert self.busy.locked(), "two commands at once would read each other's answers"
        print(json.dumps({"place": str(place), **what}), file=self._process.stdin, flush=True)
        return Done(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate(timeout=60)


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_READ_AT_START)}


def _serve() -> None:
    _load_everything()
    gc.freeze()
    for line in sys.stdin:
        asked = json.loads(line)
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            child = os.fork()
            if child == 0:
                code = _run(asked, output.fileno(), (output if asked.get("together") else errors).fileno())
                gc.collect()  # closes SQLite's connections, as the end of an interpreter does
                os._exit(code)
            _, status = os.waitpid(child, 0)
            done = {"code": os.waitstatus_to_exitcode(status), "output": _read(output), "errors": _read(errors)}
        print(json.dumps(done), flush=True)


def _read(file: io.TextIOBase | Any) -> str:
    file.seek(0)
    return str(file.read())


def _load_everything() -> None:
    """What is imported only when a command runs, too: a child of another user may not be able to read it."""
    import orchestrator

    for module in pkgutil.walk_packages(orchestrator.__path__, "orchestrator."):
        importlib.import_module(module.name)
    from orchestrator.home import Home
    from tests.conftest import SMALL
    from tests.support.done_jobs import finish

    begun_in = Path.cwd()
    with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stdout(io.StringIO()):
        os.chdir(directory)
        Path("study.toml").write_text(SMALL)
        _well(["plan"])
        home = Home.open("small.orch")
        finish(home)
        home.jobs.close()
        with _nothing_drawn():
            for arguments in (["status"], ["report"], ["gc"], ["plan"], ["cancel", "--help"]):
                _well(arguments)
        os.chdir(begun_in)


def _run(asked: dict[str, Any], output: int, errors: int) -> int:
    if user := asked.get("user"):
        os.setgroups(user["groups"])
        os.setresgid(*[user["group"]] * 3)
        os.setresuid(*[user["number"]] * 3)
        os.umask(user["umask"])
    if environment := asked.get("environment"):
        os.environ.clear()
        os.environ.update(environment)
    os.chdir(asked["place"])
    random.seed()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    try:
        exec(asked.get("code", ""), {})
        with _nothing_drawn() if asked.get("undrawn") else contextlib.nullcontext():
            return _command(asked["arguments"]) if "arguments" in asked else 0
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _command(arguments: list[str]) -> int:
    from orchestrator.cli import main

    sys.argv = ["orch", *arguments]
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@contextlib.contextmanager
def _nothing_drawn() -> Iterator[None]:
    """A report is written without its pictures: vl-convert draws in threads of its own, which no forked child has."""
    importlib.import_module("vl_convert")
    from orchestrator.report.charts import pictures

    empty = '<svg xmlns="http://www.w3.org/2000/svg"/>'
    with mock.patch.multiple(pictures, _drawn=lambda _: empty, png=lambda _: b"", runtime=lambda: ""):
        yield


def _well(arguments: list[str]) -> None:
    code = _command(arguments)
    assert code == 0, f"orch {arguments} ended with {code} in the process that imports everything"


if __name__ == "__main__":
    _serve()
