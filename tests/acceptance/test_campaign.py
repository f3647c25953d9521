"""The campaign of faults (`benchmarks/campaign.py`) in small: what it strikes costs nothing, and it says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.processes import PATIENCE_SECONDS

CAMPAIGN = Path(__file__).parents[2] / "benchmarks" / "campaign.py"
FAULTS = 30


def test_thirty_faults_lose_nothing_double_nothing_and_change_no_bit() -> None:
    ended = subprocess.run(
        [
            sys.executable,
            str(CAMPAIGN),
            "--faults",
            str(FAULTS),
            "--homes",
            "directory",
            "--real-share",
            "0",
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    assert told["faults"] == FAULTS
    assert told["worker_deaths"] > 0
    assert told["jobs_done"] >= 24
    assert told["findings"] == 0
