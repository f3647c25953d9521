"""The page of `orch ui` in a real browser, over a study that workers are at and die at.

This process serves it, so that what draws charts is loaded once; the command serves it where it is that which ends.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.home import Home
from orchestrator.jobs import Ending, JobState
from orchestrator.planning.publishing import publish
from orchestrator.study import Study
from orchestrator.ui import live_report
from tests.support.browser import Opened, opened, until_so
from tests.support.done_jobs import finish
from tests.support.live_page import LivePage, orch_ui, served
from tests.support.processes import wait_until, workers
from tests.support.runners import STAND_IN

if TYPE_CHECKING:
    from playwright.sync_api import Browser

STUDY = """
name = "watched"
dataset = "synthetic"
train_images = 800
test_images = 100
shards = 2

[training]
epochs = 6
epochs_per_visit = 2
threads = 1

[[models]]
architecture = "alexnet-tiny"
compress = ["float32"]

[benchmark]
batch_sizes = [1]
threads = [1]

[leases]
seconds = 4
tries = 3
"""
FIRST = "alexnet-tiny/seed0/train/r00.s0"
NOTE_WHAT_IS_SHOWN = """() => {
    window.shown = [];
    document.addEventListener("orch:shown", (event) => window.shown.push(event.target.localName));
}"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(publish(Study.parse(STUDY), tmp_path / "home", None).home)


