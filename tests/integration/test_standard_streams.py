"""Every command says what it has to say, or that it cannot, whatever standard output is like."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator import address
from orchestrator.address import Address
from orchestrator.home import Home
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from tests.conftest import SMALL
from tests.support.done_jobs import finish
from tests.support.processes import PATIENCE_SECONDS
from tests.support.repetitions import repetitions

ORCH = str(Path(sys.executable).with_name("orch"))
STUDY = SMALL.replace("seconds = 5\n", "")
JOB = "alexnet-tiny/seed0/train/r00.s0"
COMMANDS = (
    ("status",),
    ("status", "--jobs", "--json"),
    ("report",),
    ("logs", JOB),
    ("plan",),
    ("gc", "--dry-run"),
    ("doctor",),
    ("--help",),
)
"""Commands that end well on a study that is done."""
WAYS = (("status",), ("logs", JOB), ("--help",))
"""One for each way in which commands print: Rich, Python itself, Typer."""
FULL = Path("/dev/full")
needs_a_full_device = pytest.mark.skipif(not FULL.exists(), reason="only Linux has /dev/full, a disk that is full")
"""CI runs on Linux, so nothing is skipped there."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with a study that is done, whose jobs printed what few encodings have letters for."""
    directory = tmp_path_factory.mktemp("place")
    (directory / "study.toml").write_text(STUDY)
    home = Home.open(publish(Study.parse(STUDY), directory / "small.orch", None).home)
    finish(home, printed="Größe 5 × 3 – 日本")
    before = Path.cwd()
    os.chdir(directory)
    address.remember("small", Address("small.orch"))
    yield directory
    os.chdir(before)


def shell(line: str, place: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which `orch` is Orch."""
    return subprocess.run(
        ["bash", "-c", f'orch() {{ {ORCH} "$@"; }}\n{line}'],
        cwd=place,
        env={**os.environ, **environment},
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=PATIENCE_SECONDS,
    )


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_can_be_read_where_only_ascii_can_be_printed(place: Path, command: tuple[str, ...]) -> None:
    done = shell(f"orch {' '.join(command)}", place, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout and done.stdout.isascii()


def test_letters_that_the_encoding_has_are_printed_as_they_are(place: Path) -> None:
    done = shell(f"orch logs {JOB} | iconv -f latin1 -t utf8", place, PYTHONIOENCODING="iso-8859-1")
    assert r"Größe 5 × 3 - \u65e5\u672c" in done.stdout


def test_a_sentence_on_standard_error_can_be_printed_too(place: Path) -> None:
    done = shell("orch logs Größe", place, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr[:11]) == (2, "orch: 'Gr\\x")


@pytest.mark.parametrize("command", WAYS, ids=" ".join)
def test_a_closed_standard_output_disturbs_no_command(place: Path, command: tuple[str, ...]) -> None:
    done = shell(f"orch {' '.join(command)} >&- <&-", place)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_printed_on_a_closed_stream_gets_into_no_file(place: Path) -> None:
    """The first file that a process opens would get the number of standard error."""
    script = "import sys, os; from orchestrator.command_line import standard_streams; standard_streams.prepare(); \
file = open('kept', 'wb', buffering=0); file.write(b'whole'); os.write(1, b'stray'); os.write(2, b'stray')"
    subprocess.run(["bash", "-c", f'{sys.executable} -c "{script}" >&- 2>&-'], cwd=place, check=True)
    assert (place / "kept").read_bytes() == b"whole"


@needs_a_full_device
@pytest.mark.parametrize("command", WAYS, ids=" ".join)
def test_a_full_disk_behind_standard_output_is_one_sentence(place: Path, command: tuple[str, ...]) -> None:
    assert_told_of_a_full_disk(shell(f"orch {' '.join(command)} > {FULL}", place, PYTHONUNBUFFERED=""))


@needs_a_full_device
def test_a_full_disk_is_told_by_a_python_that_buffers_nothing_too(place: Path) -> None:
    assert_told_of_a_full_disk(shell(f"orch status > {FULL}", place, PYTHONUNBUFFERED="1"))


def assert_told_of_a_full_disk(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 1
    assert done.stderr.startswith("orch: Standard output cannot be written: No space left")
    assert len(done.stderr.splitlines()) == 1


@needs_a_full_device
def test_a_refusal_that_nobody_can_be_told_still_has_its_exit_code(place: Path) -> None:
    assert shell(f"orch logs nothing 2> {FULL}", place).returncode == 2
    assert shell("orch logs nothing 2>&-", place).returncode == 2


@needs_a_full_device
def test_a_worker_ends_as_its_work_does_though_nobody_can_be_told(place: Path) -> None:
    for output in (f"2> {FULL}", ">&- 2>&-"):  # what is wrong with standard output alone: `test_worker_command`
        done = shell(f"set -o pipefail; orch worker {output}", place, PYTHONIOENCODING="ascii")
        assert (done.returncode, done.stderr) == (0, ""), output


@pytest.mark.parametrize("command", repetitions(WAYS, often=WAYS[:1]), ids=" ".join)
def test_a_reader_that_has_seen_enough_is_no_fault(place: Path, command: tuple[str, ...]) -> None:
    done = shell(f"orch {' '.join(command)} | true", place)
    assert done.stderr == ""


def test_a_watched_study_is_told_in_blocks_where_nothing_can_be_written_over(tmp_path: Path) -> None:
    home = Home.open(publish(Study.parse(STUDY), tmp_path / "home", None).home)
    with watching(home) as process:
        assert process.stdout is not None
        first = [process.stdout.readline() for _ in range(2)]
        assert "small  0 of 8 jobs done" in first[1]
        finish(home)
        assert "small  8 of 8 jobs done" in process.stdout.read()
        assert process.wait(PATIENCE_SECONDS) == 0


def test_a_watch_ends_when_its_reader_has_gone(tmp_path: Path) -> None:
    home = Home.open(publish(Study.parse(STUDY), tmp_path / "home", None).home)
    with watching(home) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE_SECONDS) == 1
        assert process.stderr.read() == ""


@contextmanager
def watching(home: Home) -> Iterator[subprocess.Popen[str]]:
    command = [ORCH, "status", "--watch", "--home", home.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
