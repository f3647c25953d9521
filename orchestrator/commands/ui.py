"""What `orch ui` does: serve the live page until Ctrl-C; and what `orch status --html` does: write it once."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import webbrowser
from pathlib import Path
from typing import NoReturn

from markupsafe import Markup

from models.files import replace_file
from orchestrator.address import Address
from orchestrator.commands.report import collect
from orchestrator.errors import ExitCode, UsageError
from orchestrator.home import Home
from orchestrator.progress import page, watching
from orchestrator.progress.page import MOST_JOBS_WRITTEN, StatusView
from orchestrator.report.charts import draw_charts
from orchestrator.report.page import render_body
from orchestrator.ui.server import PageServer
from orchestrator.ui.site import Site

_USUAL_PORT = 8642


def run(at: Address, port: int | None, *, browser: bool) -> NoReturn:
    """Serve the page until Ctrl-C, or until it is asked to end otherwise, as by a terminal that closes.

    To be called on the main thread, which alone may say what signals do.

    Args:
        port: None takes the usual one, or any that is free.

    Raises:
        HomeError: the home cannot be reached, or nothing is planned in it.
        UsageError: the port is taken.
    """

    def open_home() -> Home:
        return Home.open(at.url, at.artifacts)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    home = open_home()
    watching.look(home)
    site = Site(open_home, home, report)
    try:
        with _listening(site, port) as server:
            print(f"The page is at {server.url} (for this machine alone); Ctrl-C ends it.", flush=True)
            if browser:
                threading.Thread(target=_open, args=(server.url,), daemon=True).start()
            server.serve_forever()
    except KeyboardInterrupt:
        print("\nThe page is closed; the study goes on without it.")
    finally:
        site.close()
    sys.stdout.flush()
    # Not sys.exit, which waits for threads: a home that does not answer must not keep who wants to end.
    os._exit(ExitCode.DONE)


def report(home: Home) -> Markup:
    """A home's report as sections of a page.  Raises OrchError if what it says cannot be read."""
    results = collect(home)
    return render_body(results, draw_charts(results))


def whole_page(home: Home) -> str:
    """Status and report of now, as one page that needs nothing else."""
    seen = watching.look(home)
    jobs = home.jobs.some_jobs(most=MOST_JOBS_WRITTEN)
    return page.whole(StatusView(seen, jobs, live=False), report(home))


def write(home: Home, file: Path) -> None:
    """Write the page once, as a file that needs nothing else.  Raises UsageError if it cannot be written."""
    try:
        replace_file(file, whole_page(home).encode())
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}; name another file after --html.") from error
    print(f"The page: {file.absolute()}")


def _listening(site: Site, port: int | None) -> PageServer:
    try:
        return PageServer(_USUAL_PORT if port is None else port, site.routes)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise UsageError(f"Port {port} cannot be opened: {error.strerror}; choose another with --port.") from error
        if port is not None:
            raise UsageError(
                f"Port {port} is taken by another program; choose another with --port, or leave that out."
            ) from error
        return PageServer(0, site.routes)


def _open(url: str) -> None:
    """In a browser with a window: one of the terminal would take the terminal from this command."""
    try:
        found = webbrowser.get()
    except webbrowser.Error:
        return  # the address is printed
    if type(found) is not webbrowser.GenericBrowser:
        found.open(url)