@pytest.fixture
def page(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[LivePage]:
    """With a new report a second after the last: on a busy machine a share of its time would be most of a minute."""
    monkeypatch.setattr(live_report, "_FEWEST_SECONDS", 1.0)
    monkeypatch.setattr(live_report, "_SHARE", 1.0)
    with served(lambda: Home.open(home.url)) as found:
        yield found


def until_told(seen: Opened, text: str, where: str = "#status") -> None:
    until_so(
        seen.page,
        "([where, text]) => document.querySelector(where)?.innerText.replace(/\\s+/g, ' ').includes(text)",
        [where, text],
    )


def scrolled(seen: Opened) -> float:
    return float(seen.page.evaluate("scrollY"))


def top_of_open_job(seen: Opened) -> float:
    """Where it stands in the window."""
    return float(seen.page.evaluate("document.querySelector('details.job[open]').getBoundingClientRect().top"))


def test_a_study_is_watched_while_its_worker_is_killed(
    home: Home, page: LivePage, chromium: Browser, tmp_path: Path
) -> None:
    often = ("--checkpoint-seconds", "0.3", "--max-hours", "3")
    for place in ("slow", "quick"):
        (tmp_path / place).mkdir()
    with (
        workers(home.url, tmp_path / "slow", *often, runner=STAND_IN.paced(10.0)) as start_slow,
        workers(home.url, tmp_path / "quick", *often, runner=STAND_IN) as start,
        opened(chromium, page.url, width=400) as seen,
    ):
        until_told(seen, "0 of 8 jobs done")
        victim = start_slow()
        until_told(seen, f"{victim.name} {FIRST}")
        until_told(seen, "1 running")
        seen.page.click("#jobs > summary")
        seen.page.click(f"details.job summary:has-text('{FIRST}')")
        until_told(seen, "Attempt Began Lasted Worker", "details.job[open]")
        seen.page.evaluate("scrollTo(0, document.querySelector('details.job[open]').offsetTop)")
        where = top_of_open_job(seen)
        assert scrolled(seen) > 0

        victim.kill()
        until_told(seen, f"is held by {victim.name}, whose lease has expired")
        start()
        until_told(seen, "worker died", "details.job[open]")  # the attempts of the job that is open
        assert abs(top_of_open_job(seen) - where) < 2
        assert seen.page.evaluate("document.getElementById('jobs').open")

        until_told(seen, "nothing is left to do")
        until_told(seen, "The answer", "#report")
        until_told(seen, "6 of 6", "#status")
        until_told(seen, "trained", "#status .models")
        assert abs(top_of_open_job(seen) - where) < 2
        assert not seen.scrolls_sideways()
        assert seen.serious_violations() == []
        seen.assert_calm()
    assert Ending.EXPIRED in {attempt.outcome for attempt in home.jobs.attempts()}
    assert {job.state for job in home.jobs.jobs()} == {JobState.DONE}


def test_a_jobs_log_opens_by_a_click_and_by_the_keyboard(home: Home, page: LivePage, chromium: Browser) -> None:
    finish(home, 2, printed="epoch 1 of 2\nepoch 2 of 2")
    with opened(chromium, page.url) as seen:
        seen.page.click("#jobs > summary")
        seen.page.locator(f"details.job summary:has-text('{FIRST}')").focus()
        seen.page.keyboard.press("Enter")
        until_told(seen, "epoch 2 of 2", "details.job[open] pre")
        seen.page.click("a[data-filter]:has-text('blocked')")
        until_told(seen, "blocked", "#job-list")
        wait_until(lambda: seen.page.locator("details.job .state.done").count() == 0, "only those that are blocked")
        assert "state=blocked" in seen.page.url
        seen.page.reload()
        assert seen.page.locator("details.job .state.done").count() == 0
        assert seen.serious_violations() == []
        seen.assert_calm()


def test_what_is_selected_stays_selected_while_the_study_goes_on(home: Home, page: LivePage, chromium: Browser) -> None:
    with opened(chromium, page.url) as seen:
        seen.page.evaluate("getSelection().selectAllChildren(document.querySelector('#status .models tbody th'))")
        finish(home, 3)
        until_told(seen, "3 of 8 jobs done")
        assert seen.page.evaluate("getSelection().toString()") == "alexnet-tiny"
        seen.page.evaluate("getSelection().removeAllRanges()")
        seen.assert_calm()


def test_details_that_are_open_in_the_report_stay_open_when_it_is_new(
    home: Home, page: LivePage, chromium: Browser
) -> None:
    finish(home, 3)
    with opened(chromium, page.url) as seen:
        until_told(seen, "Its figures", "#report")
        seen.page.click("#report summary:has-text('Its figures')")
        seen.page.evaluate(NOTE_WHAT_IS_SHOWN)
        finish(home)
        until_told(seen, "laptop with LiteRT", "#report")
        assert seen.page.locator("#report details[open] table").count() >= 1
        assert "section" in seen.page.evaluate("window.shown")
        seen.assert_calm()


def test_the_dark_page_is_without_serious_violations_as_the_light_one_is(
    home: Home, page: LivePage, chromium: Browser
) -> None:
    finish(home)
    with opened(chromium, page.url, dark=True) as seen:
        until_told(seen, "laptop with LiteRT", "#report")
        assert seen.serious_violations() == []
        assert not seen.scrolls_sideways()
        seen.assert_calm()


def test_without_javascript_the_page_shows_the_moment_at_which_it_was_loaded(
    home: Home, page: LivePage, chromium: Browser
) -> None:
    finish(home, 1)
    with opened(chromium, page.url, scripts=False) as seen:
        assert "1 of 8 jobs done" in seen.page.inner_text("#status")
        assert "Without JavaScript" in seen.page.inner_text("main")
        seen.page.click("#jobs > summary")
        seen.page.click("a[data-filter]:has-text('blocked')")
        assert seen.page.locator("details.job .state.done").count() == 0
        seen.assert_calm()


def test_a_page_whose_server_has_ended_says_so_and_goes_on_with_the_next(
    home: Home, chromium: Browser, tmp_path: Path
) -> None:
    with (
        orch_ui("--home", home.url, "--port", "0", cwd=tmp_path) as (page, process),
        opened(chromium, page.url) as seen,
    ):
        until_told(seen, "0 of 8 jobs done")
        process.send_signal(signal.SIGINT)
        process.wait()
        until_told(seen, "does not answer", "#away")
        assert "0 of 8 jobs done" in seen.page.inner_text("#status")
        finish(home, 1)
        with orch_ui("--home", home.url, "--port", str(page.port), cwd=tmp_path):
            until_told(seen, "1 of 8 jobs done")
            assert not seen.page.is_visible("#away")
