"""A table of the report as plain data: what stands in each cell, for people and for programs.

Which tables there are stands in `orchestrator.report.page_tables`, how one is written in `table_formats` and, on the
page, in `templates/tables.html.j2`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from orchestrator.report.comparison import Verdict
from orchestrator.report.wording import MISSING

Value = str | int | float | None


@dataclass(frozen=True)
class Column:
    """What stands in the cells of one column."""

    heading: str
    fields: tuple[str, ...]
    """What programs call the values of a cell, in their order."""
    words: bool = False
    """Whether it holds text and not figures."""
    wraps: bool = False
    """Whether its text is so long that it may stand on several lines."""


@dataclass(frozen=True)
class Cell:
    """One figure, or what stands in its place."""

    text: str = MISSING
    values: tuple[Value, ...] = ()
    """The figure as it was measured, one value for each field of the column; empty where there is none."""
    verdict: Verdict | None = None
    """What the 95 % interval in the text allows to say; None where nothing is compared."""

    @property
    def order(self) -> Value:
        """What the column is sorted by."""
        return self.values[0] if self.values else None


@dataclass(frozen=True)
class Line:
    """One row."""

    group: str
    """What several rows have in common, a model; the same for all where there are no groups."""
    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Rows under columns, with the words above them."""

    name: str
    """Letters, digits and `-`; no two of a page have the same."""
    caption: str
    groups: str | None
    """What the groups are called; None where there are none."""
    names: str
    """What the rows are called."""
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    legend: str = ""
    """What its marks mean, where it has any."""

    def __post_init__(self) -> None:
        for line in self.lines:
            pairs = zip(self.columns, line.cells, strict=True)
            assert all(len(cell.values) in (0, len(column.fields)) for column, cell in pairs), "a value for each field"

    @property
    def grouped(self) -> tuple[tuple[str, tuple[tuple[Line, bool], ...]], ...]:
        """The groups, each with its rows, and of each row whether it says the same as the one before in every cell."""
        return tuple(
            (group, _with_repetitions(tuple(lines)))
            for group, lines in groupby(self.lines, key=lambda line: line.group)
        )

    @property
    def compares(self) -> bool:
        """Whether a cell says that something is better or worse, or that nobody can tell."""
        return any(cell.verdict is not None for line in self.lines for cell in line.cells)

    @property
    def same(self) -> tuple[bool, ...]:
        """Of each column, whether all its cells say the same; of a single row nothing can differ."""
        if len(self.lines) < 2:
            return (False,) * len(self.columns)
        return tuple(len({line.cells[index].text for line in self.lines}) == 1 for index in range(len(self.columns)))

    @property
    def can_be_shortened(self) -> bool:
        """Whether a column or row says nothing that another one does not say."""
        return any(self.same) or any(repeats for _, lines in self.grouped for _, repeats in lines)

    @property
    def alike(self) -> tuple[str, ...]:
        """What is the same in all rows, in words: `Seeds 1`."""
        if not self.lines:
            return ()
        columns = zip(self.columns, self.lines[0].cells, self.same, strict=True)
        return tuple(f"{column.heading} {cell.text}" for column, cell, same in columns if same and cell.text != MISSING)

    def rows(self) -> Iterator[tuple[str, ...]]:
        """What people read, row by row, with the group and the name before the cells."""
        for line in self.lines:
            yield (*self.heads(line), *(shown(cell) for cell in line.cells))

    def heads(self, line: Line) -> tuple[str, ...]:
        return (line.group, line.name) if self.groups is not None else (line.name,)

    @property
    def headings(self) -> tuple[str, ...]:
        heads = (self.groups, self.names) if self.groups is not None else (self.names,)
        return (*heads, *(column.heading for column in self.columns))


def _with_repetitions(lines: Sequence[Line]) -> tuple[tuple[Line, bool], ...]:
    befores = (None, *lines)
    return tuple(
        (line, before is not None and before.cells == line.cells) for before, line in zip(befores, lines, strict=False)
    )


MARKS = {Verdict.BETTER: "\N{BLACK UP-POINTING TRIANGLE}", Verdict.WORSE: "\N{BLACK DOWN-POINTING TRIANGLE}"}
"""Shapes, for whoever sees no colours; what cannot be told apart has no mark."""


def mark(cell: Cell) -> str:
    return MARKS.get(cell.verdict, "") if cell.verdict else ""


def shown(cell: Cell) -> str:
    """A cell's text with its mark before it."""
    return f"{mark(cell)} {cell.text}".lstrip()
