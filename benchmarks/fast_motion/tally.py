"""What a campaign has come to: figures added up over its studies, as a table and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from fast_motion.trial import Course
from fast_motion.verdict import Wrong


@dataclass
class Column:
    """The studies of one kind of home, one mode and one kind of runner."""

    studies: int = 0
    seconds: float = 0.0
    workers: int = 0
    deaths: int = 0
    jobs: int = 0
    attempts: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    findings: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, course: Course) -> None:
        self.studies += 1
        self.seconds += course.seconds
        self.workers += course.started
        self.deaths += course.deaths
        self.jobs += course.jobs
        self.attempts += course.attempts
        self.missed += course.missed
        self.faults += course.struck
        self.failures += course.failures
        self.endings += course.endings
        self.outcomes += course.outcomes
        self.findings.update(str(finding.wrong) for finding in course.findings)


class Tally:
    """Columns by their names, such as `drive average`, or `directory relay, real`."""

    def __init__(self) -> None:
        self.columns: dict[str, Column] = {}

    def add(self, name: str, course: Course) -> None:
        self.columns.setdefault(name, Column()).add(course)

    @property
    def faults(self) -> int:
        return sum(column.faults.total() for column in self.columns.values())

    @property
    def findings(self) -> int:
        return sum(column.findings.total() for column in self.columns.values())

    def to_json(self) -> dict[str, Any]:
        total = self._total()
        return {
            "faults": self.faults,
            **_figures(total),
            **{str(wrong).replace(" ", "_"): total.findings[wrong] for wrong in Wrong},
            "by_kind": dict(total.faults.most_common()),
            "columns": {name: _figures(column) for name, column in self.columns.items()},
            "failed_attempts": dict(total.failures.most_common()),
            "outcomes": dict(total.outcomes.most_common()),
            "exit_codes": dict(total.endings.most_common()),
        }

    def show(self, console: Console) -> None:
        names = sorted(self.columns)
        console.print(self._table("Came of it", names, _outcome_rows))
        console.print(self._table("Struck", names, _fault_rows))
        total = self._total()
        for title, counts in (
            ("Attempts ended", total.outcomes),
            ("Attempts failed of", total.failures),
            ("Workers that nobody killed ended with", total.endings),
        ):
            told = "\n".join(f"{count:6}  {what}" for what, count in counts.most_common(20))
            console.print(f"{title}:\n{told or '     0'}\n", markup=False, highlight=False)

    def _table(self, title: str, names: list[str], rows: Any) -> Table:
        table = Table(title=title, title_justify="left")
        table.add_column("")
        columns = [self.columns[name] for name in names] + [self._total()]
        for name in [*names, "all"]:
            table.add_column(name.replace(" ", "\n"), justify="right")
        for label, figure in rows(columns[-1]):
            table.add_row(label, *(figure(column) for column in columns))
        return table

    def _total(self) -> Column:
        total = Column()
        for column in self.columns.values():
            for name, value in vars(column).items():
                setattr(total, name, getattr(total, name) + value)
        return total


def _figures(column: Column) -> Mapping[str, float]:
    return {
        "struck": column.faults.total(),
        "studies": column.studies,
        "minutes": round(column.seconds / 60, 1),
        "workers": column.workers,
        "worker_deaths": column.deaths,
        "jobs_done": column.jobs,
        "attempts": column.attempts,
        "findings": column.findings.total(),
    }


def _outcome_rows(_: Column) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = [
        ("studies", lambda column: str(column.studies)),
        ("minutes", lambda column: f"{column.seconds / 60:.1f}"),
        ("faults struck", lambda column: str(column.faults.total())),
        ("found nothing to strike", lambda column: str(column.missed)),
        ("workers started", lambda column: str(column.workers)),
        ("workers killed", lambda column: str(column.deaths)),
        ("jobs done", lambda column: str(column.jobs)),
        ("attempts", lambda column: str(column.attempts)),
    ]
    return rows + [(str(wrong), lambda column, wrong=wrong: str(column.findings[wrong])) for wrong in Wrong]


def _fault_rows(total: Column) -> list[tuple[str, Any]]:
    return [(kind, lambda column, kind=kind: str(column.faults[kind] or "")) for kind in sorted(total.faults)]
