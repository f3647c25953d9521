"""A folder on Drive that is shared with somebody hostile: nobody runs, reads, writes or deletes what is not theirs.

Mal may write in Ann's study: the folder's properties, the table's file, files of her own.  Ann has files beside the
study on Drive, and on her disk.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from orchestrator import address
from orchestrator.cli import app
from orchestrator.errors import OrchError
from orchestrator.home import Home
from orchestrator.jobs import (
    Checkpoint,
    WorkerInfo,
)
from orchestrator.jobtable.backends.snapshot_format import Snapshot, decoded, encoded
from tests.conftest import SMALL
from tests.support.drive import Account, DriveServer
from tests.support.drive.state import File
from tests.support.hostile import CODE, MARKER
from tests.support.repetitions import repetitions
from workers.store.cache import InputCache

JOB = "alexnet-tiny/seed0/train/r00.s0"
LOOKS: tuple[tuple[str, ...], ...] = (
    ("status", "--json"),
    ("status", "--jobs"),
    ("report",),
    ("logs", JOB),
    ("snippet", "--shell"),
    ("snippet", "--notebook", "worker.ipynb"),
    ("doctor",),
    ("gc",),
)
"""What leaves the rows as Mal has written them."""
CHANGES = (("retry", JOB), ("cancel", JOB), ("plan",), ("status",))
PRIVATE = b"Ann's letters"


@dataclass
class Scene:
    """Ann's study, what she has beside it, and what Mal does to it."""

    drive: DriveServer
    folder: File
    table: File
    private: list[File]
    place: Path

    def note(self, **properties: str) -> None:
        self.folder.properties.update(properties)

    def put_table(self, content: bytes) -> None:
        with self.drive.state.lock:
            self.table.content, self.table.version = content, self.table.version + 1

    def change_rows(self, *statements: str) -> None:
        snapshot = decoded(self.table.content)
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
            database.deserialize(snapshot.database)
            database.execute("PRAGMA ignore_check_constraints = ON")
            for statement in statements:
                database.execute(statement)
            self.put_table(encoded(snapshot.followed_by("mal", database.serialize())))


def alter(*statements: str) -> Callable[[Scene], None]:
    return lambda scene: scene.change_rows(*statements)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def name_a_file_of_hers(scene: Scene) -> None:
    """As the file of a checkpoint that the next one replaces, and as published data."""
    letters = scene.private[0]
    sha256 = hashlib.sha256(letters.content).hexdigest()
    scene.change_rows(
        f"UPDATE data SET sha256 = '{sha256}', size = {len(letters.content)}, location = '{letters.id}'",
        f"INSERT INTO checkpoints SELECT id, 1, '{sha256}', 1, '{letters.id}' FROM jobs WHERE state = 'ready'",
        f"INSERT INTO checkpoints SELECT id, 2, '{'ab' * 32}', 1, '{letters.id}' FROM jobs WHERE state = 'ready'",
    )


def point_at_her_empty_file(scene: Scene) -> None:
    """An empty file is a table before its first swap: the next plan would fill it."""
    scene.note(orch_jobs=scene.private[1].id)


def point_at_her_folder(scene: Scene) -> None:
    scene.note(orch_artifacts=scene.private[2].id)


def put_her_own_wheel(scene: Scene) -> None:
    with scene.drive.state.lock:
        mal = scene.drive.state.accounts["mal@example.org"]
        wheel = scene.drive.state.create(mal, None, "orch_train-9-py3-none-any.whl", [scene.folder.id], "", {})
        scene.drive.state.write(mal, wheel, b"PK hostile")
    scene.note(orch_wheel=wheel.id, orch_wheel_sha256=hashlib.sha256(b"PK hostile").hexdigest())


def unpack_to_more_than_there_is_memory(scene: Scene) -> None:
    packing = zlib.compressobj(9)
    part = bytes(1 << 20)
    packed = packing.compress(b'{"generation": 9999, "swaps": []}\n')
    packed += b"".join(packing.compress(part) for _ in range(64)) + packing.flush()
    scene.put_table(b"orch snapshot 1\n" + packed)


HOSTILE: dict[str, Callable[[Scene], None]] = {
    "a study's name that is code": alter(f"UPDATE study SET name = {quoted(CODE)}"),
    "a study's name that is a path": alter("UPDATE study SET name = '../../outside'"),
    "a wheel's id that is code": lambda scene: scene.note(orch_wheel=CODE),
    "a wheel's digest that is code": lambda scene: scene.note(orch_wheel_sha256=CODE),
    "a wheel of her own": put_her_own_wheel,
    "a table that is Ann's empty file": point_at_her_empty_file,
    "artifacts in Ann's folder": point_at_her_folder,
    "a table's id that is a query": lambda scene: scene.note(orch_artifacts="x' in parents or 'y"),
    "a job's id that is a path": alter("UPDATE jobs SET id = '../../outside' WHERE state = 'ready'"),
    "data that are a file of the machine": alter(
        "UPDATE data SET sha256 = '/etc/hostname', location = '/etc/hostname'"
    ),
    "files that are Ann's own": name_a_file_of_hers,
    "a worker's name that is markup": alter(
        "INSERT INTO attempts SELECT id, 1, '[/x]', '\x1b]0;x\x07', '<script>', 1, 1, NULL, 0, 0, NULL, NULL, 0"
        " FROM jobs"
    ),
    "an error that is escapes": alter(
        "UPDATE jobs SET failures = 1, error = char(27) || '[2J' || char(7) || '[/x]' WHERE state = 'ready'"
    ),
    "a view": alter("CREATE VIEW seen AS SELECT * FROM jobs"),
    "a trigger": alter("CREATE TRIGGER t AFTER UPDATE ON jobs BEGIN UPDATE study SET name = 'owned'; END"),
    "a computed column": alter("ALTER TABLE study ADD COLUMN x TEXT AS (hex(name))"),
    "a schema from the future": alter("UPDATE study SET schema_version = 99"),
    "a schema from long ago": alter("UPDATE study SET schema_version = 1"),
    "a bomb": unpack_to_more_than_there_is_memory,
    "no snapshot": lambda scene: scene.put_table(b"MZ hostile"),
    "no database": lambda scene: scene.put_table(encoded(Snapshot(9999, (), b"no database" * 500))),
    "half a database": lambda scene: scene.put_table(
        encoded(Snapshot(9999, (), decoded(scene.table.content).database[:9000]))
    ),
}


