"""The inputs of a session's jobs: asked for, asked for again, and the state to begin with replaced by an older one.

The files travel through `workers.store.transfers`; when it is time to ask for them, `workers.session` decides.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from orchestrator.jobs import Artifact, Lease
from workers.chain import ChainStep
from workers.store.transfers import FetchFailed, as_trouble
from workers.worker import Worker


class Inputs:
    """What the jobs of one session begin with.  For the main thread; each request ends as one event in the inbox."""

    def __init__(self, lease: Lease, worker: Worker) -> None:
        self._worker = worker
        self._states = [*(checkpoint.artifact for checkpoint in lease.checkpoints), lease.inputs.get("state")]
        """What the first job may begin with, best first; None is its very beginning, where nothing comes before it."""

    def fetch_first(self, held: ChainStep, lease: Lease) -> None:
        """Ask for the inputs of the job that the chain begins with, and for the best state that is left for it."""
        state = self.state
        others = {name: artifact for name, artifact in lease.inputs.items() if name != "state"}
        self.fetch(held, {**others, "state": state} if state else others)

    def fetch(self, chain_step: ChainStep, wanted: Mapping[str, Artifact]) -> None:
        chain_step.wanted, chain_step.asked = wanted, time.monotonic()
        try:
            # Not with its parents: the worker's directory is locked, and another of its name would not be.
            self._worker.directory.mkdir(mode=0o700, exist_ok=True)
            chain_step.directory.mkdir(exist_ok=True)
        except OSError as error:
            self._worker.inbox.put(FetchFailed(chain_step.job, "directory", as_trouble(error)))
            return
        self.fetch_again(chain_step)

    def fetch_again(self, chain_step: ChainStep) -> None:
        self._worker.transfers.fetch(chain_step.job, chain_step.wanted)

    @property
    def state(self) -> Artifact | None:
        """The state that the first job is to begin with; None for its very beginning."""
        return self._states[0]

    @property
    def has_state(self) -> bool:
        """Whether anything is left that the first job could begin with."""
        return bool(self._states)

    def drop_state(self, lease: Lease) -> None:
        """Note that the state is missing, damaged or another's: the first job is to begin with the one before it."""
        _, *left = self._states
        # In a speculative attempt the newest may be newer than all that there were when the job was claimed, and those
        # may be gone.
        named = [checkpoint.artifact for checkpoint in lease.checkpoints]
        self._states = [*named, *(state for state in left if state not in named)]

    def forget_states(self) -> None:
        """Note that the first job is complete: the next ones have their state in the runner's memory."""
        self._states = []
