"""Tables as text: marks at the right cells, footnotes, and names that try to be markup."""

from __future__ import annotations

import csv
import io
import math
import re

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from reports import markup
from reports.table import Block, Cell, Column, Row, Table, rank, ranked

NASTY = r"a|b_c*d%e&f#g<h>{i}\j^~`k`$l$ [m](n) 'o' --p"


def table(values: list[list[float]], names: list[str] | None = None, higher: bool = False, **cell: object) -> Table:
    rows = tuple(
        Row((names or [f"m{i}" for i in range(len(values))])[i], tuple(Cell(value, 2, **cell) for value in line))
        for i, line in enumerate(values)
    )
    columns = tuple(Column(f"{10 * c}-{10 * c + 10}%", "irregular") for c in range(len(values[0])))
    return Table("FID by condition", "Method", columns, ranked([Block(rows, "faces: FID", higher)], columns))


def marks(values: list[float], higher: bool = True) -> list[str]:
    return rank([Cell(value) for value in values], higher)


def test_best_and_second() -> None:
    assert marks([1.0, 3.0, 2.0]) == ["", "best", "second"]
    assert marks([1.0, 3.0, 2.0], higher=False) == ["best", "", "second"]


def test_what_prints_alike_is_a_tie() -> None:
    assert marks([1.001, 1.004, 0.5, 0.502, 0.1]) == ["best", "best", "second", "second", ""]


def test_nothing_to_compare_is_not_marked() -> None:
    assert marks([1.0]) == [""]
    assert marks([1.0, math.nan]) == ["", ""]
    assert rank([Cell(1.0), Cell(2.0)], None) == ["", ""]


def test_missing_values_never_win() -> None:
    assert marks([math.nan, 2.0, 1.0]) == ["", "best", "second"]
    assert marks([math.inf, 2.0, 1.0]) == ["best", "second", ""]


@given(st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=1, max_size=8), st.booleans())
def test_marks_follow_the_printed_numbers(values: list[float], higher: bool) -> None:
    cells = [Cell(value) for value in values]
    present = sorted({float(c.text) for c in cells if not math.isnan(c.value)}, reverse=higher)
    for cell, mark in zip(cells, rank(cells, higher), strict=True):
        if mark:
            assert float(cell.text) == present[["best", "second"].index(mark)]
        elif not math.isnan(cell.value):
            assert len([c for c in cells if not math.isnan(c.value)]) < 2 or float(cell.text) not in present[:2]


def test_markdown() -> None:
    assert table([[1.0, 9.0], [2.0, 8.0]]).to_markdown() == (
        "| Method | irregular 0-10% | irregular 10-20% |\n"
        "| :-- | --: | --: |\n"
        "| *faces: FID ↓* |  |  |\n"
        "| m0 | **1.00** | <u>9.00</u> |\n"
        "| m1 | <u>2.00</u> | **8.00** |\n"
    )


def test_latex() -> None:
    text = table([[1.0, 9.0], [2.0, -8.0]]).to_latex()
    assert r" & \multicolumn{2}{c}{irregular} \\" in text
    assert r"\cmidrule(lr){2-3}" in text
    assert r"\multicolumn{3}{l}{\emph{faces: FID $\downarrow$}} \\" in text
    assert r"m0 & \textbf{1.00} & \underline{9.00} \\" in text
    assert r"\ifdim\wd0>\linewidth \resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi" in text
    assert r"m1 & \underline{2.00} & \textbf{$-$8.00} \\" in text


def test_csv_holds_the_printed_digits_without_marks() -> None:
    read = list(csv.reader(io.StringIO(table([[1.0, math.nan], [2.0, 8.0]]).to_csv())))
    assert read == [
        ["part", "Method", "irregular 0-10%", "irregular 10-20%"],
        ["faces: FID", "m0", "1.00", "n/a"],
        ["faces: FID", "m1", "2.00", "8.00"],
    ]


def test_intervals_and_spread() -> None:
    made = table([[1.0], [2.0]], low=0.5, high=1.5, spread=0.25)
    assert "**1.00** ± 0.25" in made.to_markdown()
    assert "m0,1.00,0.25" in made.to_csv()
    asked = Table(made.title, made.stub, made.columns, made.blocks, intervals=True)
    assert "**1.00** [0.50, 1.50]" in asked.to_markdown()
    assert r"\textbf{1.00} {[}0.50, 1.50{]}" in asked.to_latex()
    assert "m0,1.00,0.50,1.50" in asked.to_csv()


def test_footnotes_are_lettered_in_order_and_hoisted_when_shared() -> None:
    rows = (Row("x", (Cell(1.0), Cell(note="too few"))), Row("y", (Cell(note="no weights"), Cell(note="too few"))))
    columns = (Column("A", "", False), Column("B", "", True))
    text = Table("t", "Method", columns, (Block(rows),)).to_markdown()
    assert "| Method | A ↓ | B ↑<sup>a</sup> |" in text
    assert "| x | 1.00 | n/a |" in text
    assert "| y | n/a<sup>b</sup> | n/a |" in text
    assert "<sup>a</sup> too few<br>\n<sup>b</sup> no weights\n" in text