@pytest.fixture
def scene(tmp_path: Path, drive: DriveServer, ann: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    place = tmp_path / "a" / "b" / "study"
    place.mkdir(parents=True)
    (tmp_path / "outside").write_bytes(PRIVATE)
    (place / "study.toml").write_text(SMALL)
    monkeypatch.chdir(place)
    monkeypatch.setenv("ORCH_DRIVE_TOKEN_FILE", str(ann.token_file(tmp_path / "token")))
    monkeypatch.setenv("COLUMNS", "150")
    # As large as this test can make one, in a second.
    monkeypatch.setattr("orchestrator.jobtable.backends.snapshot_format.LARGEST_BYTES", 32 << 20)
    run("plan", "--home", "gdrive:")
    drive.account("mal@example.org")
    run("share", "mal@example.org")
    with drive.state.lock:
        letters, empty, own = (
            drive.state.create(ann, None, name, [], kind, {})
            for name, kind in (("letters", ""), ("empty", ""), ("own", "application/vnd.google-apps.folder"))
        )
        drive.state.write(ann, letters, PRIVATE)
        inside = drive.state.create(ann, None, "cd" * 32, [own.id], "", {})
        for file in (letters, inside):
            file.modified -= 10 * 86_400
    (folder,), (table,) = drive.files("small (Orch)"), drive.files("jobs")
    yield Scene(drive, folder, table, [letters, empty, own, inside], place)


def run(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def run_unharmed(*words: str) -> None:
    done = run(*words)
    assert done.exception is None or isinstance(done.exception, SystemExit | OrchError), (words, done.exc_info)
    told = f"{done.output}{done.exception or ''}"
    assert not {"\x1b", "\x07"} & set(told), words
    if words[0] == "snippet" and done.exit_code == 0 and "--notebook" not in words:
        assert "hostile" not in told and "_exit" not in told
    if "--json" in words and done.exit_code == 0:
        json.loads(done.stdout)


def work(scene: Scene) -> None:
    """What a worker of Ann's does with a lease but for computing: fetch, upload, name checkpoints, delete old ones."""
    at = address.known(None, None)
    home = Home.open(at.url, at.artifacts)
    lease = home.jobs.claim(WorkerInfo("ann"))
    if lease is None:
        return
    (scene.place / "work").mkdir()
    cache = InputCache(scene.place / "work" / "cache", home.artifacts)
    for artifact in lease.inputs.values():
        with suppress(OrchError):
            cache.path(artifact)
    for step in (3, 4):
        file = scene.place / "work" / "checkpoint"
        file.write_text(f"state at {step}")
        lease = home.jobs.renew(lease, {"step": step}, Checkpoint(step, home.artifacts.put(file)))
        for artifact in lease.obsolete:
            home.artifacts.delete(artifact)


OFTEN = (
    "a wheel's id that is code",
    "a table that is Ann's empty file",
    "files that are Ann's own",
    "an error that is escapes",
    "a trigger",
    "a bomb",
)
"""One of each kind: a note, an id, a row, a text, a schema, a size."""


@pytest.fixture(params=repetitions(HOSTILE, often=OFTEN))
def planted(request: pytest.FixtureRequest, scene: Scene) -> Iterator[Scene]:
    """The scene with one hostile thing in it; at the end, Ann's own files are as they were."""
    kept = [(file.id, file.content, file.version, file.deleted) for file in scene.private]
    HOSTILE[request.param](scene)
    yield scene
    assert [(file.id, file.content, file.version, file.deleted) for file in scene.private] == kept
    above = scene.place.parent
    assert (above.parent.parent / "outside").read_bytes() == PRIVATE
    assert not list(above.parent.parent.rglob(MARKER))
    assert {path.name for path in above.iterdir()} == {"study"}
    written = {path.name for path in scene.place.iterdir()}
    assert written <= {"study.toml", ".orch.toml", ".orch.seen.json", "report", "small.orch", "worker.ipynb", "work"}


def test_whatever_a_writer_of_the_folder_plants_no_command_and_no_worker_does_harm(planted: Scene) -> None:
    for words in LOOKS:
        run_unharmed(*words)
    with suppress(OrchError):
        work(planted)
    for words in CHANGES:
        run_unharmed(*words)
