from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from models import datasets
from models.predictions import Predictions
from orchestrator.commands.report import write_and_show
from orchestrator.errors import UsageError
from orchestrator.jobs import Ending, JobState
from orchestrator.report import theme
from orchestrator.report.charts import draw_charts, pictures
from orchestrator.report.files import write_report
from orchestrator.report.page import render
from orchestrator.report.results import Results, collect
from tests.support.processes import PATIENCE_SECONDS
from tests.support.report_jobs import attempt, benchmark, compress, latency, small_study, train

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """A page taken apart: its tags, its text, and a check that every tag is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], f"unclosed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def html_of(results: Results) -> str:
    return render(results, draw_charts(results))


@pytest.fixture(scope="module")
def results() -> Results:
    return collect("alexnet-vs-vit", "cifar10", *small_study())


@pytest.fixture(scope="module")
def html(results: Results) -> str:
    return html_of(results)


def test_the_page_says_the_answer_the_figures_the_losses_and_the_paper(html: str) -> None:
    text = Page(html).text

    for stated in (
        "vit-tiny is the most accurate: 61.2%",
        "54.70",
        "60.20 to 62.20",
        "400 kB",
        "98,765",
        "2.00×",
        "3.00 MB",
        "At least 250 timed calls",
        "at least 10,000 test images",
        "22 training steps had to be done twice",
        "64.97",
        "282.2 to 94.2 MB",
    ):
        assert stated in text


def test_the_page_needs_nothing_but_itself(html: str) -> None:
    page = Page(html)

    assert not any("src" in script for script in page.named("script"))
    assert not page.named("img") and "@import" not in html
    for _, attributes in page.tags:
        for name in ("href", "src", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    own = html.replace(pictures.runtime(), "")
    outside = [address for address in re.findall(r"https?://[^\s\"'<)]+", own) if "w3.org" not in address]
    assert outside == []


def test_headings_come_in_order_and_every_table_can_be_read_aloud(html: str) -> None:
    page = Page(html)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]

    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(page.named("caption")) == len(page.named("table")) > 3
    assert all(cell.get("scope") for cell in page.named("th"))


def test_every_id_stands_once_and_every_reference_finds_its_id(html: str) -> None:
    page = Page(html)
    ids = Counter(attributes["id"] for _, attributes in page.tags if attributes.get("id"))

    assert [name for name, count in ids.items() if count > 1] == []
    wanted = [
        name
        for _, attributes in page.tags
        for key in ("aria-labelledby", "href", "xlink:href")
        for name in (attributes.get(key) or "").split()
        if key == "aria-labelledby" or name.startswith("#")
    ]
    wanted += re.findall(r"url\(#([^)]+)\)", html.replace(pictures.runtime(), ""))
    assert {name.removeprefix("#") for name in wanted} <= set(ids)


def test_every_picture_has_a_title_and_a_description_with_its_figures(results: Results) -> None:
    charts = {chart.name: chart for chart in draw_charts(results)}

    assert set(charts) == {"accuracy", "size", "speed", "latency", "bytes", "loss", "timeline"}
    for chart in charts.values():
        root = ElementTree.fromstring(pictures.svg(chart))
        assert root.get("role") == "img"
        assert [child.text for child in root][:2] == [chart.title, chart.description]
    assert "vit-tiny 61.2%" in charts["accuracy"].description
    assert "bob during vit-tiny/seed0/train/100.s0 at step 70" in charts["timeline"].description


def test_the_page_says_what_a_packed_file_needs_to_run() -> None:
    jobs = [
        compress("vit", file_bytes=500_000),
        benchmark("vit"),
        compress("vit", method="prune", file_bytes=500_000, compressed_bytes=100_000, ship="zst"),
        benchmark("vit", method="prune", unpack_seconds=0.0123),
    ]

    results = collect("study", "cifar10", jobs, [])

    text = Page(html_of(results)).text
    assert "it is shipped packed, as 100 kB, unpacked in 0.0123 s" in text and "100 kB zstd, shipped" in text
    assert "with the command zstd -d or with Python's zstandard" in text and "up to 500 kB here" in text
    (size,) = (chart for chart in draw_charts(results) if chart.name == "size")
    assert {row[1]: row[4] for row in size.table.rows} == {"float32": "500 kB", "prune": "100 kB"}


def test_where_nothing_is_packed_nothing_is_said_of_unpacking(html: str) -> None:
    assert "zstd -d" not in html and "shipped packed" not in html


def test_pictures_in_the_page_take_its_colours(html: str) -> None:
    picture = html[html.index("<svg") : html.index("</svg>")]

    assert theme.INK.variable in picture or theme.QUIET.variable in picture
    assert not any(colour.light in picture for colour in theme.PALETTE)
    for specification in re.findall(r'<script type="application/json">(.*?)</script>', html):
        assert theme.QUIET.variable in specification
        assert not any(colour.light in specification for colour in theme.PALETTE)


def test_a_hostile_name_stays_text() -> None:
    hostile = '<script>alert("1")</script>'
    jobs = [train(hostile), compress(hostile), benchmark(hostile, device="T4 $x_1$ & <b>")]
    broken = benchmark("vit", state=JobState.QUARANTINED, error="<img src=x onerror=alert(1)>\x00")
    attempts = [attempt(jobs[0], worker="</svg><b>ann")]

    html = html_of(collect("s & <i>", "cifar10", [*jobs, broken], attempts, notes=["<u>note</u>"]))

    page = Page(html)
    assert len(page.named("script")) == 4 + sum(each.get("type") is not None for each in page.named("script"))
    assert not page.named("img") and not page.named("b") and not page.named("u")
    for stated in (hostile, "T4 $x_1$ & <b>", "</svg><b>ann", "<img src=x onerror=alert(1)>", "s & <i>"):
        assert stated in page.text


def test_notes_stand_in_a_banner_before_the_answer() -> None:
    jobs, attempts = small_study()
    html = html_of(collect("study", "synthetic", jobs, attempts, notes=["The data set is synthetic."]))

    assert html.index('role="note"') < html.index("The data set is synthetic.") < html.index("most accurate")
    assert "Beside the paper" not in html


def test_an_empty_study_is_a_page_without_pictures() -> None:
    page = Page(html_of(collect("study", "cifar10", [], [])))

    assert "Nothing is planned yet" in page.text and not page.named("svg")


def test_an_unfinished_study_shows_what_there_is_and_what_is_missing() -> None:
    jobs, attempts = small_study()
    jobs.append(benchmark("cct", state=JobState.QUARANTINED, error="Boom: out of memory"))

    text = Page(html_of(collect("study", "cifar10", jobs, attempts))).text

    assert "Preliminary: 3 of 4 benchmarks are done." in text and "Boom: out of memory" in text
    assert "vit-tiny is the most accurate" in text


def test_figures_that_are_not_finite_leave_a_gap_and_no_crash() -> None:
    nan = float("nan")
    jobs = [
        train("vit", loss=nan),
        benchmark("vit", top1=nan, half_width=nan, latencies=[latency(p50=nan)]),
    ]

    text = Page(html_of(collect("study", "cifar10", jobs, []))).text

    assert "No accuracy was measured here." in text and "Not a finite number, so left out: loss." in text
    assert not re.search(r"\bnan\b", text)


def test_two_devices_get_an_answer_and_pictures_each_and_no_comparison() -> None:
    jobs = [benchmark("alexnet", device="T4"), benchmark("vit", device="laptop")]
    results = collect("study", "cifar10", jobs, [])

    assert [chart.name for chart in draw_charts(results)] == [
        "accuracy-1",
        "speed-1",
        "latency-1",
        "accuracy-2",
        "speed-2",
        "latency-2",
    ]
    text = Page(html_of(results)).text
    assert "each device has its own answer" in text and "most accurate" not in text


def test_three_seeds_show_mean_and_deviation() -> None:
    jobs = [benchmark("vit", seed, top1=top1) for seed, top1 in enumerate((0.59, 0.60, 0.61))]

    assert "60.00 ± 1.00" in Page(html_of(collect("study", "cifar10", jobs, []))).text


def test_the_page_says_on_how_many_images_a_method_differs_from_float32() -> None:
    test = datasets.subset(datasets.load("synthetic").test, 40, 0)
    jobs = [benchmark("vit", method=method) for method in ("float32", "int4")]
    kept = {job.id: Predictions.of(test, np.full(40, job is jobs[1], np.intp)) for job in jobs}

    text = Page(html_of(collect("study", "cifar10", jobs, [], predictions=kept))).text

    assert "(40 images only float32 gets right, 0 only this, p < 0.001)" in text
    assert "40 / 0" in text and "McNemar" in text


def test_a_report_is_the_same_bytes_in_another_process_that_drew_something_else_before(
    results: Results, tmp_path: Path
) -> None:
    write_report(results, tmp_path / "first")
    other = f"""