def test_a_note_of_a_whole_block_stands_at_its_head() -> None:
    text = table([[math.nan, math.nan], [math.nan, math.nan]], note="below n = 625").to_markdown()
    assert "| *faces: FID ↓*<sup>a</sup> |" in text
    assert text.count("<sup>") == 2


def test_rich_shows_names_as_they_are() -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(table([[1.0], [2.0]], ["[red]not markup[/red]", "_b_"]))
    text = console.export_text()
    assert "[red]not markup[/red]" in text
    assert "1.00" in text


def test_rich_shows_whole_numbers_of_a_table_that_is_wider_than_the_terminal() -> None:
    """Its columns stand below each other: groups that fit stay whole, and the others are cut between columns."""
    heads = [("left", "A"), ("left", "B"), ("right", "C"), ("right", "D"), ("wide", "E"), ("wide", "F"), ("wide", "G")]
    cells = tuple(Cell(10.0 * i, low=10.0 * i - 1, high=10.0 * i + 1) for i in range(1, 8))
    columns = tuple(Column(title, group, True) for group, title in heads)
    wide = Table("all of them", "Method", columns, (Block((Row("telea", cells),)),), ("a note",), intervals=True)
    shown = {}
    for width in (300, 60, 31):
        console = Console(width=width, record=True, file=io.StringIO())
        console.print(wide)
        text = console.export_text()
        assert all(f"{cell.text}{cell.tail(True)}" in text for cell in cells)
        assert "…" not in text and text.count("all of them") == text.count("a note") == 1
        shown[width] = [line.split()[1::2] for line in text.splitlines() if line.startswith(" Method")]
    assert shown == {300: [[*"ABCDEFG"]], 60: [["A", "B"], ["C", "D"], ["E", "F"], ["G"]], 31: [[c] for c in "ABCDEFG"]}


def test_no_column_is_cut_at_the_edge_of_the_terminal() -> None:
    columns = tuple(Column(title, "", False) for title in ("Step (ms)", "Training Memory (MiB)", "Wait for data (%)"))
    cells = tuple(map(Cell, (1.25, 22.5, 333.75)))
    wide = Table("all of them", "Method", columns, (Block((Row("telea", cells),)),))
    whole = {"Method", "telea", *(cell.text for cell in cells), *(word for c in columns for word in c.head.split())}
    for width in range(25, 90):
        console = Console(width=width, record=True, file=io.StringIO())
        console.print(wide)
        assert whole <= {*console.export_text().split()}, width


def test_nasty_names_in_markdown() -> None:
    text = table([[1.0], [2.0]], [NASTY, "b"]).to_markdown()
    row = next(line for line in text.splitlines() if line.startswith("| a"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 3
    assert "<h>" not in row


def test_nasty_names_in_latex() -> None:
    assert markup.latex(NASTY) == (
        r"a\textbar{}b\_c{*}d\%e\&f\#g\textless{}h\textgreater{}\{i\}\textbackslash{}j\textasciicircum{}"
        r"\textasciitilde{}\textasciigrave{}k\textasciigrave{}\$l\$ {[}m{]}(n) "
        r"\textquotesingle{}o\textquotesingle{} -{}-p"
    )


def test_letters_that_pdftex_lacks_have_a_stand_in() -> None:
    assert markup.latex("Müller Łódź – “a”") == "Müller Łódź – “a”"
    assert markup.latex("u\u0308") == "ü"
    assert markup.latex("ą中") == (
        r"\ifx\Umathchar\undefined a\else ą\fi{}\ifx\Umathchar\undefined U+4E2D\else 中\fi{}"
    )
    assert markup.latex("λ ≤ 1 → ∞") == r"$\lambda$ $\leq$ 1 $\rightarrow$ $\infty$"
    assert markup.latex('("a" b="c"') == "(“a” b=“c”"


@given(st.text(max_size=40))
def test_any_name_keeps_the_shape_of_every_format(name: str) -> None:
    made = table([[1.0, 2.0], [2.0, 1.0]], [name, "other"])
    lines = made.to_markdown().splitlines()
    assert len(lines) == 5
    assert all(len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 4 for line in lines)
    assert not re.search(r"<(?!/?(u|sup)>)", "".join(lines))
    latex = made.to_latex()
    assert len(re.findall(r"(?<!\\)&", latex)) == 7
    assert re.sub(r"\\[{}]", "", latex).count("{") == re.sub(r"\\[{}]", "", latex).count("}")
    read = list(csv.reader(io.StringIO(made.to_csv())))
    assert read[1][1] == markup.line(name)
    assert [len(line) for line in read] == [4, 4, 4]


@given(st.lists(st.text(max_size=20), max_size=8))
def test_file_names_are_safe_and_different(names: list[str]) -> None:
    made = markup.slugs(names)
    assert set(made) == set(names)
    assert len(set(made.values())) == len(made)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug) for slug in made.values())
