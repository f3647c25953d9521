"""Planning the same study again in the middle of it, and the loss of published data, which that mends."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

from fast_motion.files import Contents
from fast_motion.quick_worker import PRELOADED, Access, log_to
from fast_motion.schedule import Blow, Missed, NotYet, Standing, Strike, chosen
from orchestrator.command_line import entry
from orchestrator.errors import OrchError
from orchestrator.jobs import Artifact
from orchestrator.jobtable import JobTable
from orchestrator.study import Study


class PlanFaults:
    """`orch plan` in processes of its own, which may fail as any other when something stands in its way."""

    def __init__(self, study: Study, access: Access, jobs: JobTable, contents: Contents, log: Path) -> None:
        self._study, self._access, self._log = study, access, log
        self._jobs, self._contents = jobs, contents
        self._planner: BaseProcess | None = None

    def blows(self) -> Mapping[str, Blow]:
        return {"planned again": self._plan_again, "shard lost": self._lose_data}

    def _plan_again(self, strike: Strike) -> Standing:  # noqa: ARG002
        if not self._is_idle():
            raise Missed
        self._plan()
        return Standing(0.0, _until(self._is_idle))

    def _lose_data(self, strike: Strike) -> Standing:
        """Until planning again has put it back; jobs that want it fail meanwhile."""
        try:
            data = self._jobs.data()
        except OrchError as error:
            raise Missed from error
        lost = data[sorted(data)[chosen(sorted(data), strike)]]
        self._contents.remove(lost)
        return Standing(0.0, _until(lambda: self._is_mended(lost)), missing=lost.location)

    def _is_mended(self, lost: Artifact) -> bool:
        if not self._is_idle():
            return False
        try:
            if lost.sha256 in {kept.sha256 for kept in self._jobs.data().values() if self._contents.is_whole(kept)}:
                return True
        except OrchError:
            return False
        self._plan()
        return False

    def _is_idle(self) -> bool:
        return self._planner is None or not self._planner.is_alive()

    def _plan(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self._planner = context.Process(target=_plan, args=(self._study, self._access, str(self._log)), daemon=True)
        self._planner.start()


def _until(condition: Callable[[], bool]) -> Callable[[], None]:
    def lift() -> None:
        if not condition():
            raise NotYet

    return lift


def _plan(study: Study, access: Access, log: str) -> None:
    from orchestrator.planning.publishing import publish

    log_to(Path(log))
    os.environ.update(access.environment or {})
    entry.run(lambda: print(publish(study, access.url, None, artifacts=access.artifacts).sentence()))
