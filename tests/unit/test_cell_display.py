"""A notebook's cell shows what its workers say in one display, however long they work."""

from __future__ import annotations

import io
import json
import runpy
from pathlib import Path

import pytest

from workers import cell_display
from workers.cell_display import RECORD, CellDisplay
from workers.console import RECORDS_VARIABLE, Console
from workers.runner.messages import Progress


class Shown:
    """What stands in the display, and how often it was written over."""

    def __init__(self) -> None:
        self.html, self.text, self.times, self.now = "", "", 0, 100.0
        self.display = CellDisplay(self._show, lambda: self.now)

    def _show(self, as_html: str, as_text: str) -> None:
        self.html, self.text, self.times = as_html, as_text, self.times + 1

    def heard(self, **said: object) -> None:
        self.now += 10.0
        self.display.feed(f"{RECORD}{json.dumps({'worker': 'w1', 'job': 'vit/a', **said})}\n".encode())


@pytest.fixture
def shown() -> Shown:
    return Shown()


def test_progress_is_a_bar_with_the_job_the_pace_and_the_time_that_is_left(shown: Shown) -> None:
    shown.heard(step=10, steps=100, loss=2.0, images_per_second=1234.5, seconds_left=7200.0)
    shown.heard(step=20, steps=100, loss=1.5, images_per_second=1234.5, seconds_left=7190.0)
    assert '<progress max="100" value="20"' in shown.html
    for part in ("vit/a", "20%", "80 s to go", "loss 1.500", "1,234 images/s", "session: 120 min left"):
        assert part in shown.html, part
    assert shown.text.startswith("w1  vit/a  20/100  80 s to go")


def test_the_pace_of_another_job_is_measured_anew(shown: Shown) -> None:
    shown.heard(step=10, steps=100)
    shown.heard(step=90, steps=100)
    shown.heard(job="vit/b", step=0, steps=100)
    assert "to go" not in shown.html and "vit/b" in shown.html


def test_every_worker_of_a_crew_has_a_line(shown: Shown) -> None:
    shown.heard(worker="w-gpu0", step=1, steps=2)
    shown.heard(worker="w-gpu1", step=1, steps=2)
    assert shown.html.count("<progress") == 2


def test_of_what_is_printed_the_last_lines_are_shown_and_the_others_counted(shown: Shown) -> None:
    for number in range(1000):
        shown.display.feed(f"12:00:00  w1  job {number} is done\n".encode())
    shown.display.close()
    assert "job 999 is done" in shown.html and "job 3 is done" not in shown.html
    assert "992 earlier lines" in shown.html


def test_the_display_is_not_written_over_more_than_once_a_second(shown: Shown) -> None:
    for _ in range(1000):
        shown.display.feed(b"a line\n")
    assert shown.times == 1
    shown.now += 1.0
    shown.display.feed(b"a line\n")
    assert shown.times == 2


def test_what_came_too_soon_is_shown_once_when_nothing_more_is_said(shown: Shown) -> None:
    shown.display.feed(b"works on the study\n")
    shown.display.feed("lädt TensorFlow\n".encode())
    assert "TensorFlow" not in shown.html
    for _ in range(3):
        shown.now += 1.0
        shown.display.feed(b"")
    assert "lädt TensorFlow" in shown.html and shown.times == 2


def test_what_comes_in_pieces_is_read_whole(shown: Shown) -> None:
    record = f"{RECORD}{json.dumps({'worker': 'w1', 'job': 'vit/a', 'step': 5, 'steps': 10})}\n".encode()
    for byte in record:
        shown.display.feed(bytes([byte]))
    shown.now += 2.0
    shown.display.feed(b"")
    assert 'value="5"' in shown.html


def test_what_workers_say_is_text_and_no_markup(shown: Shown) -> None:
    shown.heard(job="<script>alert(1)</script>", note="<b>")
    shown.display.feed(b"</pre><script>alert(2)</script>\n")
    shown.display.close()
    assert "<script" not in shown.html and "<b>" not in shown.html


@pytest.mark.parametrize("line", ["{", "[]", "5", '{"no": "worker"}', '{"worker": "w1", "step": "x", "steps": []}'])
def test_a_record_that_cannot_be_read_harms_nothing(shown: Shown, line: str) -> None:
    shown.display.feed(f"{RECORD}{line}\n".encode())
    shown.now += 5.0
    shown.display.feed(b"goes on\n")
    shown.display.close()


def test_a_display_that_has_gone_does_not_stop_the_worker(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(_html: str, _text: str) -> None:
        raise RuntimeError("the kernel is gone")

    display = CellDisplay(broken, lambda: 0.0)
    display.feed(b"a line\n")
    display.close()
    assert capsys.readouterr().err.count("the worker goes on") == 1


def test_the_cell_can_load_it_by_its_path_alone() -> None:
    loaded = runpy.run_path(str(Path(cell_display.__file__)))
    told: list[str] = []
    display = loaded["CellDisplay"](lambda _html, text: told.append(text))
    display.feed(b"a line\n")
    display.close()
    assert told[-1] == "a line"


def test_a_console_writes_the_records_that_the_display_reads(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RECORDS_VARIABLE, "1")
    stream = io.StringIO()
    console = Console("w1", stream)
    console.show("loading TensorFlow")
    console.show_progress("vit/a", Progress("id", 3, 9, loss=1.25, images_per_second=50.0), 3600.0)
    console.say("vit/a is done")
    console.flush()
    shown.now += 5.0
    shown.display.feed(stream.getvalue().encode())
    assert "w1  vit/a  3/9  loss 1.250  50 images/s  session: 60 min left" in shown.text
    assert shown.text.endswith("w1  vit/a is done")
