"""What `orch plan` does: load the data, make a home, publish shards and jobs.

The graph of jobs is made in `orchestrator.planning.planner`, shards in `orchestrator.planning.sharding`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from models import datasets
from orchestrator.address import Address
from orchestrator.artifacts import ArtifactStore
from orchestrator.errors import HomeError
from orchestrator.home import Home
from orchestrator.jobs import Artifact
from orchestrator.jobtable import PlanChange
from orchestrator.planning import own_code
from orchestrator.planning.data_source import DataSource
from orchestrator.planning.planner import Plan, make_plan
from orchestrator.planning.sharding import publish_code, publish_data
from orchestrator.report.wording import named
from orchestrator.study import Study
from orchestrator.worker_package import publication

SYNTHETIC_NOTE = (
    "The data set is synthetic: images made by the program, not CIFAR-10. "
    "The accuracies below say that everything works, and nothing about the models."
)


@dataclass(frozen=True)
class Planned:
    """What `orch plan` did, or would do."""

    study: str
    home: str
    jobs: int
    shards: int
    change: PlanChange | None
    """None for a dry run where there is no home yet."""
    repaired: tuple[str, ...] = ()
    """Published data whose files were missing or damaged, and were put again."""
    dry: bool = False
    warnings: tuple[str, ...] = ()
    """One sentence each, about what a person may not have meant."""
    code: tuple[str, ...] = ()
    """SHA-256 of the person's own code that the jobs need."""

    def to_json(self) -> dict[str, Any]:
        return {
            "study": self.study,
            "home": self.home,
            "jobs": self.jobs,
            "shards": self.shards,
            "change": None if self.change is None else asdict(self.change),
            "repaired": list(self.repaired),
            "warnings": list(self.warnings),
        }

    def sentence(self) -> str:
        graph = f"{self.jobs} jobs over {self.shards} shard{'' if self.shards == 1 else 's'}"
        if self.change is None:
            return f"{self.study} would be {graph}; nothing was changed."
        graph += f" ({', '.join(_parts(self.change))})"
        if self.dry:
            return f"{self.study} in {self.home} would be {graph}; nothing was changed."
        again = f"\nPut again, because their files were missing or damaged: {', '.join(self.repaired)}."
        return f"Planned {self.study} in {self.home}: {graph}.{again if self.repaired else ''}"


def _parts(change: PlanChange) -> list[str]:
    parts = [f"{change.added} added", f"{change.kept} kept"]
    parts += [f"{change.revived} asked for again"] if change.revived else []
    parts += [f"{change.cancelled} cancelled"] if change.cancelled else []
    return parts


def dry_run(study: Study, directory: Path | None, at: Address, *, folder: Path | None = None) -> Planned:
    """What would be planned, and what it would change in the home if there is one.

    A home that cannot be looked into is a warning: whether the study is right can be told without it.

    Args:
        folder: where the study file lies, and beside it the person's own code; by default the working directory.

    Raises:
        StudyError: the study cannot be planned.
        UsageError: the home holds another study, or there can be none of that kind.
    """
    made = _plan(study, _source(study, directory, folder), folder)
    url, change, warnings = "", None, list(_doubts(made))
    try:
        if Home.exists(at.url, at.artifacts):
            home = Home.open(at.url, at.artifacts)
            url, change = home.url, home.jobs.preview(made)
            warnings += _short_leases(home, study)
    except HomeError as error:
        warnings.append(f"What would change in the home is not known: {error}")
    if change is not None and change.disturbs:
        warnings.append(disturbance(change))
    return Planned(study.name, url, len(made.jobs), study.shards, change, dry=True, warnings=tuple(warnings))


def disturbance(change: PlanChange) -> str:
    """What a plan does to what somebody has computed, in a sentence."""
    parts = []
    if change.interrupted:
        parts.append(f"cancels {named(change.interrupted, 'job under way', 'jobs under way')}")
    if change.set_aside:
        parts.append(f"sets aside {named(change.set_aside, 'done job')} until they are planned again")
    return f"This plan {' and '.join(parts)}."


