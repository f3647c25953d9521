"""Several people at one machine, each with a user of their own: only root can be all of them.

One process imports all of Orch as root, because other users may not be able to read Python's own files; for every
command it forks a child, which becomes the person and never root again.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LAB = 20_001
"""A group; neither it nor the people need a line in /etc."""


@dataclass(frozen=True)
class Person:
    """A user, and the group that their files belong to."""

    number: int
    group: int
    groups: tuple[int, ...] = (LAB,)
    umask: int = 0o002


ANN = Person(10_001, 10_001)
BEN = Person(10_002, 10_002)
"""Both in the group, and each with one of their own, as Debian makes users."""


@dataclass(frozen=True)
class Done:
    """What a command ended with."""

    code: int
    printed: str
    """On standard output and error together."""


class Machine:
    """On which people run commands, one after another."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.people"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, person: Person, place: Path, **what: Any) -> Done:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps({**vars(person), "place": str(place), **what}), file=self._process.stdin, flush=True)
        return Done(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate(timeout=60)


@dataclass(frozen=True)
class People:
    """What people do in one directory, each as themselves."""

    machine: Machine
    place: Path

    def orch(self, person: Person, *arguments: str) -> Done:
        return self.machine.run(person, self.place, arguments=arguments)

    def python(self, person: Person, code: str) -> Done:
        """Run a few lines that use Orch."""
        return self.machine.run(person, self.place, code=code)


@contextlib.contextmanager
def people_in_a_shared_directory(machine: Machine, mode: int = 0o2775) -> Iterator[People]:
    """A directory of the group's; not below pytest's own, which is root's alone."""
    with tempfile.TemporaryDirectory(prefix="orch-people-") as directory:
        Path(directory).chmod(0o755)
        place = Path(directory) / "place"
        place.mkdir()
        os.chown(place, 0, LAB)
        place.chmod(mode)
        yield People(machine, place)


def _serve() -> None:
    _load_everything()
    gc.freeze()
    for line in sys.stdin:
        asked = json.loads(line)
        with tempfile.TemporaryFile("w+") as output:
            child = os.fork()
            if child == 0:
                code = _become_and_run(asked, output.fileno())
                gc.collect()  # closes SQLite's connections, as the end of an interpreter does
                os._exit(code)
            _, status = os.waitpid(child, 0)
            output.seek(0)
            done = {"code": os.waitstatus_to_exitcode(status), "printed": output.read()}
        print(json.dumps(done), flush=True)


def _load_everything() -> None:
    """What is imported only when a command runs, too: a child may not be able to read it."""
    import orchestrator

    for module in pkgutil.walk_packages(orchestrator.__path__, "orchestrator."):
        importlib.import_module(module.name)
    from orchestrator.home import Home
    from orchestrator.planning import publish
    from orchestrator.reporting import collect, write_and_show
    from orchestrator.study import Study
    from tests.conftest import SMALL
    from tests.done_jobs import finish

    with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stdout(io.StringIO()):
        file = Path(directory) / "study.toml"
        file.write_text(SMALL)
        home = Home.open(publish(Study.load(file), Path(directory) / "home", None).home)
        finish(home)
        write_and_show(collect(home), Path(directory) / "report")
        home.jobs.close()


def _become_and_run(asked: dict[str, Any], output: int) -> int:
    os.setgroups(asked["groups"])
    os.setresgid(*[asked["group"]] * 3)
    os.setresuid(*[asked["number"]] * 3)
    os.umask(asked["umask"])
    os.chdir(asked["place"])
    os.environ["HOME"] = "/nowhere"
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    try:
        return _run(asked)
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _run(asked: dict[str, Any]) -> int:
    if "code" in asked:
        exec(asked["code"], {})
        return 0
    from orchestrator.cli import main

    sys.argv = ["orch", *asked["arguments"]]
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


if __name__ == "__main__":
    _serve()
