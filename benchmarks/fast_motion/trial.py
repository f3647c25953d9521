"""One study under its schedule of faults, from its plan to the verdict."""

from __future__ import annotations

import math
import re
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from fast_motion import verdict
from fast_motion.crew import Crew, Worker
from fast_motion.disks import small_disk
from fast_motion.files import DiskFaults
from fast_motion.processes import ProcessFaults
from fast_motion.quick_worker import Access
from fast_motion.schedule import Blow, Missed, NotYet, Standing, Strike
from fast_motion.site import Kind, Site
from fast_motion.stand_in import STEP_SECONDS
from fast_motion.verdict import Finding, Wrong
from orchestrator.errors import ExitCode, OrchError
from orchestrator.jobs import Attempt, Ending, Job, JobState
from orchestrator.study import Study

_LOOK_SECONDS = 0.25
_CALM_FACTOR = 4
"""Times what a hang takes: in so long a study comes to its end that nothing strikes any more."""
_LAST_STRIKES = 5
"""How many are told with a finding."""


@dataclass(frozen=True)
class Setting:
    """What decides how a study goes, beside its schedule."""

    study: Study
    kind: Kind
    crew: int
    """How many workers at a time."""
    worker: Callable[[str, Access, Path, Path], Worker]
    """Starts one: its name, where it works, its log, and its directory for temporary files."""
    step_seconds: float
    """How long a stand-in takes for a step."""
    hang_seconds: float
    """After so long without progress and without a fault standing, something hangs."""


