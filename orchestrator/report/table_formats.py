"""A table as the text of another program: Markdown, CSV, LaTeX; what a name holds stays text in each of them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.report.table import Cell, Column, Table

_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""How a cell begins that a spreadsheet computes (OWASP, CSV injection), in half and full width."""

_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|&$~"})

_LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "{}$&#_%"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': "''",  # \textquotedbl wants another font encoding than LaTeX's own
        "`": r"\textasciigrave{}",
        # At the beginning of a row they would be an argument of the \\ before it.
        "[": "{[}",
        "]": "{]}",
        "*": "{*}",
        "\N{EN DASH}": r"\textendash{}",
        "\N{MINUS SIGN}": "$-$",
        "\N{MULTIPLICATION SIGN}": r"$\times$",
        "\N{PLUS-MINUS SIGN}": r"$\pm$",
        "\N{BLACK UP-POINTING TRIANGLE}": r"$\uparrow$",
        "\N{BLACK DOWN-POINTING TRIANGLE}": r"$\downarrow$",
    }
)

_HYPHENS = re.compile("-(?=-)")
"""Two of them would become a dash."""


def markdown(table: Table) -> str:
    """GitHub's tables; figures stand to the right.  Empty without rows."""
    if not table.lines:
        return ""
    sides = ["---"] * _heads(table) + ["---" if column.words else "---:" for column in table.columns]
    lines = [map(markdown_text, table.headings), sides, *(map(markdown_text, row) for row in table.rows())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown_text(text: str) -> str:
    """Foreign text in Markdown: no cell, no tag, no formula and no emphasis begins inside it."""
    return text.translate(_MARKDOWN)


def to_csv(table: Table) -> str:
    """The figures as they were measured, not rounded; an empty cell is a missing figure."""
    heads = [_field(name) for name in table.headings[: _heads(table)]]
    names = [*heads, *(name for column in table.columns for name in column.fields)]
    rows = (
        [
            *table.heads(line),
            *(value for pair in zip(table.columns, line.cells, strict=True) for value in _values(*pair)),
        ]
        for line in table.lines
    )
    return csv_text(names, rows)


def csv_text(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """RFC 4180 with line feeds; text that a spreadsheet would compute has an apostrophe before it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_plain(value) for value in row] for row in rows)
    return text.getvalue()


def latex(table: Table) -> str:
    """A `tabular` for the package booktabs, with a little space between groups."""
    sides = "l" * _heads(table) + "".join("l" if column.words else "r" for column in table.columns)
    lines = [f"% {table.caption}", "% needs \\usepackage{booktabs}", f"\\begin{{tabular}}{{{sides}}}", "\\toprule"]
    lines += [_latex_row(table.headings), "\\midrule"]
    before = table.lines[0].group if table.lines else ""
    for line, row in zip(table.lines, table.rows(), strict=True):
        lines += ["\\addlinespace"] if line.group != before else []
        lines.append(_latex_row(row))
        before = line.group
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def latex_text(text: str) -> str:
    """Foreign text in LaTeX: no command, no comment and no formula begins inside it."""
    return _HYPHENS.sub("-{}", text.translate(_LATEX))


def _latex_row(cells: Sequence[str]) -> str:
    return f"{' & '.join(map(latex_text, cells))} \\\\"


def _heads(table: Table) -> int:
    return len(table.headings) - len(table.columns)


def _field(heading: str) -> str:
    return heading.lower().replace(" ", "_")


def _values(column: Column, cell: Cell) -> tuple[Any, ...]:
    return cell.values or (None,) * len(column.fields)


def _plain(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    # Before Python 3.13 csv does not quote a carriage return, which ends a row for whoever reads it.
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if _FORMULA.match(text) else text
