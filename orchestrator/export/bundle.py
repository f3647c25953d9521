"""What one puts beside a paper: the study, its table, results, networks and checksums in one archive.

Same home, same version of Orch, same bytes: no clock, no random number and nothing of this machine goes into it.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.files import TEMPORARY, incoming_file
from orchestrator.artifacts import ArtifactStore
from orchestrator.command_line import strict_json
from orchestrator.errors import DiskError, StoreError
from orchestrator.export import bundle_readme
from orchestrator.export.archive import Archive
from orchestrator.foreign_text import single_line
from orchestrator.home import Home
from orchestrator.jobs import Artifact, Attempt, Job, JobState, Stage
from orchestrator.jobtable import PlannedStudy
from orchestrator.report.files import write_report
from orchestrator.report.results import Results

_FILES = {"model": "model.tflite", "keras": "model.keras"}
"""What an export's outputs are called in the archive."""
_PACKED = "model.tflite.zst"
_LARGEST_METADATA_BYTES = 100_000


@dataclass(frozen=True)
class Network:
    """A file of a network, and the job that made it."""

    path: str
    """In the archive."""
    artifact: Artifact
    job: Job

    def to_json(self) -> dict[str, Any]:
        spec = self.job.spec
        named = {key: spec[key] for key in ("model", "seed", "method")}
        return {"file": self.path, "sha256": self.artifact.sha256, "bytes": self.artifact.size, **named}


@dataclass(frozen=True)
class Contents:
    """All that goes into a bundle, but for the bytes of the networks."""

    study: PlannedStudy
    jobs: Sequence[Job]
    attempts: Sequence[Attempt]
    results: Results
    networks: Sequence[Network]


def contents(
    home: Home, study: PlannedStudy, jobs: Sequence[Job], attempts: Sequence[Attempt], results: Results
) -> Contents:
    """What a home has for a bundle now.  Raises HomeError."""
    made = (job for job in jobs if job.stage is Stage.COMPRESS and job.state is JobState.DONE)
    networks = [network for job in made for network in _networks(job, home.jobs.outputs(job.id))]
    return Contents(study, jobs, attempts, results, sorted(networks, key=lambda network: network.path))


def _networks(job: Job, outputs: Mapping[str, Artifact]) -> Iterator[Network]:
    """Those of one job, below its name, which no other job of a plan has."""
    packed = (job.metrics or {}).get("ship") == "zst"
    for output, name in _FILES.items():
        if output in outputs:
            file = _PACKED if packed and output == "model" else name
            yield Network(f"models/{job.name}/{file}", outputs[output], job)


def write(found: Contents, store: ArtifactStore, version: str, file: Path) -> None:
    """Write the archive; `file` appears whole or not at all, in the place of what was there before.

    Args:
        version: of Orch.

    Raises:
        StoreError: a network is missing or damaged: a bundle without it would not be what its table says.
        DiskError: the archive cannot be written.
    """
    try:
        with (
            incoming_file(file.parent) as incoming,
            tempfile.TemporaryDirectory(dir=file.parent, prefix=TEMPORARY) as scratch,
        ):
            with Archive(incoming.stream, found.study.name) as archive:
                _write_words(archive, found, version, Path(scratch))
                keras = _write_networks(archive, found.networks, store, Path(scratch))
                archive.add_text("environment.json", _json(_environment(found, version, keras)))
            incoming.appear_as(file)
    except OSError as error:
        raise DiskError(f"{file} cannot be written: {error.strerror or error}; nothing of it is there.") from error


def _write_words(archive: Archive, found: Contents, version: str, scratch: Path) -> None:
    archive.add_text("README.md", bundle_readme.text(found.results, len(found.networks), version))
    archive.add_text("study.json", _json(found.study.document))
    archive.add_text("table.json", _json(_table(found)))
    report = scratch / "report"
    write_report(found.results, report)
    for path in sorted(path for path in report.rglob("*") if path.is_file()):
        archive.add_file(f"report/{path.relative_to(report).as_posix()}", path)


def _write_networks(archive: Archive, networks: Iterable[Network], store: ArtifactStore, scratch: Path) -> set[str]:
    """Each through the disk, one at a time; the versions of Keras that they tell of."""
    told: set[str] = set()
    for network in networks:
        fetched = scratch / "network"
        try:
            store.fetch(network.artifact, fetched)
        except StoreError as error:
            raise StoreError(
                f"{network.job.name} cannot be put into the archive, and none was written: {error}"
            ) from error
        archive.add_file(network.path, fetched)
        if network.path.endswith(_FILES["keras"]):
            told |= _keras_version(fetched)
        fetched.unlink()
    return told


def _keras_version(file: Path) -> set[str]:
    """What a .keras file says of its maker; nothing where it is none."""
    try:
        with zipfile.ZipFile(file) as saved, saved.open("metadata.json") as metadata:
            said = json.loads(metadata.read(_LARGEST_METADATA_BYTES))["keras_version"]
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError, RecursionError):
        return set()
    return {single_line(said)} if isinstance(said, str) else set()


def _table(found: Contents) -> dict[str, Any]:
    return {
        "study": {
            "name": found.study.name,
            "dataset": found.study.dataset,
            "notes": list(found.study.notes),
            "planned_at": found.study.planned_at,
        },
        "jobs": [asdict(job) for job in found.jobs],
        "attempts": [asdict(attempt) for attempt in found.attempts],
        "networks": [network.to_json() for network in found.networks],
    }


def _environment(found: Contents, version: str, keras: Iterable[str]) -> dict[str, Any]:
    """Where and with what all of it was computed, as far as the home tells."""
    devices = {single_line(attempt.device) for attempt in found.attempts}
    return {
        "orch": version,
        "keras": sorted(keras),
        "worked_on": sorted(devices),
        "measured_on": [{"device": bench.device, "runtime": bench.runtime} for bench in found.results.benches],
        "workers": len(found.results.history.workers),
    }


def _json(value: Any) -> str:
    return strict_json.text(value, indent=1) + "\n"