@dataclass
class Course:
    """What happened to a study, and what came of it."""

    struck: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    started: int = 0
    """Workers."""
    deaths: int = 0
    """Deaths of workers by signals that cannot be heard."""
    endings: Counter[str] = field(default_factory=Counter)
    """How workers ended that nobody had killed."""
    jobs: int = 0
    """Done."""
    attempts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """How many attempts ended in each way."""
    failures: Counter[str] = field(default_factory=Counter)
    """What attempts failed of."""
    seconds: float = 0.0
    bits: Mapping[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


class Trial:
    """Goes through one study.  `run` returns when it is done, or when it hangs."""

    def __init__(self, setting: Setting, place: Path) -> None:
        self._setting = setting
        self._place = place
        self._course = Course()
        self._standing: list[tuple[float, Standing]] = []
        self._last: deque[str] = deque(maxlen=_LAST_STRIKES)
        self._read: set[Path] = set()
        """Logs of processes that have ended."""
        self._done: set[str] = set()
        self._quarantined: set[str] = set()
        self._taken_away: set[str] = set()
        """Locations of artifacts."""
        self._progress: object = None
        self._moved = 0.0
        self._look_due = 0.0
        self._over = False

    def run(
        self, strikes: Callable[[list[str]], Iterable[Strike]], undisturbed: Mapping[str, str] | None = None
    ) -> Course:
        """Plan the study, strike it, let it end, and judge.

        Args:
            strikes: the schedule, given the names of the faults that can befall the study.
        """
        began = self._moved = time.monotonic()
        (self._place / "logs").mkdir(parents=True)
        with ExitStack() as stack:
            disk = stack.enter_context(small_disk(self._place / "machine"))
            self._scratch = disk.directory
            for seat in range(self._setting.crew):
                (self._scratch / f"seat{seat}").mkdir()
            self._site: Site = stack.enter_context(self._setting.kind.opened(self._setting.study, self._place))
            self._crew = Crew(self._setting.crew, self._start)
            stack.callback(self._crew.end)
            blows: dict[str, Blow] = {
                **ProcessFaults(self._crew, self._setting.kind.lease_seconds).blows(),
                **DiskFaults(disk, "workers'").blows(),
                **self._site.blows(),
            }
            self._go_through(strikes(sorted(blows)), blows)
            self._judge(undisturbed)
        self._course.seconds = time.monotonic() - began
        return self._course

    def _start(self, number: int, seat: int) -> Worker:
        name = f"w{number}"
        access = self._site.access(seat)
        own = {**(access.environment or {}), STEP_SECONDS: str(self._setting.step_seconds)}
        access = replace(access, environment=own)
        return self._setting.worker(name, access, self._place / "logs" / f"{name}.log", self._scratch / f"seat{seat}")

    # --- the course ---

    def _go_through(self, strikes: Iterable[Strike], blows: Mapping[str, Blow]) -> None:
        for strike in strikes:
            if not self._wait(strike.after):
                break
            self._strike(strike, blows[strike.fault])
        self._until_over(time.monotonic() + _CALM_FACTOR * self._setting.hang_seconds)
        self._calm()
        self._wait_for_the_crew()

    def _until_over(self, deadline: float) -> None:
        """Nothing strikes any more; what moves without an end hangs, too."""
        while self._wait(1.0):
            if time.monotonic() > deadline:
                self._over = True
                self._found(Finding(Wrong.HANG, "it goes on and on, and does not come to its end"))

    def _strike(self, strike: Strike, blow: Blow) -> None:
        try:
            standing = blow(strike)
        except Missed:
            self._course.missed += 1
            return
        self._course.struck[strike.fault] += 1
        self._last.append(f"{strike} for {standing.seconds:.1f} s" if standing else str(strike))
        if standing is not None:
            if standing.missing is not None:
                self._taken_away.add(standing.missing)
            self._standing.append((time.monotonic() + standing.seconds, standing))

    def _wait(self, seconds: float) -> bool:
        """Have the crew work so long; False as soon as the study is over."""
        until = time.monotonic() + seconds
        while not self._over:
            self._lift(time.monotonic())
            self._crew.fill()
            self._read_logs(worker.log for worker in self._crew.all if worker.code() is not None)
            self._look()
            left = until - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(left, 0.02))
        return not self._over

    def _lift(self, now: float) -> None:
        """The faults that have stood long enough."""
        for due in [standing for standing in self._standing if standing[0] <= now]:
            try:
                due[1].lift()
            except NotYet:
                continue
            self._standing.remove(due)
            self._moved = time.monotonic()

    def _calm(self) -> None:
        """Nothing stands in anybody's way any more."""
        deadline = time.monotonic() + self._setting.hang_seconds
        while self._standing and time.monotonic() < deadline:
            self._lift(math.inf)
            time.sleep(0.02)
        if self._standing:
            self._found(Finding(Wrong.HANG, "what was lost cannot be put back: see plan.log"))

    def _look(self) -> None:
        """What is done stays done; what is given up is told, and tried again; what does not move hangs."""
        now = time.monotonic()
        if now < self._look_due:
            return
        self._look_due = now + _LOOK_SECONDS
        try:
            jobs = self._site.jobs.jobs()
        except OrchError:
            return  # a fault is in the campaign's way, too
        except Exception as error:  # `orch status` would print it
            what = f"the campaign itself, looking at the jobs: {type(error).__name__}: {_first_line(str(error))}"
            self._found(Finding(Wrong.TRACEBACK, what))
            return
        self._note_undone(jobs)
        self._note_quarantined(jobs)
        progress = [(job.state, job.attempts, job.progress) for job in jobs]
        if progress != self._progress or self._standing:
            self._progress, self._moved = progress, now
        self._over = all(job.state is JobState.DONE for job in jobs)
        if now - self._moved > self._setting.hang_seconds:
            self._over = True
            states = Counter(str(job.state) for job in jobs)
            self._found(Finding(Wrong.HANG, f"nothing has moved for {now - self._moved:.0f} s: {dict(states)}"))

    def _note_undone(self, jobs: list[Job]) -> None:
        done = {job.name for job in jobs if job.state is JobState.DONE}
        for name in self._done - done:
            self._found(Finding(Wrong.LOST, f"{name} was done, and is not any more"))
        self._done = done

    def _note_quarantined(self, jobs: list[Job]) -> None:
        for job in jobs:
            if job.state is not JobState.QUARANTINED:
                continue
            if job.name not in self._quarantined and not verdict.lacks_what_was_taken_away(job, self._taken_away):
                self._quarantined.add(job.name)
                what = f"{job.name} after {job.attempts} attempts: {_first_line(job.error)}"
                self._found(Finding(Wrong.QUARANTINED, what))
            try:
                self._site.jobs.retry(job.id)
            except OrchError:
                continue

    def _wait_for_the_crew(self) -> None:
        until = time.monotonic() + self._setting.hang_seconds
        while self._crew.alive and time.monotonic() < until:
            time.sleep(0.05)
        if not self._course.findings:
            for worker in self._crew.alive:
                self._found(Finding(Wrong.OPEN_END, f"{worker.name} does not end although all is done"))

    # --- the end ---

    def _judge(self, undisturbed: Mapping[str, str] | None) -> None:
        course, jobs = self._course, self._site.jobs.jobs()
        for finding in verdict.judge(self._site, undisturbed):
            self._found(finding)
        self._read_logs(sorted((self._place / "logs").iterdir()))
        course.bits = verdict.bits(jobs)
        course.jobs = sum(job.state is JobState.DONE for job in jobs)
        course.started = len(self._crew.all)
        for worker in self._crew.all:
            if worker.code() == -signal.SIGKILL:
                course.deaths += 1
            else:
                course.endings[_ending(worker)] += 1
        attempts = self._site.jobs.attempts()
        course.attempts = len(attempts)
        course.outcomes = Counter(str(attempt.outcome) for attempt in attempts)
        course.failures = Counter(_failures(attempts))

    def _read_logs(self, logs: Iterable[Path]) -> None:
        for log in logs:
            if log not in self._read:
                self._read.add(log)
                for finding in verdict.read(log):
                    self._found(finding)

    def _found(self, finding: Finding) -> None:
        self._course.findings.append(replace(finding, after="; ".join(self._last)))


def _failures(attempts: Iterable[Attempt]) -> Iterator[str]:
    return (_alike(_first_line(attempt.error)) for attempt in attempts if attempt.outcome is Ending.FAILED)


def _ending(worker: Worker) -> str:
    """The code that a worker ended with, and its last words where something was wrong."""
    code = worker.code()
    if code in (ExitCode.DONE, ExitCode.TRY_LATER) or code is None or code < 0 or not worker.log.exists():
        return "alive" if code is None else str(code)
    said = worker.log.read_text(errors="replace").strip().splitlines() or [""]
    # What a worker says of its work may be written later than what it ends with.
    last = next((line for line in reversed(said) if line.startswith("orch: ")), said[-1])
    return f"{code}  {_alike(last)}"


def _alike(text: str) -> str:
    """What two texts have in common that differ in names only."""
    return re.sub(r"\S*[/:]\S*|\b\w*\d\w*\b", "…", text)[:150]


def _first_line(error: str | None) -> str:
    return (error or "?").partition("\n")[0][:200]
