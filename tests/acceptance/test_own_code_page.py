"""docs/own-code.md, followed to the letter in an empty directory: its files, its commands, and what it says of them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from orchestrator.errors import ExitCode
from orchestrator.home import Home
from orchestrator.jobs import Job, JobState
from tests.support.processes import orch

PAGE = Path(__file__).parents[2] / "docs/own-code.md"
FILE = re.compile(r"`([\w.]+)`:\s*$")


def steps(heading: str) -> Iterator[tuple[str, str]]:
    """What stands under a heading: files as (name, content), commands as ("$", the command and what it says)."""
    section, before = "", ""
    for token in MarkdownIt("commonmark").parse(PAGE.read_text(encoding="utf-8")):
        if token.type == "inline":
            section = token.content if token.level == 1 and token.map and before == "heading" else section
            before = token.content
        if token.type == "heading_open":
            before = "heading"
        if token.type == "fence" and section == heading:
            if token.info == "console":
                yield from (("$", part) for part in re.split(r"^\$ ", token.content, flags=re.MULTILINE) if part)
            else:
                named = FILE.search(before)
                assert named, f"the page does not say what this file is called:\n{token.content}"
                yield named[1], token.content


def follow(heading: str, place: Path) -> list[str]:
    """Do what stands under a heading; the standard output of each command."""
    told = []
    for name, content in steps(heading):
        if name != "$":
            (place / name).write_text(content, encoding="utf-8")
            continue
        command, _, shown = content.partition("\n")
        words = shlex.split(command)
        if words[0] == "orch":
            done = orch(*words[1:], cwd=place)
        else:
            done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=True)
        if shown:
            assert shown.strip() == done.stderr.strip()
        elif words[:2] != ["orch", "worker"]:
            assert done.returncode == 0, done.stderr
        told.append(done.stdout + done.stderr if words[:2] == ["orch", "worker"] else done.stdout)
    return told


def jobs(place: Path) -> list[Job]:
    return Home.open(place / "shapes.orch").jobs.jobs()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own")


def test_the_page_goes_the_whole_way(place: Path) -> None:
    for heading in ("The data", "The network", "The study"):
        follow(heading, place)
    *_, report = follow("Run it", place)
    assert {job.state for job in jobs(place)} == {JobState.DONE}
    accuracy = re.search(r"float32\s+(\d+\.\d+)", report)
    assert accuracy and float(accuracy[1]) > 90, report

    done_before = {job.id for job in jobs(place)}
    _, changed, _, back, worked = follow("Change the network", place)
    count = len(done_before)
    assert f"({count} added, 0 kept)" in changed and f"(0 added, {count} kept," in back
    assert "is done" not in worked
    assert {job.id for job in jobs(place) if job.state is JobState.DONE} == done_before

    *_, status, _, _, _ = follow("When something is wrong", place)
    (told,) = set(re.findall(r"my_nets.py, line 1: build gives[^\"]*?\)\.", status))
    assert told in " ".join(PAGE.read_text(encoding="utf-8").split())
    assert json.loads(status)["study"] == "shapes"
    assert {job.id for job in jobs(place) if job.state is JobState.DONE} == done_before


def test_a_mistake_is_tried_once(place: Path) -> None:
    wrong = [job for job in jobs(place) if job.attempts and job.state is not JobState.DONE]
    assert [job.attempts for job in wrong] == [1]
    assert orch("worker", cwd=place).returncode == ExitCode.DONE