def publish(
    study: Study,
    url: str | Path,
    directory: Path | None,
    dataset: datasets.Dataset | None = None,
    notes: tuple[str, ...] = (),
    artifacts: str | Path | None = None,
    *,
    folder: Path | None = None,
    accept_rollback: bool = False,
    consent: Callable[[PlanChange], None] | None = None,
) -> Planned:
    """Publish a study's data and jobs to a home, making the home if need be.

    Args:
        directory: where the data set's files are, if anywhere in particular.
        dataset: the study's data set, if it is loaded already.
        notes: what every report of the study must say beside what follows from the study itself.
        artifacts: where the home's files are, if it does not keep them itself.
        folder: where the study file lies, and beside it the person's own code; by default the working directory.
        accept_rollback: go on from a job table that is in an older state than was seen before.
        consent: is asked, before anything is put into the home, about a change that disturbs what somebody has
            computed; what it raises ends the planning.  Without it everybody consents.

    Raises:
        StudyError: the study cannot be planned.
        DataError: its data set cannot be had; the home is as it was.
        StoreError, HomeError: the home could not keep it; what was there is undamaged.
    """
    source = _source(study, directory, folder, dataset)
    made = _plan(study, source, folder)
    if not Home.exists(url, artifacts):
        # Before the home is made: a data set that cannot be had leaves nothing behind.
        source.images()
    with Home.creating(url, artifacts, study.name, accept_rollback=accept_rollback) as home:
        home.check_artifacts()
        made = _with_leases_of(home, made)
        change = home.jobs.preview(made)
        if change.disturbs and consent is not None:
            consent(change)
        published = home.jobs.data()
        lacking = _lacking(home, published, made.data_names)
        data = _put(made, source, home.artifacts, lacking)
        if study.dataset == "synthetic":
            notes = (*notes, SYNTHETIC_NOTE)
        notes = (*notes, *made.description.notes)
        # What began meanwhile is not what was consented to, if nothing had begun.
        change = home.jobs.publish(made, data, notes, cautious=consent is not None and not change.disturbs)
        if publication.travels(home.url):
            publication.publish(home.url)
    repaired = tuple(name for name in lacking if name in published)
    warnings = (*_doubts(made), *_short_leases(home, study))
    return Planned(
        study.name, home.url, len(made.jobs), study.shards, change, repaired, warnings=warnings, code=made.code_digests
    )


def _source(
    study: Study, directory: Path | None, folder: Path | None, dataset: datasets.Dataset | None = None
) -> DataSource:
    """The data set, from where its kind is looked for: code lies beside the study, files where `--data` says."""
    return DataSource(study.dataset, folder if datasets.is_code(study.dataset) else directory, dataset)


def _plan(study: Study, source: DataSource, folder: Path | None) -> Plan:
    code = own_code.pinned(study, folder or Path())
    return make_plan(code.study, source.description(), code.bundles)


def _put(made: Plan, source: DataSource, store: ArtifactStore, names: Sequence[str]) -> dict[str, Artifact]:
    """Keep what is published under these names in the store; the data set is read only if some of it is wanted."""
    code = publish_code(made, store, names)
    images = [name for name in names if name not in made.code]
    return {**code, **(publish_data(made, source.images(), store, images) if images else {})}


def _doubts(made: Plan) -> tuple[str, ...]:
    """What is strange about the data, and about what the study makes of them."""
    return (*made.description.notes, *made.warnings)


def _with_leases_of(home: Home, made: Plan) -> Plan:
    seconds = made.study.leases.seconds or home.leases.usual
    return replace(made, study=made.study.with_lease_seconds(seconds))


def _short_leases(home: Home, study: Study) -> tuple[str, ...]:
    seconds = study.leases.seconds
    if seconds is None or seconds >= home.leases.least:
        return ()
    return (
        f"A lease of {seconds:g} s is short for {home.url}: a worker that is alive but slow would lose its job. "
        f"Leave `seconds` out of [leases], for {home.leases.usual:g} s, or give {home.leases.least:g} or more.",
    )


def _lacking(home: Home, published: Mapping[str, Artifact], names: Sequence[str]) -> list[str]:
    """The data that are not published yet, or whose files are missing or damaged."""
    return [name for name in names if name not in published or not home.artifacts.is_whole(published[name])]
