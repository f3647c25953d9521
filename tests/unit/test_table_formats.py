"""A table as text for other programs: what a name holds stays text, whatever it begins with."""

from __future__ import annotations

import csv
import io

import pytest
from markdown_it import MarkdownIt

from orchestrator.report.comparison import Verdict
from orchestrator.report.table import Cell, Column, Line, Table
from orchestrator.report.table_formats import latex, latex_text, markdown, markdown_text, to_csv

HOSTILE = r"""a|b <script>alert("x")</script> [link](http://x) `code` *b* _i_ ~~s~~ $x_1$ & \ {y} 50% #1 ^"""


def table(*lines: Line, group: str | None = "Model") -> Table:
    columns = (Column("Top-1, %", ("top1", "top1_low")), Column("Device", ("device",), words=True))
    return Table("t", "Accuracy", group, "Method", columns, lines)


def line(name: str, text: str = "67.1", value: float = 0.671, device: str = "T4", group: str = "vit") -> Line:
    return Line(group, name, (Cell(text, (value, 0.66), Verdict.WORSE), Cell(device, (device,))))


def test_markdown_shows_a_hostile_name_letter_by_letter() -> None:
    html = MarkdownIt("gfm-like", {"linkify": False}).render(markdown(table(line(HOSTILE))))

    assert html.count("<td") == 4, "no cell has become two"
    for tag in ("<script", "<a ", "<code", "<em", "<strong", "<s>"):
        assert tag not in html
    shown = html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
    assert HOSTILE in shown


def test_a_figure_stands_to_the_right_and_has_its_mark() -> None:
    lines = markdown(table(line("int4"))).splitlines()

    assert lines[0] == "| Model | Method | Top-1, % | Device |"
    assert lines[1] == "| --- | --- | ---: | --- |"
    assert lines[2] == "| vit | int4 | \N{BLACK DOWN-POINTING TRIANGLE} 67.1 | T4 |"


def test_csv_has_the_figures_as_they_were_measured_under_names_for_programs() -> None:
    missing = Line("vit", "int4", (Cell(), Cell()))

    first, second = csv.DictReader(io.StringIO(to_csv(table(line("float32", value=0.67123), missing))))

    assert first == {"model": "vit", "method": "float32", "top1": "0.67123", "top1_low": "0.66", "device": "T4"}
    assert (second["top1"], second["top1_low"], second["device"]) == ("", "", "")


@pytest.mark.parametrize("beginning", ["=", "+", "-", "@", "\t=", "\r=", " =", "\N{FULLWIDTH EQUALS SIGN}"])
def test_a_spreadsheet_computes_no_name(beginning: str) -> None:
    formula = f"{beginning}HYPERLINK(1)"

    (row,) = csv.DictReader(io.StringIO(to_csv(table(line("int4", device=formula)))))

    assert row["device"] == f"'{formula}".replace("\r", "\n")


def test_a_negative_figure_stays_a_number_in_csv() -> None:
    (row,) = csv.DictReader(io.StringIO(to_csv(table(line("int4", value=-0.02)))))

    assert row["top1"] == "-0.02"


def test_a_name_with_commas_quotes_and_line_ends_is_one_cell_of_csv() -> None:
    (row,) = csv.DictReader(io.StringIO(to_csv(table(line('a,"b"\nc')))))

    assert row["method"] == 'a,"b"\nc'


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("50% of #1_a & b$", r"50\% of \#1\_a \& b\$"),
        ("\\input{x}", r"\textbackslash{}input\{x\}"),
        ("a--b---c-d", "a-{}-b-{}-{}-c-d"),
        ("[Xeon] *", "{[}Xeon{]} {*}"),
        ("<a|b> ~ ^", r"\textless{}a\textbar{}b\textgreater{} \textasciitilde{} \textasciicircum{}"),
        (
            "60.5 \N{PLUS-MINUS SIGN} 0.7, \N{MINUS SIGN}2, 1.5\N{MULTIPLICATION SIGN}",
            r"60.5 $\pm$ 0.7, $-$2, 1.5$\times$",
        ),
        ("\N{EN DASH}", r"\textendash{}"),
    ],
)
def test_latex_writes_what_would_be_a_command_as_text(text: str, written: str) -> None:
    assert latex_text(text) == written


def test_latex_is_a_table_of_booktabs_with_space_between_models() -> None:
    text = latex(table(line("float32"), line("int4"), line("float32", group="cct")))

    assert text.splitlines()[2:] == [
        r"\begin{tabular}{llrl}",
        r"\toprule",
        r"Model & Method & Top-1, \% & Device \\",
        r"\midrule",
        r"vit & float32 & $\downarrow$ 67.1 & T4 \\",
        r"vit & int4 & $\downarrow$ 67.1 & T4 \\",
        r"\addlinespace",
        r"cct & float32 & $\downarrow$ 67.1 & T4 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_a_table_without_rows_is_no_markdown_and_only_headings_elsewhere() -> None:
    empty = table()

    assert markdown(empty) == ""
    assert to_csv(empty) == "model,method,top1,top1_low,device\n"
    assert r"\midrule" in latex(empty)


def test_a_caption_cannot_end_the_comment_that_it_stands_in() -> None:
    named = Table("t", "Accuracy on % \\end{x}", None, "Study", (), ())

    assert latex(named).splitlines()[0] == "% Accuracy on % \\end{x}"


def test_a_table_without_groups_has_one_heading_less() -> None:
    assert markdown(table(line("a"), group=None)).splitlines()[0] == "| Method | Top-1, % | Device |"


def test_markdown_escapes_nothing_that_is_plain() -> None:
    assert markdown_text("alexnet-paper, 67.1 to 68.0 %") == "alexnet-paper, 67.1 to 68.0 %"
