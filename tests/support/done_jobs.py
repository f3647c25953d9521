"""Jobs that are done without anybody having computed anything: made-up results, under real leases."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from orchestrator.home import Home
from orchestrator.jobs import (
    Artifact,
    Lease,
    Stage,
    WorkerInfo,
)
from tests.support.jobtable_backends import complete
from tests.support.report_jobs import compress, latency

OUTPUTS = {
    Stage.TRAIN: ("state", "log"),
    Stage.MERGE: ("state", "log"),
    Stage.COMPRESS: ("model", "log"),
    Stage.BENCHMARK: ("log",),
}


def finish(home: Home, jobs: int = 1000, worker: str = "worker", printed: str = "as made up") -> int:
    """Claim and complete up to so many jobs; how many there were."""
    for done in range(jobs):
        lease = home.jobs.claim(WorkerInfo(worker, "host", "CPU"))
        if lease is None:
            return done
        complete(home.jobs, lease, {name: kept(home, printed) for name in OUTPUTS[lease.stage]}, metrics(lease))
    return jobs


def kept(home: Home, text: str) -> Artifact:
    """A file of the home with this text."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "file"
        file.write_text(text, encoding="utf-8")
        return home.artifacts.put(file)


def metrics(lease: Lease) -> dict[str, Any]:
    match lease.stage:
        case Stage.COMPRESS:
            return dict(compress("model").metrics or {})
        case Stage.BENCHMARK:
            measured = {"top1": 0.5, "top5": 0.9, "top1_interval": [0.45, 0.55], "test_images": 100}
            return {"device": "laptop", "runtime": "LiteRT", **measured, "latencies": [latency(speedup=0.5)]}
        case _:
            return {"step": lease.spec.get("visit", {}).get("steps", 0), "loss": 1.5, "weights_sha256": "ab" * 32}
