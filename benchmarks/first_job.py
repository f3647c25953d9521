"""How many steps, and how long, from nothing to the first job that a worker has begun, for each kind of home.

    python benchmarks/first_job.py [--notebook PYTHON] [--install] [--homes HOME ...]

Every step is done for real: commands as processes, the coordinator's cells and the worker's cell as the notebook has
them, PostgreSQL as a server of its own.  The Drive server of the tests stands in for Google's, and their object server
for Amazon's, with 150 ms a request.
What a person needs to read, type, click and sign in is not in the times, nor a service's to start a notebook, nor
the download of CIFAR-10 (ORCH_DATA names it).  A worker with TensorFlow begins its first job when that is loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from markdown_table import markdown_table

sys.path.append(str(Path(__file__).parent.parent))

from orchestrator.coordinator_notebook import document
from orchestrator.google_drive import signin
from orchestrator.google_drive.connection import ROOT_URL_VARIABLE
from orchestrator.worker_package.snippet import Notebook
from tests.support.drive import DriveServer
from tests.support.object_store import ObjectServer
from tests.support.object_store.signed_in import environment_of, url_in
from tests.support.postgres_server import fresh_database, postgres_server

ROOT = Path(__file__).parents[1]
REQUEST_SECONDS = 0.15
PATIENCE_SECONDS = 300.0
RULE = f"\n{'-' * 100}\n"
DRIVER = """
import contextlib, io, json, sys, time
cells, told, shared = json.load(open(sys.argv[1])), [], {}
for cell in cells:
    printed, began = io.StringIO(), time.monotonic()
    with contextlib.redirect_stdout(printed):
        exec(cell, shared)
    told.append([time.monotonic() - began, printed.getvalue()])
