"""Sessions in which cells are run, with the services' modules imitated, and a wheel that tells how it was started."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.processes import PATIENCE_SECONDS, heed_signals, wait_until

WORKER = """
import os, pathlib, signal, sys, time
def say(text):  # in one system call: a handler may interrupt it
    os.write(1, f"{text}\\n".encode())
def end(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("saving")
    while "SLOW" in os.environ and not pathlib.Path(os.environ["SLOW"]).exists():
        time.sleep(0.02)
    say("given back")
    os._exit(0)
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, end)
signed_in = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
if signed_in:
    file = pathlib.Path(signed_in)
    say(f"with {file.read_text()} in {file.name} of the mode {file.stat().st_mode & 0o777:o}")
say(f"pip is held to {(pathlib.Path(sys.prefix).parent / 'kept.txt').read_text().split()}")
say(f"a worker of {sys.argv[1:]} signed in by {signed_in}")
if "FAIL" in os.environ:
    sys.exit(1)
if "WAIT" in os.environ:
    time.sleep(600)
"""
INFORMATION = "orch_train-0.1.0.dist-info"
EXTRAS = "".join(f"Provides-Extra: {extra}\n" for extra in ("notebook", "worker", "objects"))
METADATA = f"Metadata-Version: 2.1\nName: orch-train\nVersion: 0.1.0\n{EXTRAS}"


@dataclass
class Session:
    """A notebook's session, with the services' modules imitated."""

    place: Path
    environment: dict[str, str]

    @property
    def printed(self) -> str:
        return (self.place / "printed").read_text()

    @contextmanager
    def run(self, text: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
        """As a notebook's kernel runs a cell; ended with all that it started when a test fails."""
        with (
            (self.place / "printed").open("wb") as printed,
            subprocess.Popen(
                [sys.executable, "-u", "-c", text],
                env={**self.environment, **more},
                cwd=self.place,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=heed_signals,
            ) as process,
        ):
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def until(self, awaited: str) -> None:
        wait_until(lambda: awaited in self.printed, awaited)

    def told(self, text: str) -> tuple[int, str]:
        with self.run(text) as process:
            code = process.wait(PATIENCE_SECONDS)
        return code, self.printed


@cache
def wheel() -> bytes:
    """Always the same bytes: an Orch whose worker tells how it was started, and does nothing."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("workers/__init__.py", "")
        archive.writestr("workers/__main__.py", WORKER)
        archive.writestr(f"{INFORMATION}/METADATA", METADATA)
        archive.writestr(f"{INFORMATION}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    return content.getvalue()
