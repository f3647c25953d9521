"""Files that are replaced by compare-and-set: one on this machine's disk, and one that loses what is said about it."""

from __future__ import annotations

import fcntl
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path

from orchestrator.errors import HomeError
from orchestrator.jobtable.backends.conditional_file import ConditionalFile, Conflict, Version


class FileOnDisk:
    """`PATH` holds a version and, after it, the content; `PATH.lock` is held to replace both."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def version(self) -> Version:
        return self.read()[1]

    def read(self) -> tuple[bytes, Version]:
        try:
            version, _, content = self._path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return b"", Version("none", "none")
        return content, Version(version.decode(), version.decode())

    def replace(self, content: bytes, version: Version) -> Version:
        new = uuid.uuid4().hex
        with self._alone():
            if self.version() != version:
                raise Conflict
            written = self._path.with_name(f"{self._path.name}.{new}")
            written.write_bytes(new.encode() + b"\n" + content)
            written.replace(self._path)
        return Version(new, new)

    def now(self) -> float:
        return time.time()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._path.with_name(f"{self._path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class Fault(Enum):
    """What befalls a request."""

    NONE = "none"
    UNREACHABLE = "nothing arrives"
    CONFLICT = "the service says that the version is stale, without another's doing"
    ANSWER_LOST = "it is done, and the answer does not arrive"
    LATE = "no answer arrives, and it is done when the next request is made"


class Faulty:
    """A file whose requests meet these faults, one after another; what comes after them is well."""

    def __init__(self, file: ConditionalFile, faults: Iterable[Fault]) -> None:
        self._file = file
        self._faults = iter(faults)
        self._late: tuple[bytes, Version] | None = None
        self.requests = 0

    def __str__(self) -> str:
        return str(self._file)

    def version(self) -> Version:
        self._reach(self._next())
        return self._file.version()

    def read(self) -> tuple[bytes, Version]:
        self._reach(self._next())
        return self._file.read()

    def replace(self, content: bytes, version: Version) -> Version:
        fault = self._next()
        if fault is Fault.CONFLICT:
            raise Conflict
        if fault is Fault.LATE:
            self._late = content, version
            raise Conflict
        self._reach(fault)
        new = self._file.replace(content, version)
        if fault is Fault.ANSWER_LOST:
            raise Conflict
        return new

    def now(self) -> float:
        return self._file.now()

    def _next(self) -> Fault:
        self.requests += 1
        late, self._late = self._late, None
        fault = next(self._faults, Fault.NONE)
        if late is not None:
            with suppress(Conflict):
                self._file.replace(*late)
        return fault

    def _reach(self, fault: Fault) -> None:
        if fault is Fault.UNREACHABLE:
            raise HomeError("The service cannot be reached; try again.")
