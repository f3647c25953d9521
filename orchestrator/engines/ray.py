"""Workers on a Ray cluster: one submitted job keeps them, so that the machine which launches may be switched off.

What is submitted stands in `ray_job`, what it does there in `ray_keeper`; here is who is asked.  The cluster is spoken
to through its Jobs API and its State API alone, over HTTP: Ray's own protocol wants the same Ray and Python on both
sides, and an open network between them.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from orchestrator.engines import ray_job
from orchestrator.engines.pool import EngineError, Member, Pool, counted
from orchestrator.engines.ray_job import POOL_KEY, TEMPLATE_KEY, Order, Wishes
from orchestrator.errors import UsageError
from orchestrator.foreign_text import printable, single_line
from orchestrator.installation import distribution

_API_SERVER_VARIABLE = "RAY_API_SERVER_ADDRESS"
"""Ray lets this one go before `RAY_ADDRESS`, and either before an address that its client is given."""

_STARTING_SECONDS = 120.0
"""How long a submitted job may take to be up, with its runtime environment, before it is left to itself."""

_LOOK_SECONDS = 0.3

_MOST_TASKS = 10_000
"""Of which a State API tells at once (`RAY_MAX_LIMIT_FROM_API_SERVER`)."""


class RayEngine:
    """Pools on one cluster, with Ray's own client of its Jobs API."""

    def __init__(self, options: Sequence[str]) -> None:
        """Raises UsageError if there are no such options."""
        self._wishes = Wishes.parse(options)

    def render(self, pool: Pool) -> str:
        """Ray's own command that submits the same.  Raises UsageError if the nodes could not reach the study."""
        return ray_job.command_line(ray_job.order(pool, self._wishes), self._wishes) + "\n"

    def start(self, pool: Pool) -> str:
        """Raises UsageError as `render` does, or if the pool that is there was started with other options."""
        order = ray_job.order(pool, self._wishes)
        with _asked(self._wishes) as jobs:
            keeper = _keeper(jobs, pool.name)
            if keeper is not None:
                self._refuse_other_options(pool, order, keeper)
            job = _submit(jobs, order, self._wishes)
            told = _seen_to_start(jobs, job, up_is_enough=keeper is None)
        at_a_time = f"with {counted(pool.workers)} at a time"
        if told is None:
            return f"Submitted {job} {at_a_time}, which Ray has not started yet; `ray job logs {job}` tells why."
        if keeper is None:
            return f"Started {job} {at_a_time}; `ray job logs {job}` has what they print."
        return f"The pool {pool.name} is there already, now {at_a_time}."

    def list(self, name: str) -> Sequence[Member]:
        """The keeper, and those that it keeps; the keeper alone if it has given them up."""
        with _asked(self._wishes) as jobs:
            keeper = _keeper(jobs, name) or _failed(jobs, name)
            if keeper is None:
                return []
            log = f"ray job logs {keeper.submission_id}"
            itself = Member(keeper.submission_id, str(keeper.status).lower(), _node(keeper), log)
            is_up = keeper.job_id is not None and not keeper.status.is_terminal()
            return [itself, *(_workers(jobs.get_address(), keeper.job_id, log) if is_up else ())]

    def stop(self, name: str) -> str:
        with _asked(self._wishes) as jobs:
            keeper = _keeper(jobs, name)
            if keeper is None:
                return "Ray has no worker of this study."
            if keeper.job_id is None or not self._is_told_to_end(jobs, name):
                # Ray ends it, and kills it after three seconds; its workers hear of that (`ray_keeper`).
                jobs.stop_job(keeper.submission_id)
        return f"Asked the workers of {keeper.submission_id} to end in good order, within half a minute."

    def _is_told_to_end(self, jobs: Any, name: str) -> bool:
        try:
            return bool(_seen_to_start(jobs, _submit(jobs, Order(name, workers=0), self._wishes), up_is_enough=False))
        except EngineError:
            return False

    def _refuse_other_options(self, pool: Pool, order: Order, keeper: Any) -> None:
        """Only the number of workers of a pool that runs can be changed; what is left out is as it was."""
        said = {pool.gpus, pool.memory_gb, pool.hours} != {None} or replace(self._wishes, address=None) != Wishes()
        its = (keeper.metadata or {}).get(TEMPLATE_KEY)
        if said and its != ray_job.template_digest(order, self._wishes):
            raise UsageError(
                f"The pool {pool.name} runs with other options than these, which can be changed only by starting it "
                "anew: give --stop first, or leave the options out."
            )


def _submit(jobs: Any, order: Order, wishes: Wishes) -> str:
    job: str = jobs.submit_job(
        entrypoint=ray_job.entrypoint(order, wishes),
        submission_id=f"{order.pool}-{secrets.token_hex(4)}",
        metadata=ray_job.metadata(order, wishes),
        runtime_env=ray_job.runtime_env(wishes),
    )
    return job


