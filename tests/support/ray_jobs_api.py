"""The Jobs API and the State API of a Ray cluster, imitated: jobs that run at once, and a pool that can be told.

What Ray answers is taken from `ray/dashboard/modules/job/job_head.py` and `ray/util/state/common.py` of Ray 2.60.
"""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs, urlsplit

from orchestrator.engines.ray_job import POOL_KEY, Order


@dataclass
class RayJobsApi:
    """The server, and what it was told."""

    url: str
    wants_token: bool = False
    """And so refuses everybody: Ray's client reads its token once in a process."""
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    """The jobs that were asked to end by Ray itself."""
    workers: int = 0
    """How many were last asked for."""
    tasks: list[dict[str, Any]] = field(default_factory=list)
    fields_lack: bool = False
    """Whether the cluster's Ray is older than the client's."""
    log: str | None = None
    """With it every job fails as soon as it is submitted."""
    broken: bool = False
    """Whether requests meet an error of the server."""

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        if self.wants_token:
            return 401, "Unauthorized: Missing authentication token"
        if self.broken and path != "/api/version":
            return 500, 'Traceback (most recent call last):\n  File "job_head.py", line 1\nOSError: disk full\n'
        match method, path.strip("/").split("/"):
            case "GET", ["api", "version"]:
                return 200, {"version": "4", "ray_version": "2.60.0", "ray_commit": "", "session_name": ""}
            case "GET", ["api", "jobs"]:
                return 200, list(self.jobs.values())
            case "POST", ["api", "jobs"]:
                return self._submit(body)
            case "GET", ["api", "jobs", name] if name in self.jobs:
                return 200, self.jobs[name]
            case "POST", ["api", "jobs", name, "stop"] if name in self.jobs:
                self.stopped.append(name)
                self.jobs[name]["status"] = "STOPPED"
                return 200, {"stopped": True}
            case "GET", ["api", "v0", "tasks"]:
                wanted = dict(zip(query["filter_keys"], query["filter_values"], strict=True))
                found = [each for each in self.tasks if wanted.items() <= each.items()]
                return 200, _listed([{"name": each["name"]} if self.fields_lack else each for each in found])
            case "GET", ["api", "v0", "nodes"]:
                return 200, _listed([_node("n1", "10.0.0.2")])
        return 404, f"there is no {path}"

    def _submit(self, body: Any) -> tuple[int, Any]:
        name, pool = body["submission_id"], body["metadata"][POOL_KEY]
        order = Order.parse(shlex.split(body["entrypoint"])[4:])
        keeper = next(
            (job for job in self.jobs.values() if job["metadata"][POOL_KEY] == pool and job["status"] == "RUNNING"),
            None,
        )
        is_heard = keeper is not None or not order.workers
        status = "FAILED" if self.log is not None else "SUCCEEDED" if is_heard else "RUNNING"
        self.jobs[name] = {
            "type": "SUBMISSION",
            "submission_id": name,
            "job_id": f"{len(self.jobs) + 1:02}000000",
            "status": status,
            "entrypoint": body["entrypoint"],
            "message": self.log,
            "metadata": body["metadata"],
            "runtime_env": body.get("runtime_env"),
            "start_time": len(self.jobs),
            "driver_info": {"id": "1", "node_ip_address": "10.0.0.1", "pid": "7"},
        }
        if status != "FAILED":
            self.workers = order.workers
        if keeper is not None and not self.workers:
            keeper["status"] = "SUCCEEDED"
        return 200, {"submission_id": name, "job_id": name}


def task(name: str, state: str, job: str = "01000000", **more: Any) -> dict[str, Any]:
    """One as the State API lists it."""
    its = {"name": name, "state": state, "job_id": job, "func_or_class_name": "run_worker", "creation_time_ms": 1}
    ids = {"task_id": "t", "attempt_number": 0, "type": "NORMAL_TASK", "parent_task_id": "p"}
    return {**_empty("TaskState"), **ids, **its, **more}


def _node(name: str, ip: str) -> dict[str, Any]:
    its = {"node_id": name, "node_ip": ip, "node_name": ip, "is_head_node": False, "state": "ALIVE"}
    return {**_empty("NodeState"), **its, "resources_total": {}, "labels": {}}


def _empty(kind: str) -> dict[str, None]:
    """Ray's client wants every field."""
    return {each.name: None for each in fields(getattr(import_module("ray.util.state.common"), kind))}


def _listed(found: list[dict[str, Any]]) -> dict[str, Any]:
    counted = {"total": len(found), "num_after_truncation": len(found), "num_filtered": len(found)}
    return {"result": True, "msg": "", "data": {"result": {**counted, "result": found}}}


@contextmanager
def ray_jobs_api() -> Iterator[RayJobsApi]:
    """Yields a server on loopback that has no jobs yet."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = urlsplit(self.path)
            content = json.loads(body) if body else None
            code, answer = api.answer(self.command, asked.path, parse_qs(asked.query), content)
            told = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        do_GET = do_POST = _serve  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api = RayJobsApi(f"http://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield api
        finally:
            server.shutdown()
