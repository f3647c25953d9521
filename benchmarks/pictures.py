"""The pictures of the README, of a study that is really run: `make pictures`.

    python benchmarks/pictures.py [DIRECTORY]

The preset `tiny` is trained by two workers on this machine.  Half-way one of them is killed, and the terminal and the
live page are taken down; the page once more when all is done.  It takes about three minutes on two CPU cores, needs
Debian's `chromium`, and writes into `docs/pictures/`.
"""

from __future__ import annotations

import io
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from rich.console import Console

from models.files import replace_file
from orchestrator.commands.demo import dataset_or_synthetic, tiny_study
from orchestrator.commands.ui import report
from orchestrator.home import Home
from orchestrator.installation import own_packages
from orchestrator.planning.publishing import publish
from orchestrator.progress import terminal, watching
from orchestrator.progress.summary import Snapshot
from orchestrator.ui.server import PageServer
from orchestrator.ui.site import Site

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
COLUMNS = 108
WIDTH, HEIGHT = 1180, 1240
_PATIENCE = 120_000
"""Milliseconds."""
COLOURS = 128
"""Of a picture: a page has few, and the file is a quarter of what it would be."""


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="orch-pictures-") as place, _chromium() as browser:
        home = _planned(Path(place))
        with _served(home) as address, _workers(home, 2) as crew:
            _until(home, lambda seen: _share(seen) >= 0.4)
            crew[0].send_signal(signal.SIGKILL)
            _until(home, lambda seen: _share(seen) >= 0.55)
            _take_terminal(home, directory / "status.svg")
            _take_page(browser, address, directory / "ui-light.png", dark=False)
            _take_page(browser, address, directory / "ui-dark.png", dark=True)
            _until(home, lambda seen: seen.is_over)
            _take_page(browser, f"{address}#report", directory / "report-light.png", dark=False, of="#report")
            _take_page(browser, f"{address}#report", directory / "report-dark.png", dark=True, of="#report")
    for file in sorted(directory.iterdir()):
        print(f"{file}  {file.stat().st_size / 1e3:.0f} kB")


def _planned(place: Path) -> Home:
    dataset, _ = dataset_or_synthetic(None)
    study = tiny_study(dataset.description.name)
    return Home.open(publish(study, place / "tiny.orch", None, dataset).home)


def _share(seen: Snapshot) -> float:
    return sum(model.step for model in seen.models) / max(1, sum(model.steps for model in seen.models))


def _until(home: Home, condition: Callable[[Snapshot], bool]) -> None:
    while not condition(watching.look(home)):
        time.sleep(0.5)


@contextmanager
def _workers(home: Home, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    command = [*own_packages.command("workers.cli"), "--home", home.url]
    crew = [
        subprocess.Popen([*command, "--name", f"worker-{n + 1}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for n in range(count)
    ]
    try:
        yield crew
    finally:
        for worker in crew:
            worker.terminate()
            worker.wait()


@contextmanager
def _served(home: Home) -> Iterator[str]:
    site = Site(lambda: Home.open(home.url), home, report)
    with PageServer(0, site.routes) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.url
        server.shutdown()
    site.close()


@contextmanager
def _chromium() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        sys.exit("The pictures need Debian's chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


def _take_terminal(home: Home, file: Path) -> None:
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(terminal.render(watching.look(home)))
    drawn = console.export_svg(title="orch status")
    # The font would be loaded from the network; every system has one of its own.
    replace_file(file, re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL).encode())


def _take_page(browser: Browser, address: str, file: Path, *, dark: bool, of: str | None = None) -> None:
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(address)
    # The report of a study that is done comes a while after its status.
    page.wait_for_selector("#report section" if of is None else "#measured", timeout=_PATIENCE)
    page.wait_for_timeout(1000)  # for the charts to be drawn
    if of is not None:
        page.evaluate("(where) => document.querySelector(where).scrollIntoView()", of)
    taken = Image.open(io.BytesIO(page.screenshot()))
    context.close()
    packed = io.BytesIO()
    taken.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
    replace_file(file, packed.getvalue())


if __name__ == "__main__":
    main()