def _seen_to_start(jobs: Any, job: str, *, up_is_enough: bool) -> bool | None:
    """Wait until a job has ended well or, if that is enough, is connected; None if neither comes about soon.

    Raises EngineError if it failed.
    """
    deadline = time.monotonic() + _STARTING_SECONDS
    while time.monotonic() < deadline:
        found = jobs.get_job_info(job)
        is_up = found.status == "RUNNING" and found.job_id is not None
        if found.status == "SUCCEEDED" or (is_up and up_is_enough):
            return True
        if found.status.is_terminal():
            raise EngineError(
                f"Ray's job {job} failed: {_last_line(found.message or '')}; `ray job logs {job}` tells more, and Orch "
                "must be installed where Ray's nodes run it."
            )
        time.sleep(_LOOK_SECONDS)
    return None


def _keeper(jobs: Any, name: str) -> Any:
    """The job that keeps this pool, the oldest that is not over; None if there is none."""
    return next((job for job in _jobs(jobs, name) if not job.status.is_terminal()), None)


def _failed(jobs: Any, name: str) -> Any:
    """The last job of this pool, if it failed; else None."""
    return next((job for job in _jobs(jobs, name)[-1:] if job.status == "FAILED"), None)


def _jobs(jobs: Any, name: str) -> list[Any]:
    """Those of this pool in their order, the ones that told a keeper among them."""
    its = [each for each in jobs.list_jobs() if each.submission_id and (each.metadata or {}).get(POOL_KEY) == name]
    return sorted(its, key=lambda each: each.start_time or 0)


def _node(keeper: Any) -> str:
    return "" if keeper.driver_info is None else str(keeper.driver_info.node_ip_address)


def _workers(address: str, job: str, log: str) -> list[Member]:
    """The newest task of each worker, but for those that ended as they should."""
    state = import_module("ray.util.state")
    limits = {"address": address, "limit": _MOST_TASKS, "raise_on_missing_output": False}
    its = [("job_id", "=", job), ("func_or_class_name", "=", "run_worker")]
    tasks = state.list_tasks(filters=its, detail=True, **limits)
    nodes = {node.node_id: str(node.node_ip) for node in state.list_nodes(**limits)}
    newest = {task.name: task for task in sorted(tasks, key=lambda task: task.creation_time_ms or 0)}
    return [
        Member(task.name, str(task.state).lower().replace("_", " "), nodes.get(task.node_id, ""), log)
        for task in sorted(newest.values(), key=lambda task: (len(task.name), task.name))
        if task.state != "FINISHED" and task.error_type != "TASK_CANCELLED"
    ]


@contextmanager
def _asked(wishes: Wishes) -> Iterator[Any]:
    """A client of the cluster's Jobs API.  Turns what Ray says of a refusal, or of no answer, into a sentence."""
    address = _address(wishes)
    where = urlsplit(address).netloc
    submission, exceptions, state_exceptions = _modules()
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import Timeout

    before = os.environ.get(_API_SERVER_VARIABLE)
    os.environ[_API_SERVER_VARIABLE] = address
    try:
        yield submission.JobSubmissionClient(address)
    except exceptions.AuthenticationError as error:
        raise EngineError(
            f"Ray at {where} refuses: {_reason(error.message)}; give its token in RAY_AUTH_TOKEN_PATH or "
            "RAY_AUTH_TOKEN, with RAY_AUTH_MODE=token."
        ) from error
    except (ConnectionError, NoConnection, Timeout, state_exceptions.ServerUnavailable) as error:
        raise EngineError(f"Ray does not answer at {where}.") from error
    except state_exceptions.RayStateApiException as error:  # its client wants each field of its own version
        version = import_module("ray").__version__
        raise EngineError(
            f"Ray at {where} does not list its workers: {_reason(str(error))}; Ray is {version} here, and should be "
            "the cluster's version."
        ) from error
    except (exceptions.RayError, RuntimeError, OSError, ValueError, TypeError, LookupError) as error:
        raise EngineError(f"Ray at {where} refuses: {_reason(str(error))}.") from error
    finally:
        if before is None:
            del os.environ[_API_SERVER_VARIABLE]
        else:
            os.environ[_API_SERVER_VARIABLE] = before


def _address(wishes: Wishes) -> str:
    """Raises UsageError if none is known, or the environment names another kind."""
    given = wishes.address or os.environ.get(_API_SERVER_VARIABLE) or os.environ.get("RAY_ADDRESS")
    if not given:
        raise UsageError("No Ray cluster is named; give -- --address http://HEAD:8265, or set RAY_ADDRESS to that.")
    try:
        return ray_job.checked_address(given)
    except ValueError as error:
        raise UsageError(f"Ray's cluster is named wrongly: {error}.") from None


def _modules() -> tuple[Any, Any, Any]:
    """Ray's client, and the exceptions that it and the State API raise.  Raises EngineError without Ray."""
    try:
        client = import_module("ray.job_submission")
    except ImportError:
        raise EngineError(f"Ray is not installed here: pip install '{distribution.requirement('ray')}'.") from None
    return client, import_module("ray.exceptions"), import_module("ray.util.state.exception")


def _reason(text: str) -> str:
    """What a refusal says before it explains itself; of a traceback its end."""
    return _last_line(text) if "Traceback" in text else _told(text)[0]


def _last_line(text: str) -> str:
    """What a log or a traceback says in the end."""
    return _told(text)[-1]


def _told(text: str) -> list[str]:
    lines = [single_line(line).rstrip(".") for line in printable(text).splitlines()]
    return list(filter(None, lines)) or ["no reason is told"]
