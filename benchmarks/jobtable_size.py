"""What the number of jobs costs: publishing, claiming and summing up tables of 1,000 to 1,000,000 jobs on SQLite.

    python benchmarks/jobtable_size.py [--largest 1000000]

Aims: 100,000 jobs published in under 10 s; a claim from a million at most twice the time of one from a thousand;
the overview that `orch status` shows in under 1 s.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from jobtable import STUDY

from models import datasets
from orchestrator.jobs import PlannedJob, Stage
from orchestrator.jobtable import JobTable
from orchestrator.jobtable.sqlite import SqlitePlace
from orchestrator.planner import Plan

CLAIMS = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=1_000_000)
    largest = parser.parse_args().largest
    print(f"{'jobs':>10} {'publish':>10} {'claim, median':>14} {'overview':>10}")
    for jobs in (1_000, 100_000, 1_000_000):
        if jobs <= largest:
            _measure(jobs)


def _measure(jobs: int) -> None:
    planned = tuple(
        PlannedJob(f"{number:032x}", f"job{number}", Stage.COMPRESS, "m", 0, {}, {}, (), 1 + number % 50)
        for number in range(jobs)
    )
    with TemporaryDirectory(prefix="orch-size-") as directory, closing(SqlitePlace(Path(directory) / "j.db")) as place:
        table = JobTable(place, directory)
        table.create()
        publishing = _seconds(lambda: table.publish(Plan(STUDY, datasets.describe("synthetic"), planned)))
        claims = [_seconds(lambda: table.claim("w")) for _ in range(CLAIMS)]
        overview = _seconds(table.overview)
    print(f"{jobs:10,} {publishing:8.2f} s {median(claims) * 1e6:11.0f} us {overview:8.3f} s", flush=True)


def _seconds(operation: Callable[[], object]) -> float:
    began = time.perf_counter()
    operation()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
