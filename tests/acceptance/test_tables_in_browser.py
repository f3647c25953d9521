"""The report's tables in Chromium: sorted, reduced and copied, by pointer and keyboard, and without a script."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.report import page_tables, table_formats
from orchestrator.report.charts import draw_charts
from orchestrator.report.page import render
from orchestrator.report.results import Results, collect
from orchestrator.report.summaries import on_bench, summarize
from tests.support.browser import opened, until_so
from tests.support.report_jobs import benchmark, compress, full_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ACCURACY = "#data-accuracy-1"
READ_CLIPBOARD = "navigator.clipboard.readText()"


@pytest.fixture(scope="module")
def results() -> Results:
    return full_study(("vit", "cct"))


@pytest.fixture(scope="module")
def address(results: Results, tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(results, tmp_path_factory.mktemp("report"))


def written(results: Results, directory: Path) -> str:
    """Where the page is, with a single chart: without any it would have no scripts, and the others cost seconds."""
    page = directory / "report.html"
    page.write_text(render(results, draw_charts(results)[:1]), encoding="utf-8")
    return page.as_uri()


def names(page: Page) -> list[str]:
    """What the rows are called, as a person sees it."""
    heads = page.locator(f"{ACCURACY} tbody th[scope=row]").all()
    return [head.inner_text() for head in heads if head.is_visible()]


def column(page: Page, heading: str) -> list[str]:
    """The cells under a heading, from above to below."""
    headings = page.locator(f"{ACCURACY} thead th").all_inner_texts()
    (index,) = (number for number, text in enumerate(headings) if text.strip() == heading)
    return page.locator(f"{ACCURACY} tbody tr:not(.group) > :nth-child({index + 1})").all_inner_texts()


def heading(page: Page, text: str) -> str:
    """The `aria-sort` of a heading."""
    return page.locator(f"{ACCURACY} thead th", has_text=text).first.get_attribute("aria-sort") or "none"


def press(page: Page, text: str) -> None:
    page.locator(f"{ACCURACY} thead button", has_text=text).first.click()


def test_a_press_on_a_heading_sorts_all_models_together_and_the_third_brings_the_order_back(
    chromium: Browser, address: str
) -> None:
    with opened(chromium, address) as seen:
        before = names(seen.page)
        press(seen.page, "Top-1, %")
        falling, said = [float(cell.split()[0]) for cell in column(seen.page, "Top-1, %")], heading(seen.page, "Top-1")
        first = names(seen.page)[0]
        press(seen.page, "Top-1, %")
        rising = [float(cell.split()[0]) for cell in column(seen.page, "Top-1, %")]
        press(seen.page, "Top-1, %")
        after = names(seen.page)
        seen.assert_calm()
    assert falling == sorted(falling, reverse=True) and said == "descending"
    assert " " in first, "the model stands before its method"
    assert rising == sorted(rising)
    assert after == before


def test_figures_are_sorted_by_what_was_measured_and_missing_ones_come_last(chromium: Browser, address: str) -> None:
    with opened(chromium, address) as seen:
        press(seen.page, "File")
        falling = column(seen.page, "File")
        press(seen.page, "Against float32")
        changes = column(seen.page, "Against float32, points")
    units = {"GB": 1e9, "MB": 1e6, "kB": 1e3, "bytes": 1.0}
    sizes = [float(number) * units[unit] for number, unit in (cell.split() for cell in falling)]
    assert sizes == sorted(sizes, reverse=True)
    missing = [cell == "\N{EN DASH}" for cell in changes]
    assert missing == sorted(missing) and any(missing) and not all(missing)


def test_the_keyboard_sorts_and_only_one_column_says_that_it_is_sorted(chromium: Browser, address: str) -> None:
    with opened(chromium, address) as seen:
        seen.page.locator(f"{ACCURACY} thead button", has_text="Top-1, %").first.focus()
        seen.page.keyboard.press("Enter")
        first = heading(seen.page, "Top-1")
        seen.page.locator(f"{ACCURACY} thead button", has_text="Zeros").focus()
        seen.page.keyboard.press("Space")
        sorted_now = seen.page.locator(f"{ACCURACY} th[aria-sort]").all_inner_texts()
    assert first == "descending"
    assert [text.strip() for text in sorted_now] == ["Zeros"]


@pytest.mark.parametrize("scripts", [True, False])
def test_the_switch_leaves_what_differs_and_says_what_is_the_same(
    chromium: Browser, address: str, scripts: bool
) -> None:
    with opened(chromium, address, scripts=scripts) as seen:
        table, alike = seen.page.locator(ACCURACY), seen.page.locator(f"{ACCURACY} .alike")
        whole = table.locator("thead th:visible").count()
        assert not alike.is_visible()
        table.get_by_label("Only what differs").check()
        reduced = table.locator("thead th:visible").count()
        told = alike.inner_text()
        table.get_by_label("Only what differs").uncheck()
        again = table.locator("thead th:visible").count()
    assert reduced < whole == again
    assert told.startswith("The same in every row: ")


@pytest.mark.parametrize("format", ["Markdown", "CSV", "LaTeX"])
def test_a_table_is_copied_as_the_program_wrote_it(
    chromium: Browser, address: str, results: Results, format: str
) -> None:
    bench = results.benches[0]
    table = page_tables.accuracy_table("accuracy-1", bench, on_bench(summarize(results), bench))
    written = {"Markdown": table_formats.markdown, "CSV": table_formats.to_csv, "LaTeX": table_formats.latex}[format]
    with opened(chromium, address) as seen:
        seen.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        seen.page.locator(f"{ACCURACY} .copies button", has_text=format).click()
        seen.page.locator(f"{ACCURACY} [role=status]", has_text=f"Copied as {format}.").wait_for(state="attached")
        copied = seen.page.evaluate(READ_CLIPBOARD)
        seen.assert_calm()
    assert copied.strip() == written(table).strip()


def test_where_the_clipboard_is_refused_the_text_is_selected(chromium: Browser, address: str) -> None:
    with opened(chromium, address) as seen:
        seen.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')) }")
        seen.page.locator(f"{ACCURACY} .copies button", has_text="LaTeX").click()
        until_so(seen.page, "getSelection().toString().includes('tabular')")


def test_what_is_put_in_newly_is_sorted_and_copied_too_and_nothing_twice(chromium: Browser, address: str) -> None:
    with opened(chromium, address) as seen:
        seen.page.evaluate(
            """selector => {
                 const old = document.querySelector(selector), copy = old.cloneNode(true)
                 copy.removeAttribute('data-alive')
                 copy.querySelectorAll('.copies').forEach(each => each.remove())
                 copy.querySelectorAll('thead button').forEach(each => each.replaceWith(...each.childNodes))
                 old.replaceWith(copy)
                 copy.dispatchEvent(new Event('orch:shown', { bubbles: true }))
                 document.dispatchEvent(new Event('orch:shown'))
               }""",
            ACCURACY,
        )
        press(seen.page, "Top-1, %")
        assert heading(seen.page, "Top-1") == "descending"
        assert seen.page.locator(f"{ACCURACY} .copies").count() == 1
        seen.assert_calm()


def test_without_a_script_a_table_is_whole_and_its_texts_can_be_opened(chromium: Browser, address: str) -> None:
    with opened(chromium, address, scripts=False) as seen:
        assert seen.page.locator(f"{ACCURACY} button").count() == 0
        seen.page.locator(f"{ACCURACY} summary", has_text="This table as text").click()
        shown = seen.page.locator(f"{ACCURACY} pre[data-format=Markdown]").inner_text()
    assert shown.startswith("| Model | Method |")


def test_on_a_telephone_opened_tables_scroll_in_themselves(chromium: Browser, address: str) -> None:
    with opened(chromium, address, width=400) as seen:
        for details in seen.page.locator("details").all():
            details.evaluate("each => { each.open = true }")
        assert not seen.scrolls_sideways()


def test_long_and_hostile_names_stay_within_the_page(chromium: Browser, tmp_path: Path) -> None:
    hostile = ["<script>alert(1)</script>", "\"quoted\" & 'so'", "\u05d0\u202e\u05d1 rtl", "long-name-" * 12]
    jobs = [
        job for name in hostile for job in (compress(name), benchmark(name), benchmark(name, method="int4", top1=0.5))
    ]
    with opened(chromium, written(collect("s", "cifar10", jobs, []), tmp_path), width=400) as seen:
        assert not seen.scrolls_sideways()
        press(seen.page, "Top-1, %")
        assert "<script>alert(1)</script> float32" in names(seen.page)
        seen.assert_calm()
