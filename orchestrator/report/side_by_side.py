"""Several studies in one report: their results as one, with names told apart and what cannot be compared kept apart.

How the results of one study come about is for `orchestrator.report.results`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from models import datasets
from orchestrator.jobs import Stage
from orchestrator.report import wording
from orchestrator.report.classes import ClassCounts, Classes
from orchestrator.report.history import History, Turn
from orchestrator.report.results import CopyProgress, Problem, Protocol, Results, StageProgress
from orchestrator.report.rows import Row, method_order
from orchestrator.report.trainings import TrainingRun


def side_by_side(parts: Sequence[Results]) -> Results:
    """The results of one or more studies as one.

    A model or worker whose name is in several studies has its study's behind it; studies of the same name are numbered
    in their order.  Rows of different test images are on different benches, and so are never compared.
    """
    assert parts, "a report is about one study or more"
    if len(parts) == 1:
        return parts[0]
    names = _numbered([part.study for part in parts])
    studies = [
        _Study(name, _labels(name, part.models, parts, lambda each: each.models), _workers(name, part, parts), data)
        for name, part, data in zip(names, parts, _test_sets(names, parts), strict=True)
    ]
    told = list(zip(studies, parts, strict=True))
    turns = [study.turn(turn) for study, part in told for turn in part.history.turns]
    return Results(
        study=wording.listed(names),
        studies=tuple(dataclasses.replace(part.studies[0], name=study.name) for study, part in told),
        dataset=wording.listed(list(dict.fromkeys(part.dataset for part in parts))),
        notes=_notes(told),
        rows=tuple(sorted((study.row(row) for study, part in told for row in part.rows), key=Row.order)),
        stages=_stages(parts),
        copies=_copies(parts),
        awaited=tuple(f"{name} of {study.name}" for study, part in told for name in part.awaited),
        problems=tuple(study.problem(problem) for study, part in told for problem in part.problems),
        trainings=tuple(study.training(run) for study, part in told for run in part.trainings),
        history=History(tuple(sorted(turns, key=lambda turn: (turn.started, turn.job, turn.number)))),
        protocol=Protocol(
            min((part.protocol.test_images for part in parts if part.protocol.test_images), default=None),
            min((part.protocol.runs for part in parts if part.protocol.runs), default=None),
        ),
        classes=_classes(told),
    )


@dataclass(frozen=True)
class _Study:
    """What one study and its parts are called beside others."""

    name: str
    models: Mapping[str, str]
    workers: Mapping[str, str]
    data: str
    """What its benches say of its test images."""

    def row(self, row: Row) -> Row:
        return dataclasses.replace(row, study=self.name, model=self.models[row.model], data=self.data)

    def turn(self, turn: Turn) -> Turn:
        return dataclasses.replace(
            turn,
            job=f"{self.name}: {turn.job}",
            model=self.models.get(turn.model, turn.model),
            worker=self.workers[turn.worker],
        )

    def training(self, run: TrainingRun) -> TrainingRun:
        workers = [(step, tuple(self.workers.get(name, name) for name in names)) for step, names in run.workers]
        deaths = [
            dataclasses.replace(death, worker=self.workers.get(death.worker, death.worker)) for death in run.deaths
        ]
        return dataclasses.replace(run, model=self.models[run.model], workers=tuple(workers), deaths=tuple(deaths))

    def network(self, counts: ClassCounts) -> ClassCounts:
        bench = dataclasses.replace(counts.bench, data=self.data)
        return dataclasses.replace(counts, bench=bench, model=self.models[counts.model])

    def problem(self, problem: Problem) -> Problem:
        return dataclasses.replace(problem, job=f"{self.name}: {problem.job}")


def _numbered(names: Sequence[str]) -> list[str]:
    """`a`, `b`; of the same name `a #1`, `a #2`."""
    seen: Counter[str] = Counter()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(f"{name} #{seen[name]}" if names.count(name) > 1 else name)
    return numbered


def _workers(study: str, part: Results, parts: Sequence[Results]) -> Mapping[str, str]:
    return _labels(study, part.history.workers, parts, lambda each: each.history.workers)


def _labels(
    study: str, names: Iterable[str], parts: Sequence[Results], of: Callable[[Results], Iterable[str]]
) -> Mapping[str, str]:
    """What each name is called: as in its study, unless another study has it, too."""
    users = Counter(name for part in parts for name in set(of(part)))
    return {name: f"{name} ({study})" if users[name] > 1 else name for name in names}


def _test_sets(names: Sequence[str], parts: Sequence[Results]) -> list[str]:
    """What the benches of each study say of their test images; nothing where all of them have the same."""
    keys = [_test_set(number, part) for number, part in enumerate(parts)]
    if len({key for key, part in zip(keys, parts, strict=True) if part.rows}) <= 1:
        return [""] * len(parts)
    words = [_of_test_set(part) for part in parts]
    ambiguous = {
        word for word in words if len({key for key, said in zip(keys, words, strict=True) if said == word}) > 1
    }
    return [f"{word} of {name}" if word in ambiguous else word for word, name in zip(words, names, strict=True)]


def _test_set(number: int, part: Results) -> Hashable:
    """What is equal of two studies whose accuracies are of the same images, as far as that is known."""
    digests = {row.test_set for row in part.rows}
    if len(digests) == 1 and None not in digests:
        return digests.pop()
    # An older worker kept no digest: that images of one name are the same is known of those that Orch finds itself.
    if digests == {None} and datasets.is_described(part.dataset):
        return part.dataset, part.protocol.test_images
    return number


def _of_test_set(part: Results) -> str:
    images = part.protocol.test_images
    return f"{part.dataset}, {wording.counted(images, 'test image')}" if images else part.dataset


def _notes(told: Sequence[tuple[_Study, Results]]) -> tuple[str, ...]:
    """Of which study each is, unless it is every one's."""
    users = Counter(note for _, part in told for note in set(part.notes))
    return tuple(
        dict.fromkeys(
            note if users[note] == len(told) else f"{study.name}: {note}" for study, part in told for note in part.notes
        )
    )


def _classes(told: Sequence[tuple[_Study, Results]]) -> Classes:
    """Nothing where the studies have other classes: their matrices have no common rows."""
    names = {part.classes.names for _, part in told if part.classes.networks}
    if len(names) != 1:
        return Classes()
    networks = [study.network(network) for study, part in told for network in part.classes.networks]
    ordered = sorted(networks, key=lambda each: (each.bench, each.model, method_order(each.method)))
    return Classes(names.pop(), tuple(ordered))


def _stages(parts: Sequence[Results]) -> tuple[StageProgress, ...]:
    counts: dict[Stage, list[StageProgress]] = defaultdict(list)
    for stage in (stage for part in parts for stage in part.stages):
        counts[stage.stage].append(stage)
    return tuple(
        StageProgress(stage, sum(each.done for each in counts[stage]), sum(each.total for each in counts[stage]))
        for stage in Stage
        if stage in counts
    )


def _copies(parts: Sequence[Results]) -> tuple[CopyProgress, ...]:
    counts: dict[str, list[CopyProgress]] = defaultdict(list)
    for copies in (copies for part in parts for copies in part.copies):
        counts[copies.device].append(copies)
    return tuple(
        CopyProgress(device, sum(each.done for each in found), sum(each.total for each in found))
        for device, found in sorted(counts.items())
    )
