"""Pages in a real browser: Debian's Chromium, driven by Playwright, with an eye on what it complains of."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.support.lacking import lacking
from tests.support.processes import PATIENCE_SECONDS, wait_until

if TYPE_CHECKING:  # half a second that only tests with a browser pay for
    from playwright.sync_api import Browser, ConsoleMessage, Page, Route


@dataclass
class Opened:
    """A page that is open, and what went wrong in it so far."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """Errors and warnings of the console, and exceptions that no script caught."""
    refused: list[str] = field(default_factory=list)
    """Addresses beyond this machine that the page asked for."""

    def assert_calm(self) -> None:
        assert self.complaints == [] and self.refused == []

    def serious_violations(self) -> list[str]:
        """What axe-core finds of at least serious impact: rule and first element."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in serious]

    def scrolls_sideways(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def until_so(page: Page, script: str, argument: object = None) -> None:
    """Wait until a script says so.

    Playwright's own `wait_for_function` evaluates text within the page, which the page's policy forbids.
    """
    wait_until(lambda: bool(page.evaluate(script, argument)), f"in the page {script}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's Chromium without a window; skipped, and in CI failed, where there is none."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        lacking("needs the program chromium (Debian's package of that name)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@contextmanager
def opened(
    chromium: Browser, address: str, *, width: int = 1200, dark: bool = False, scripts: bool = True
) -> Iterator[Opened]:
    """A page in a context of its own, to which nothing beyond this machine answers.

    Args:
        address: `file:` or of a server on loopback.
        width: pixels of the window.
        dark: whether the person prefers dark pages.
        scripts: whether JavaScript runs.
    """
    context = chromium.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        java_script_enabled=scripts,
    )
    context.set_default_timeout(1000 * PATIENCE_SECONDS)
    seen = Opened(context.new_page())

    def answer(route: Route) -> None:
        if route.request.url.startswith(("file:", "data:", "blob:", "http://127.0.0.1:", "http://localhost:")):
            route.continue_()
        else:
            seen.refused.append(route.request.url)
            route.abort()

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            seen.complaints.append(message.text)

    context.route("**/*", answer)
    seen.page.on("console", note)
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    try:
        seen.page.goto(address)
        yield seen
    finally:
        context.close()