json.dump(told, open(sys.argv[2], "w"))
"""
"""Runs cells one after another, as a notebook does."""


@dataclass
class Way:
    """What a person does, step by step, and the seconds that each step took."""

    name: str
    steps: list[tuple[str, float]] = field(default_factory=list)

    def add(self, step: str, seconds: float) -> None:
        self.steps.append((step, seconds))
        print(f"{self.name}: {step}: {seconds:.1f} s", file=sys.stderr, flush=True)

    def row(self) -> tuple[str, str, str, str]:
        told = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in self.steps)
        return self.name, str(len(self.steps)), told, f"{sum(seconds for _, seconds in self.steps):.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notebook", default=sys.executable, help="a Python with TensorFlow, as a notebook has it")
    parser.add_argument("--install", action="store_true", help="install the worker into a new environment, too")
    parser.add_argument("--homes", nargs="+", choices=WAYS, default=list(WAYS), metavar="HOME", help=", ".join(WAYS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orch-first-") as place:
        ways = [WAYS[home](Path(tempfile.mkdtemp(dir=place)), options.notebook) for home in options.homes]
        if options.install:
            print(f"pip install '.[worker]' into a new environment: {install(Path(place)):.0f} s")
    print(markdown_table(("home", "steps", "each", "together"), [way.row() for way in ways]))


def directory(place: Path, _: str) -> Way:
    way = Way("a directory")
    orch(way, place, "init", "--preset", "tiny")
    orch(way, place, "plan")
    until_the_first_job(way, "orch worker", [program("orch"), "worker"], place, os.environ)
    return way


def postgresql(place: Path, _: str) -> Way:
    way = Way("PostgreSQL")
    with postgres_server() as server:
        began = time.monotonic()
        with fresh_database(server) as database:
            way.add("createdb", time.monotonic() - began)
            orch(way, place, "init", "--preset", "tiny")
            at = ("--home", database, "--artifacts", str(place / "files"))
            orch(way, place, "plan", *at)
            until_the_first_job(way, "orch worker", [program("orch"), "worker", *at], place, os.environ)
    return way


def object_store(place: Path, _: str) -> Way:
    way = Way("an object store")
    with ObjectServer() as store:
        store.latency_seconds = REQUEST_SECONDS
        environment = {**os.environ, **environment_of(store)}
        at = ("--home", url_in(store))
        orch(way, place, "init", "--preset", "tiny", environment=environment)
        orch(way, place, "plan", *at, environment=environment)
        until_the_first_job(way, "orch worker", [program("orch"), "worker", *at], place, environment)
    return way


def drive_with_a_machine(place: Path, notebook: str) -> Way:
    way = Way("Drive, planned on a machine of one's own")
    with service(place) as environment:
        orch(way, place, "init", "--preset", "tiny", environment=environment)
        orch(way, place, "plan", "--home", "gdrive:", environment=environment)
        cell = orch(way, place, "snippet", "--colab", environment=environment)
        until_the_first_job(way, "the worker's cell", [notebook, "-u", "-c", cell], place, environment)
    return way


def drive_from_notebooks_alone(place: Path, notebook: str) -> Way:
    way = Way("Drive, from notebooks alone")
    cells = {
        cell["id"]: "".join(cell["source"]) for cell in json.loads(document.text(Notebook.COLAB, "gdrive:"))["cells"]
    }
    (place / "cells").write_text(json.dumps([cells["install"], cells["study"]]))
    with service(place) as environment:
        command = [notebook, "-c", DRIVER, "cells", "told"]
        subprocess.run(command, cwd=place, env=environment, check=True)
        (installed, _), (planned, printed) = json.loads((place / "told").read_text())
        way.add("the first cell", installed)
        way.add("the second cell", planned)
        worker = printed.split(RULE)[1]
        until_the_first_job(way, "the worker's cell", [notebook, "-u", "-c", worker], place, environment)
    return way


WAYS: Mapping[str, Callable[[Path, str], Way]] = {
    "directory": directory,
    "postgresql": postgresql,
    "objects": object_store,
    "drive": drive_with_a_machine,
    "notebooks": drive_from_notebooks_alone,
}


def install(place: Path) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "venv", place / "new"], check=True)
    subprocess.run([place / "new/bin/python", "-m", "pip", "install", "--quiet", f"{ROOT}[worker]"], check=True)
    return time.monotonic() - began


@contextmanager
def service(place: Path) -> Iterator[dict[str, str]]:
    """The environment of a notebook service with Drive behind it; whoever asks is signed in."""
    (place / "modules/google/colab").mkdir(parents=True)
    (place / "modules/google/colab/__init__.py").touch()
    (place / "modules/google/colab/auth.py").write_text("def authenticate_user(): pass\n")
    with DriveServer() as drive:
        drive.latency_seconds = REQUEST_SECONDS
        token = drive.account("ann@example.org").token_file(place / "token")
        yield {
            **os.environ,
            "PYTHONPATH": str(place / "modules"),
            ROOT_URL_VARIABLE: drive.url,
            signin.TOKEN_FILE_VARIABLE: str(token),
        }


def program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def orch(way: Way, place: Path, *arguments: str, environment: Mapping[str, str] = os.environ) -> str:
    began = time.monotonic()
    done = subprocess.run(
        [program("orch"), *arguments], cwd=place, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    way.add(f"orch {arguments[0]}", time.monotonic() - began)
    return done.stdout


def until_the_first_job(
    way: Way, step: str, command: Sequence[str], place: Path, environment: Mapping[str, str]
) -> None:
    """Start a worker, and wait until it says that a job begins."""
    began, log = time.monotonic(), place / "worker.log"
    with log.open("wb") as told:
        worker = subprocess.Popen(command, cwd=place, env=environment, stdout=told, stderr=subprocess.STDOUT)
    try:
        wait(lambda: " begins" in log.read_text() or worker.poll() is not None)
        assert " begins" in log.read_text(), log.read_text()
        way.add(step, time.monotonic() - began)
    finally:
        worker.terminate()
        with suppress(subprocess.TimeoutExpired):
            worker.wait(PATIENCE_SECONDS)


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "no job has begun"
        time.sleep(0.05)


if __name__ == "__main__":
    main()
