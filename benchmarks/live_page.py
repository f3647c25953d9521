"""What a refresh of `orch ui` costs on a home with 10,000 jobs, from the request to the last byte.

    python benchmarks/live_page.py

Each refresh is asked for after a worker has reported a step, so that nothing is as it was; what is asked for again
unchanged is timed beside it.  Aim: under 200 ms.
"""

from __future__ import annotations

import http.client
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

from startup import home_with_jobs

from orchestrator.commands.ui import report
from orchestrator.home import Home
from orchestrator.jobs import WorkerInfo
from orchestrator.ui import reading
from orchestrator.ui.server import PageServer
from orchestrator.ui.site import Site

ROUNDS = 30
PATHS = ("/status", "/status?state=blocked&page=100", "/")


def main() -> None:
    reading.GOOD_FOR_SECONDS = 0.0
    with tempfile.TemporaryDirectory(prefix="orch-page-") as directory:
        home = Home.open(home_with_jobs(Path(directory)))
        site = Site(lambda: Home.open(home.url), home, report)
        with PageServer(0, site.routes) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            seconds = _refreshes(home, server.server_port)
            server.shutdown()
        site.close()
    for name, taken in seconds.items():
        print(f"{name:40} median {1000 * median(taken):5.0f} ms   most {1000 * max(taken):5.0f} ms")


def _refreshes(home: Home, port: int) -> dict[str, list[float]]:
    lease = home.jobs.claim(WorkerInfo("worker", "host", "CPU"))
    assert lease is not None, "there are jobs to be done"
    taken: dict[str, list[float]] = {name: [] for name in (*PATHS, "unchanged")}
    for step in range(ROUNDS):
        home.jobs.renew(lease, {"step": step, "steps": ROUNDS, "images_per_second": 100.0})
        for path in PATHS:
            seconds, etag = _asked(port, path)
            taken[path].append(seconds)
        seconds, etag = _asked(port, "/status")
        taken["unchanged"].append(_asked(port, "/status", etag)[0])
    return {name: each[1:] for name, each in taken.items()}


def _asked(port: int, path: str, etag: str = "") -> tuple[float, str]:
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path, headers={"If-None-Match": etag})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == (304 if etag else 200), answer.status
    return time.perf_counter() - began, answer.headers.get("ETag", "")


if __name__ == "__main__":
    main()
