"""A study's home in a directory of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fast_motion.clocks import ClockFaults, ClockFile
from fast_motion.disks import Disk, small_disk
from fast_motion.files import CheckpointFaults, DiskFaults, LocalContents
from fast_motion.plans import PlanFaults
from fast_motion.quick_worker import Access
from fast_motion.schedule import Blow
from fast_motion.site import Kind, dataset
from orchestrator.artifacts import LocalStore
from orchestrator.home import Home
from orchestrator.planning.publishing import publish
from orchestrator.study import Study


class DirectorySite:
    """Its disk fills and becomes read-only, its clock jumps, its checkpoints are damaged."""

    def __init__(self, study: Study, place: Path, disk: Disk) -> None:
        directory = disk.directory / "home"
        publish(study, directory, None, dataset())
        home = Home.open(directory)
        assert isinstance(home.artifacts, LocalStore), "a directory keeps its files itself"
        self.jobs = home.jobs
        self._url = home.url
        self._disk = disk
        self._clock = ClockFile(place / "clock")
        self.contents = contents = LocalContents(home.artifacts)
        self._files = CheckpointFaults(self.jobs, contents)
        self._plans = PlanFaults(study, Access(self._url), self.jobs, contents, place / "logs" / "plan.log")

    def access(self, worker: int) -> Access:  # noqa: ARG002
        return Access(self._url, clock=str(self._clock.path))

    def blows(self) -> Mapping[str, Blow]:
        return {
            **DiskFaults(self._disk, "home's").blows(),
            **self._files.blows(),
            **self._plans.blows(),
            **ClockFaults(self._clock.set_ahead).blows(),
        }


@contextmanager
def opened(study: Study, place: Path) -> Iterator[DirectorySite]:
    with small_disk(place / "home") as disk:
        site = DirectorySite(study, place, disk)
        try:
            yield site
        finally:
            site.jobs.close()


DIRECTORY = Kind("directory", lease_seconds=1.0, opened=opened)