from pathlib import Path
from orchestrator.report.files import write_report
from orchestrator.report.results import collect
from tests.support.report_jobs import full_study, small_study
write_report(full_study(), Path({str(tmp_path / "other")!r}))
write_report(collect("alexnet-vs-vit", "cifar10", *small_study()), Path({str(tmp_path / "second")!r}))
"""
    subprocess.run([sys.executable, "-c", other], check=True, cwd=Path(__file__).parents[2])

    first = {path.relative_to(tmp_path / "first"): path.read_bytes() for path in (tmp_path / "first").rglob("*.*")}
    second = {path.relative_to(tmp_path / "second"): path.read_bytes() for path in (tmp_path / "second").rglob("*.*")}
    assert first == second and len(first) == 19


def test_a_report_says_which_files_it_wrote_and_leaves_no_temporary_ones(results: Results, tmp_path: Path) -> None:
    files = write_report(results, tmp_path / "report")

    there = {path for path in (tmp_path / "report").rglob("*") if path.is_file()}
    assert there == {files.page, files.csv, files.attempts, files.markdown, files.json, *files.figures}
    assert json.loads(files.json.read_text(encoding="utf-8")) == results.to_json()


def test_a_second_report_replaces_the_first(results: Results, tmp_path: Path) -> None:
    write_report(collect("older", "cifar10", [], []), tmp_path)

    files = write_report(results, tmp_path)

    assert "older" not in files.page.read_text(encoding="utf-8")


def test_a_directory_that_is_a_file_is_refused_in_one_sentence(results: Results, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")

    with pytest.raises(UsageError, match=r"cannot be written to .*taken.*--out"):
        write_and_show(results, tmp_path / "taken")


def test_ten_thousand_attempts_and_long_trainings_still_make_a_small_page_with_every_death() -> None:
    visits = [train("vit", step=number, loss=2 + np.sin(number)) for number in range(1, 10_001)]
    attempts = [
        attempt(
            visit, worker=f"session {number // 50}", started=10 * number, seen=10 * number + 9, ended=10 * number + 9
        )
        for number, visit in enumerate(visits)
    ]
    dead = attempt(visits[5000], 1, worker="eve", started=49_990, seen=49_995, ended=50_000, outcome=Ending.EXPIRED)
    attempts[5000] = dataclasses.replace(attempts[5000], number=2)
    results = collect("study", "cifar10", [*visits, benchmark("vit")], [*attempts, dead])

    html = html_of(results)

    assert len(html.encode()) < 5_000_000
    charts = {chart.name: chart for chart in draw_charts(results)}
    assert "eve during vit/seed0/train/5001.s0" in charts["timeline"].description
    assert html.count("worker died") >= 1


@pytest.mark.parametrize("ground", ["light", "dark"])
def test_every_colour_of_text_has_enough_contrast(ground: str) -> None:
    for colour in (theme.INK, theme.QUIET, theme.ALARM, *theme.SERIES):
        assert contrast(getattr(colour, ground), getattr(theme.GROUND, ground)) >= 4.5, colour.name


def contrast(first: str, second: str) -> float:
    """WCAG 2.2's contrast ratio."""
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


DRAWN_AT_ONCE = """
from concurrent.futures import ThreadPoolExecutor
from orchestrator.report.charts import draw_charts, pictures
from tests.support.report_jobs import full_study

charts = draw_charts(full_study())
with ThreadPoolExecutor(4) as pool:
    for _ in range(4):
        pictures._drawn.cache_clear()
        list(pool.map(lambda chart: (pictures.png(chart), pictures.svg(chart)), charts))
"""


@pytest.mark.slow
def test_threads_that_draw_at_once_do_not_wait_for_each_other_for_ever() -> None:
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", DRAWN_AT_ONCE], cwd=root, check=True, timeout=PATIENCE_SECONDS)
