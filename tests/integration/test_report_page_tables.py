"""The tables and the answer on the page: what stands there without a script, whatever the names and however many."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.report.charts import draw_charts
from orchestrator.report.files import write_report
from orchestrator.report.page import render
from orchestrator.report.results import Results, collect
from orchestrator.report.side_by_side import side_by_side
from tests.integration.test_report_page import Page
from tests.support.report_jobs import attempt, benchmark, compress, latency, small_study, train

HOSTILE = '</pre></textarea><script>alert("1")</script>'
TURNED = "T4 \u202egnihton\u202c"


def page_of(results: Results) -> tuple[Page, str]:
    html = render(results, draw_charts(results))
    return Page(html), html


def many(models: int, methods: int) -> Results:
    names = ["float32", *(f"a-method-with-a-name-of-some-length-{number}" for number in range(methods - 1))]
    jobs = [
        job
        for model in range(models)
        for number, method in enumerate(names)
        for job in (
            compress(f"model-{model}", method=method, file_bytes=1_000_000 - 1000 * number - model),
            benchmark(f"model-{model}", method=method, top1=0.5 + number / 100, latencies=[latency(p50=1 + number)]),
        )
    ]
    return collect("s", "cifar10", jobs, [])


def test_each_table_stands_on_the_page_as_text_in_three_formats() -> None:
    page, _ = page_of(collect("s", "cifar10", *small_study()))

    formats = [pre["data-format"] for pre in page.named("pre") if "data-format" in pre]
    assert formats == ["Markdown", "CSV", "LaTeX"] * (len(formats) // 3)
    assert len(formats) == 3 * len([each for each in page.named("div") if each.get("class") == "data"]) > 10
    assert "| alexnet-tiny | dynamic-int8 | 1 | 54.70 |" in page.text
    assert "model,method,seeds,top1,top1_deviation,top1_low,top1_high," in page.text
    assert r"\begin{tabular}{llrrrr" in page.text


def test_a_hostile_name_stays_text_in_every_format() -> None:
    jobs = [train(HOSTILE), compress(HOSTILE), benchmark(HOSTILE, device=TURNED)]
    page, html = page_of(collect("s", "cifar10", jobs, [attempt(jobs[0], worker=HOSTILE)]))

    assert "<script>alert" not in html and "\u202e" not in html
    assert page.text.count("alert") > 5 and "T4 gnihton" in page.text


def test_what_differs_can_be_chosen_without_a_script() -> None:
    page, html = page_of(collect("s", "cifar10", *small_study()))

    boxes = [each for each in page.named("input") if each.get("type") == "checkbox"]
    assert boxes and all(each["class"] == "only" for each in boxes)
    assert "The same in every row: Seeds 1;" in page.text
    assert re.search(r'<th scope="col" class="same">Seeds</th>', html)
    assert ".data:has(.only:checked) .same" in html


def test_figures_are_sorted_as_they_were_measured_and_missing_ones_have_no_order() -> None:
    _, html = page_of(collect("s", "cifar10", *small_study()))

    assert '<td data-order="100000.0">100 kB</td>' in html
    assert "<td>\N{EN DASH}</td>" in html


def test_marks_are_shapes_with_words_for_whoever_does_not_see_them() -> None:
    jobs = [benchmark("vit", top1=0.8), benchmark("vit", method="int4", top1=0.6)]
    _, html = page_of(collect("s", "cifar10", jobs, []))

    assert '<span class="mark worse"><span aria-hidden="true">\N{BLACK DOWN-POINTING TRIANGLE}</span>' in html
    assert '<span class="unseen">worse:</span>' in html and "leaves out zero" in html


def test_where_nothing_is_marked_no_legend_stands() -> None:
    _, html = page_of(collect("s", "cifar10", [benchmark("vit")], []))

    assert "leaves out zero. Without a mark" not in html


def test_of_many_findings_the_lead_ones_stand_first_and_the_rest_can_be_opened() -> None:
    page, html = page_of(many(1, 20))

    assert re.search(r"What each of the other \d+ costs and gains", page.text)
    assert html.count("it runs at ") == 19


@pytest.mark.parametrize(("models", "methods"), [(1, 1), pytest.param(20, 10, marks=pytest.mark.slow)])
def test_one_row_and_two_hundred_are_a_page(models: int, methods: int) -> None:
    page, html = page_of(many(models, methods))

    assert len([cell for cell in page.named("th") if cell.get("scope") == "row"]) >= models * methods
    assert len(html) < 4_000_000
    assert ("Which to take, by" in page.text) == (methods > 1)


def test_several_studies_are_listed_before_the_answer() -> None:
    parts = [collect(name, "cifar10", *small_study()) for name in ("first", "second")]
    page, html = page_of(side_by_side(parts))

    assert html.index("The studies, side by side") < html.index('class="headline"')
    assert "vit-tiny (first)" in page.text and "vit-tiny (second)" in page.text


def test_every_attempt_of_a_large_study_is_in_the_file_and_the_page_stays_small(tmp_path: Path) -> None:
    jobs = [train("vit", step=step) for step in range(1, 3001)]
    attempts = [attempt(job, started=float(n), seen=n + 1.0, ended=n + 1.0) for n, job in enumerate(jobs)]

    written = write_report(collect("s", "cifar10", jobs, attempts), tmp_path)

    assert len(written.attempts.read_text().splitlines()) == 3001
    assert written.page.stat().st_size < 5_000_000
