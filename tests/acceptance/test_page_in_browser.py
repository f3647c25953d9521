"""The report's page in Chromium: charts that are drawn and answer, on any screen, on paper, and without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from orchestrator.report.charts import draw_charts
from orchestrator.report.page import render
from orchestrator.report.results import Results
from tests.support.browser import Opened, opened, until_so
from tests.support.repetitions import repetitions
from tests.support.report_jobs import METHODS, full_study

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ElementHandle, Page

HOSTILE = ("<script>alert(1)</script>", "\"quoted\" & 'so'", "\u05d0\u202e\u05d1 rtl", "long-name-" * 12)


@pytest.fixture(scope="module")
def results() -> Results:
    return full_study(("vit", "cct"))


@pytest.fixture(scope="module")
def address(results: Results, tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(results, tmp_path_factory.mktemp("report"))


def written(results: Results, directory: Path) -> str:
    """Where the page is; the files beside it, which cost the most, are not what a browser is for."""
    page = directory / "report.html"
    page.write_text(render(results, draw_charts(results)), encoding="utf-8")
    return page.as_uri()


@pytest.fixture(scope="module")
def drawn(chromium: Browser, address: str) -> Iterator[Opened]:
    """The page with every chart drawn, once for all: to draw them takes seconds."""
    with opened(chromium, address) as seen:
        draw_all(seen.page)
        yield seen


@pytest.fixture
def seen(drawn: Opened) -> Opened:
    """The page as it was when the charts were drawn, whatever the test before has done with it."""
    drawn.page.emulate_media(color_scheme="light", media="screen")
    drawn.page.mouse.move(0, 0)
    drawn.page.evaluate(
        """() => {
             document.querySelectorAll("details").forEach(each => { each.open = false })
             document.activeElement.blur()
             scrollTo(0, 0)
           }"""
    )
    return drawn


def draw_all(page: Page) -> None:
    """Every chart is drawn as it comes near the window."""
    for figure in page.locator("figure.chart").all():
        figure.scroll_into_view_if_needed()
    until_so(page, "[...document.querySelectorAll('figure.chart')].every(each => 'drawn' in each.dataset)")


def mark(page: Page, chart: str, **datum: str) -> ElementHandle:
    """The point of the interactive chart that stands for these data."""
    found = page.evaluate_handle(
        """([chart, wanted]) => [...document.querySelectorAll(`#chart-${chart} .alive .mark-symbol.role-mark path`)]
            .find(each => Object.entries(wanted).every(([key, value]) => each.__data__?.datum?.[key] === value))""",
        [chart, datum],
    ).as_element()
    assert found is not None, f"{chart} has no mark for {datum}"
    return found


def test_every_chart_is_drawn_and_nothing_is_complained_of(seen: Opened, results: Results) -> None:
    names = seen.page.eval_on_selector_all("figure.chart", "each => each.map(figure => figure.id)")
    marks = seen.page.eval_on_selector_all(
        "figure.chart", "each => each.map(figure => figure.querySelectorAll('.alive svg .role-mark > *').length)"
    )
    seen.assert_calm()
    assert sorted(names) == sorted(f"chart-{chart.name}" for chart in draw_charts(results))
    assert all(count > 1 for count in marks)


def test_hovering_tells_the_figures_of_a_mark(seen: Opened) -> None:
    mark(seen.page, "size", model="cct", method="slim").hover()
    tooltip = seen.page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for()
    said = tooltip.inner_text()
    for stated in ("cct", "slim", "54.60%", "100 kB", "54.40%"):
        assert stated in said


def test_a_click_into_the_legend_leaves_the_others_faint_and_a_second_one_shows_all(seen: Opened) -> None:
    chosen, other = (mark(seen.page, "speed", model=model, method="slim") for model in ("vit", "cct"))
    entry = seen.page.locator("#chart-speed .alive .role-legend-label text", has_text="vit")
    entry.click()
    until_so(seen.page, "each => each.getAttribute('opacity') === '0.12'", other)
    assert chosen.get_attribute("opacity") in (None, "1")
    entry.click()
    until_so(seen.page, "each => each.getAttribute('opacity') !== '0.12'", other)


def test_pictures_and_charts_follow_the_readers_scheme_while_they_are_open(seen: Opened) -> None:
    light = grounds(seen)
    seen.page.emulate_media(color_scheme="dark")
    dark = grounds(seen)
    assert light == {"rgb(252, 251, 248)"} and dark == {"rgb(22, 24, 27)"}


def grounds(seen: Opened) -> set[str]:
    return set(
        seen.page.evaluate(
            """[getComputedStyle(document.body).backgroundColor,
                ...[...document.querySelectorAll(':is(.still, .alive) svg > rect:first-of-type')]
                    .map(each => getComputedStyle(each).fill)]"""
        )
    )


def test_on_paper_stand_the_pictures(seen: Opened) -> None:
    seen.page.emulate_media(color_scheme="dark")
    assert seen.page.pdf().startswith(b"%PDF")
    seen.page.emulate_media(media="print")
    assert all(each.is_visible() for each in seen.page.locator(".still svg").all())
    assert not any(each.is_visible() for each in seen.page.locator(".alive svg").all())


def test_the_keyboard_alone_reaches_the_figures_of_every_chart(seen: Opened, results: Results) -> None:
    reached = set()
    for _ in range(400):
        seen.page.keyboard.press("Tab")
        figure = seen.page.evaluate(
            """document.activeElement.matches('summary')
                && document.activeElement.closest('figure.chart')?.id || null"""
        )
        if figure and figure not in reached:
            reached.add(figure)
            seen.page.keyboard.press("Enter")
            assert seen.page.locator(f"#{figure} details[open] table").is_visible()
        if len(reached) == len(draw_charts(results)):
            break
    assert reached == {f"chart-{chart.name}" for chart in draw_charts(results)}


@pytest.mark.parametrize("scheme", repetitions(["light", "dark"], often=["dark"]))
def test_axe_finds_no_serious_barrier_with_all_opened_and_a_table_sorted(
    seen: Opened, scheme: Literal["light", "dark"]
) -> None:
    seen.page.emulate_media(color_scheme=scheme)
    seen.page.locator("#data-accuracy-1 thead button", has_text="Top-1, %").first.click()
    for summary in seen.page.locator("summary").all():
        summary.click()
    assert seen.serious_violations() == []


def test_without_javascript_every_picture_and_every_table_is_there(
    chromium: Browser, address: str, results: Results
) -> None:
    with opened(chromium, address, scripts=False) as seen:
        pictures = seen.page.locator(".still svg")
        assert pictures.count() == len(draw_charts(results))
        assert all(each.is_visible() for each in pictures.all())
        assert seen.page.locator("figure.chart details table").count() == len(draw_charts(results))
        seen.assert_calm()


def test_on_a_telephone_hostile_and_long_names_are_text_in_every_chart_and_nothing_scrolls_sideways(
    chromium: Browser, tmp_path: Path
) -> None:
    with opened(chromium, written(full_study(HOSTILE, seeds=1), tmp_path), width=400) as seen:
        draw_all(seen.page)
        assert not seen.scrolls_sideways()
        smallest = seen.page.evaluate(
            """Math.min(...[...document.querySelectorAll('.alive svg text')]
                .map(each => each.getBoundingClientRect().height).filter(Boolean))"""
        )
        assert smallest > 8
        mark(seen.page, "size", model=HOSTILE[0], method=METHODS[0]).hover()
        tooltip = seen.page.locator("#vg-tooltip-element.visible")
        tooltip.wait_for()
        assert HOSTILE[0] in tooltip.inner_text()
        seen.assert_calm()
