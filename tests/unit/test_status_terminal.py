"""The status on a terminal: one screen, however narrow or low, in colour or without, in any encoding."""

from __future__ import annotations

import dataclasses
import io
from collections import Counter
from typing import Any

import pytest
from rich.console import Console
from rich.live import Live

from orchestrator.jobs import JobState, Stage
from orchestrator.progress import terminal
from orchestrator.progress.summary import ModelProgress, Snapshot, WorkerProgress

STAGES = {
    Stage.TRAIN: Counter({JobState.DONE: 3, JobState.RUNNING: 1}),
    Stage.BENCHMARK: Counter({JobState.BLOCKED: 4, JobState.CANCELLED: 1}),
}
MODEL = ModelProgress("alexnet-residual-paper", 400, 1000, 1.234, 600.0, 0.673, 1, 0.25, 420, 2)
JOB = "alexnet-residual-paper/seed0/train/r03.s2"
WORKER = WorkerProgress("colab-1a2b3c4d", "8f3a2b", "NVIDIA T4", JOB, 12.0, 2345.6, 40, 120, "", 18_000.0)
SNAPSHOT = Snapshot(
    study="mine",
    home="/home/ann/mine.orch",
    counts=sum(STAGES.values(), Counter()),
    models=(MODEL,),
    workers=(WORKER,),
    eta_seconds=600.0,
    problems=("a/b is quarantined: no. See `orch logs a/b`, then `orch retry a/b`.",),
    stages=STAGES,
)


def shown(snapshot: Snapshot = SNAPSHOT, *, width: int = 120, height: int | None = None, **options: Any) -> str:
    console = Console(width=width, file=io.StringIO(), **options)
    console.print(terminal.render(snapshot), height=height)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [40, 72, 120])
def test_everything_that_matters_is_told_at_any_width_and_no_line_is_longer(width: int) -> None:
    told = shown(width=width)
    assert max(map(len, told.splitlines())) <= width
    for part in ("3 of 9 jobs done", "training for another 10 min", "400 / 1,000", "67.3%", "3 of 4", "1 running"):
        assert part in words(told), part
    for part in ("colab-1a2b3c4d", "12 s ago", "2,346", "40 of 120", "5.0 h", "orch retry a/b"):
        assert part in words(told), part


def test_what_needs_a_person_stands_right_below_the_headline() -> None:
    assert shown().splitlines()[1].startswith("! a/b is quarantined: no. See orch logs a/b")


def test_a_wide_terminal_says_what_the_time_left_rests_on_and_where_each_worker_is() -> None:
    told = words(shown(width=150))
    assert "0.250 s a step, 2 at work" in told
    assert "NVIDIA T4" in told and "8f3a2b" in told


def test_no_session_is_said_to_end_where_none_is_known_to() -> None:
    endless = dataclasses.replace(SNAPSHOT, workers=(dataclasses.replace(WORKER, seconds_left=None),))
    assert "ends in" in shown() and "ends in" not in shown(endless)


def test_a_study_that_is_over_says_so() -> None:
    over = dataclasses.replace(SNAPSHOT, counts=Counter({JobState.DONE: 9}), eta_seconds=0.0)
    assert "nothing is left to do" in shown(over)


def test_workers_that_have_gone_are_counted_and_not_listed() -> None:
    gone = tuple(dataclasses.replace(WORKER, name=f"old-{n}", job=None, last_seen_seconds=90_000.0) for n in range(30))
    told = shown(dataclasses.replace(SNAPSHOT, workers=(WORKER, *gone)))
    assert "old-" not in told and "30 other workers were heard of before" in told


@pytest.mark.parametrize("width", [40, 120])
def test_a_full_screen_is_filled_and_not_overrun_and_what_is_left_out_is_counted(width: int) -> None:
    many = dataclasses.replace(
        SNAPSHOT,
        models=tuple(dataclasses.replace(MODEL, name=f"model-{n}") for n in range(20)),
        workers=tuple(dataclasses.replace(WORKER, name=f"w{n:03}") for n in range(200)),
        problems=SNAPSHOT.problems * 40,
    )
    console = Console(width=width, height=50, file=io.StringIO())
    with console.capture() as captured:
        console.print(terminal.render(many), height=50)
    told = captured.get()
    assert len(told.rstrip().splitlines()) <= 50
    for part in ("problems more", "models more", "w000", "workers more"):
        assert part in words(told), part


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"no_color": True, "force_terminal": True}, ()),
        ({"force_terminal": True, "color_system": "truecolor"}, ("\x1b[",)),
    ],
)
def test_colours_are_for_those_who_want_them(options: dict[str, Any], told: tuple[str, ...]) -> None:
    text = shown(**options)
    assert all(part in text for part in told)
    if "no_color" in options:
        assert "[31m" not in text and "[36m" not in text


def test_an_encoding_without_lines_gets_bars_of_its_own_letters() -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii", errors="strict")
    console = Console(width=100, file=stream)
    console.print(terminal.render(SNAPSHOT))
    stream.flush()
    assert b"----" in written.getvalue()


def test_a_name_with_markup_is_shown_as_it_is() -> None:
    odd = dataclasses.replace(SNAPSHOT, workers=(dataclasses.replace(WORKER, name="[red]w[/red]", host="[b]"),))
    assert "[red]w[/red]" in shown(odd)


def test_a_full_screen_gives_the_terminal_back_as_it_was() -> None:
    console = Console(width=80, height=24, file=io.StringIO(), force_terminal=True)
    with Live(terminal.render(SNAPSHOT), console=console, screen=True, auto_refresh=False):
        pass
    assert isinstance(console.file, io.StringIO)
    assert "\x1b[?1049h" in console.file.getvalue() and "\x1b[?1049l" in console.file.getvalue()
