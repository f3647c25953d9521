"""A month in fast motion: random faults and deaths of whole workers, over studies of short jobs.

    python benchmarks/campaign.py --minutes 60 [--seed 0] [--homes directory postgresql drive] [--modes relay average]
                                  [--real-share 0.1] [--workers 2]

Workers are real processes on a real home, which are killed, frozen and asked to end; their disks fill, their clocks
jump, their connections are cut, their sign-ins revoked and their checkpoints damaged.  Most have a stand-in for a
runner, which starts at once and trains nothing, so that thousands can die in an hour; `--real-share` of the time goes
to real workers that train `alexnet-tiny`.  In the end every job must be done once, in the bits of a run that nobody
disturbed.  Aim: 10,000 faults, nothing lost, nothing doubled, the same bits.

What strikes, and when, follows from the seed and a study's name: `--seed 0 --only 17` strikes study 17 again (`--only
r3` a real one), as far as processes can be made to do the same again.  `--homes` and `--modes` belong to the seed.

As root, or wherever mounts are allowed, homes and workers get small disks that can fill.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

from fast_motion.directory import DIRECTORY
from fast_motion.disks import isolate
from fast_motion.schedule import Strike, schedule
from fast_motion.site import Kind
from fast_motion.studies import QUICK, REAL, Sort
from fast_motion.tally import Tally
from fast_motion.trial import Course, Setting, Trial
from rich.console import Console

HOMES = ("directory", "postgresql", "drive")
MODES = ("relay", "average")

_MOST_TOLD = 8
"""Findings of a study; all are counted."""


@dataclass(frozen=True)
class Entry:
    """A study of the campaign."""

    name: str
    home: str
    mode: str
    sort: Sort

    @property
    def column(self) -> str:
        return f"{self.home} {self.mode}{' real' if self.sort is REAL else ''}"


class Campaign:
    """Studies one after another, until the time is over or enough was struck."""

    def __init__(self, options: argparse.Namespace, kinds: Mapping[str, Kind], place: Path, console: Console) -> None:
        self._options = options
        self._kinds = kinds
        self._place = place
        self._console = console
        self._undisturbed: dict[str, Mapping[str, str]] = {}
        self._began = time.monotonic()
        self._real_seconds = 0.0
        self.tally = Tally()

    def run(self) -> None:
        for entry in self._entries():
            undisturbed = self._bits(entry)
            if self._is_enough(struck=self.tally.faults):
                return
            setting = self._setting(entry, self._kinds[entry.home], self._options.workers)
            trial = Trial(setting, self._place / entry.name)
            course = trial.run(functools.partial(self._strikes, entry), undisturbed)
            self._real_seconds += course.seconds if entry.sort is REAL else 0.0
            self.tally.add(entry.column, course)
            self._tell(entry, course)

    def _entries(self) -> Iterator[Entry]:
        """Whichever of quick and real studies is behind its share of the time is next; homes and modes take turns."""
        combinations = list(itertools.product(self._options.homes, self._options.modes))

        def entry(number: int, sort: Sort) -> Entry:
            home, mode = combinations[number % len(combinations)]
            return Entry(f"{'r' if sort is REAL else ''}{number}", home, mode, sort)

        if self._options.only:
            number = int(self._options.only.removeprefix("r"))
            yield entry(number, REAL if self._options.only.startswith("r") else QUICK)
            return
        quick, real = itertools.count(), itertools.count()
        while True:
            if self._real_seconds < self._options.real_share * (time.monotonic() - self._began):
                yield entry(next(real), REAL)
            else:
                yield entry(next(quick), QUICK)

    def _is_enough(self, struck: int) -> bool:
        if self._options.only:
            return False
        late = time.monotonic() - self._began >= self._options.minutes * 60
        return late or (self._options.faults is not None and struck >= self._options.faults)

    def _strikes(self, entry: Entry, faults: list[str]) -> Iterable[Strike]:
        if entry.sort is REAL and entry.home != "drive":
            faults = [fault for fault in faults if fault != "clock jumps"]  # a real worker has the machine's clock
        if self._options.kinds:
            faults = [fault for fault in faults if fault in self._options.kinds]
        before = self.tally.faults
        for strike in schedule(f"{self._options.seed}/{entry.name}", faults, entry.sort.tempo):
            if self._is_enough(struck=before + strike.number - 1):
                return
            yield strike

    def _setting(self, entry: Entry, kind: Kind, crew: int, step_seconds: float | None = None) -> Setting:
        sort = entry.sort
        return Setting(
            sort.study(entry.mode, kind.lease_seconds),
            kind,
            crew,
            sort.worker,
            sort.step_seconds if step_seconds is None else step_seconds,
            sort.hang_seconds,
        )

    def _bits(self, entry: Entry) -> Mapping[str, str]:
        """The bits that come of a run by one worker in a directory that nobody disturbs."""
        name = f"undisturbed-{entry.mode}-{'real' if entry.sort is REAL else 'quick'}"
        if name not in self._undisturbed:
            trial = Trial(self._setting(entry, DIRECTORY, crew=1, step_seconds=0.0), self._place / name)
            course = trial.run(lambda _: ())
            assert not course.findings, f"undisturbed, a study comes to its end: {course.findings}"
            self._undisturbed[name] = course.bits
            self._console.print(f"{name}: {course.jobs} jobs in {course.seconds:.1f} s", highlight=False)
        return self._undisturbed[name]

    def _tell(self, entry: Entry, course: Course) -> None:
        self._console.print(
            f"{(time.monotonic() - self._began) / 60:5.1f} min  study {entry.name:>4}, {entry.column:24} "
            f"{course.struck.total():4} faults, {course.deaths:3} killed, {course.jobs:3} jobs in "
            f"{course.seconds:5.1f} s; {self.tally.faults} faults so far",
            highlight=False,
        )
        place = self._place / entry.name
        if not course.findings:
            shutil.rmtree(place, ignore_errors=True)
            return
        again = ["--seed", self._options.seed, "--only", entry.name, "--workers", self._options.workers]
        again += ["--homes", *self._options.homes, "--modes", *self._options.modes]
        again += ["--kinds", *self._options.kinds] if self._options.kinds else []
        told = [f"  FOUND: {shlex.join(map(str, again))}"]
        for finding in course.findings[:_MOST_TOLD]:
            told += [f"    {finding.wrong}: {finding.what}", f"      after {finding.after}"]
        told += [f"    {len(course.findings)} findings; logs: {place / 'logs'}"]
        self._console.print("\n".join(told), markup=False, highlight=False)


def main() -> None:
    options = _options()
    isolate()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that no worker and no mount is left behind
    here = Path(__file__).parent.absolute()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    console = Console(width=max(160, Console().width))
    place = Path(tempfile.mkdtemp(prefix="orch-campaign-"))
    os.chdir(place)  # what workers and plans note where they are is none of the caller's
    with ExitStack() as stack:
        campaign = Campaign(options, _kinds(options.homes, stack), place, console)
        try:
            campaign.run()
        except KeyboardInterrupt:
            console.print("Interrupted; this is what was reached.")
    campaign.tally.show(console)
    print(json.dumps({"seed": options.seed, **campaign.tally.to_json()}))
    if not campaign.tally.findings:
        shutil.rmtree(place, ignore_errors=True)
    sys.exit(bool(campaign.tally.findings))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="after so long no more is struck")
    parser.add_argument("--faults", type=int, help="nor after so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--homes", nargs="+", choices=HOMES, default=HOMES)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--real-share", type=float, default=0.1, help="of the time, for real workers")
    parser.add_argument("--workers", type=int, default=2, help="at a time")
    parser.add_argument("--only", help="strike this study, and no other")
    parser.add_argument(
        "--kinds", nargs="+", help="strike with these faults alone, as the table of what was struck names them"
    )
    return parser.parse_args()


def _kinds(homes: Iterable[str], stack: ExitStack) -> Mapping[str, Kind]:
    """What a kind needs is loaded and started only if it is asked for."""
    kinds = {"directory": DIRECTORY}
    if "postgresql" in homes:
        from fast_motion.postgresql import postgresql

        kinds["postgresql"] = stack.enter_context(postgresql())
    if "drive" in homes:
        from fast_motion.drive import DRIVE

        kinds["drive"] = DRIVE
    return kinds


if __name__ == "__main__":
    main()
