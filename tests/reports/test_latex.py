"""Every kind of table through TeX: it compiles, nothing runs off the page, and the marks stand at the right cells."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from reports import latex, layouts, main_table, published, results, tables
from reports.table import Block, Cell, Column, Row, Table, ranked
from tests.reports import made_up

needs_tex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
PREAMBLE = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}"
SPECIAL = r"_ % & # $ { } ~ ^ \ < > | ' ` "
LETTERS = "Müller, Ångström, Łódź, ß, Zając, Ðuro, λ = 0.5, ±1, ∞, ↑ ↓, ≤ 5 × 3, −1, 中文, “quoted” – … \u200b🙂"
NAMES = [*SPECIAL.split(), SPECIAL, LETTERS, "[b]", "*", "-- dashes ---", '"straight" quotes', "", "a\nb\tc"]


def compiled(tables: Iterable[Table], folder: Path) -> str:
    """What pdfTeX says about a document with these tables; fails with TeX's own words."""
    body = "\n\\clearpage\n".join(table.to_latex() for table in tables)
    (folder / "paper.tex").write_text(f"{PREAMBLE}\n{body}\n\\end{{document}}\n", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    options = {"capture_output": True, "text": True, "errors": "replace", "timeout": 120, "check": False}
    done = subprocess.run(command, cwd=folder, **options)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (folder / "paper.pdf").stat().st_size > 0
    return done.stdout


def named(names: list[str]) -> Table:
    """A table with these names everywhere that a name can stand."""
    cells = (Cell(1.0, note="a note: " + names[0]), Cell(math.inf, spread=0.25))
    blocks = [Block((Row(name, cells), Row("other", cells[::-1])), name, True) for name in names]
    columns = (Column(names[0], names[-1]), Column(names[-1], names[-1]))
    return Table(names[0], names[-1], columns, ranked(blocks, columns), notes=tuple(names))


@needs_tex
def test_every_kind_of_table_compiles_and_fits_the_page(tmp_path: Path) -> None:
    rows = made_up.rows(datasets=("faces", "art"), shots=("5", "all"), seeds=(0, 1))
    costs = rows[["method", "title", "preset"]].drop_duplicates().assign(params=15e6, macs=73e9)
    kinds = [
        main_table(rows),
        main_table(rows, per_image=made_up.per_image(rows), intervals=True),
        layouts.by_metric(rows, "grig"),
        layouts.arrange(rows, layouts.BY_DATASET),
        layouts.arrange(rows, layouts.BY_CONDITION_AND_METRIC),
        layouts.arrange(rows, layouts.BY_DATASET_AND_METRIC),
        tables.by_cost(results.over_seeds(results.tidy(rows)), costs),
    ]
    log = compiled(kinds, tmp_path)
    floats = sum(kind.to_latex().count(r"\begin{table}") for kind in kinds)
    assert f"Output written on paper.pdf ({floats} pages" in " ".join(log.split())
    assert "Overfull" not in log and "Float too large" not in log


def tall(blocks: int, groups: int, each: int) -> Table:
    """A table of many rows, each named once."""
    made = [
        Block(
            tuple(
                Row(
                    f"b{b} g{g} r{r}",
                    (Cell(1.0 + r), Cell(2.0, note=f"of b{b} g{g}")),
                    f"group {g}" if groups > 1 else "",
                )
                for g in range(groups)
                for r in range(each)
            ),
            f"block {b}",
            True,
        )
        for b in range(blocks)
    ]
    columns = (Column("one"), Column("two"))
    return Table("Many", "Method", columns, ranked(made, columns), notes=("The note.",))


@needs_tex
@pytest.mark.parametrize("shape", [(20, 1, 6), (1, 20, 6), (1, 1, 150), (3, 2, 25)])
def test_a_table_that_is_taller_than_a_page_goes_on_in_further_floats(tmp_path: Path, shape: tuple[int, ...]) -> None:
    table = tall(*shape)
    text = table.to_latex(latex.Style(label="tab:many"))
    floats = text.split(r"\begin{table}")[1:]
    assert len(floats) >= 3 and text.count(r"\label{") == text.count("The note.") == 1
    assert all(r"\addtocounter{table}{-1}" in one and "(continued)" in one for one in floats[1:])
    names = [row.title for block in table.blocks for row in block.rows]
    assert re.findall(r"^ *(b\d+ g\d+ r\d+)", text.replace("\\sbox0{", ""), re.M) == names
    if shape[2] < 10:  # no block or group is cut
        assert all(len(re.findall(r"r0 ", one)) == len(re.findall(r"r5 ", one)) for one in floats)
    log = compiled([table], tmp_path)
    assert "Float too large" not in log and "Overfull" not in log
    assert f"Output written on paper.pdf ({len(floats)} pages" in " ".join(log.split())


@needs_tex
def test_the_published_tables_compile_and_fit_the_page(tmp_path: Path) -> None:
    log = compiled(map(published.table, published.names()), tmp_path)
    assert "Overfull" not in log and "Float too large" not in log


@needs_tex
def test_ours_beside_the_published_compiles(tmp_path: Path) -> None:
    rows = made_up.rows(methods={"exegan": "EXE-GAN"}, conditions=("irregular/50-60",), metrics=("fid@embedded",))
    rows = rows.assign(preset="paper", dataset="FFHQ", metric="fid", metric_title="FID", value=4.0)
    beside = published.beside(rows)
    assert beside is not None
    assert "Overfull" not in compiled([beside], tmp_path)


@needs_tex
def test_any_name_compiles(tmp_path: Path) -> None:
    compiled([named([name, "x"]) for name in NAMES] + [named(["x", name]) for name in NAMES], tmp_path)


@needs_tex
def test_every_letter_of_europe_and_every_sign_of_the_reports_compiles(tmp_path: Path) -> None:
    letters = "".join(chr(code) for code in [*range(0x20, 0x7F), *range(0xA1, 0x250), *range(0x370, 0x400)])
    compiled([named([letters[i : i + 40] for i in range(0, len(letters), 40)])], tmp_path)


def numbers(table: Table) -> dict[str, list[str]]:
    """The cells of each row in the LaTeX text, as TeX reads them."""
    lines = [line.strip().removesuffix(r"\\").split("&") for line in table.to_latex().splitlines() if " & " in line]
    return {line[0].strip(): [cell.strip() for cell in line[1:]] for line in lines}


def test_bold_and_underline_stand_at_the_right_cells_ties_included() -> None:
    columns = (Column("FID", "", False), Column("PSNR", "", True), Column("plain"))
    values = {"a": (1.0, 30.0, 1.0), "b": (1.001, 31.0, 2.0), "c": (2.0, 31.004, 3.0), "d": (2.5, math.nan, 4.0)}
    rows = tuple(Row(name, tuple(map(Cell, line))) for name, line in values.items())
    found = numbers(Table("t", "Method", columns, ranked([Block(rows)], columns)))
    assert found == {
        "Method": [r"FID $\downarrow$", r"PSNR $\uparrow$", "plain"],
        "a": [r"\textbf{1.00}", r"\underline{30.00}", "1.00"],
        "b": [r"\textbf{1.00}", r"\textbf{31.00}", "2.00"],
        "c": [r"\underline{2.00}", r"\textbf{31.00}", "3.00"],
        "d": ["2.50", "n/a", "4.00"],
    }


def test_marks_of_each_block_are_its_own() -> None:
    columns = (Column("10-20%"),)
    up = Block((Row("a", (Cell(1.0),)), Row("b", (Cell(2.0),))), "PSNR", True)
    down = replace(up, rows=tuple(replace(row, title=row.title.upper()) for row in up.rows), higher_is_better=False)
    found = numbers(Table("t", "Method", columns, ranked([up, down], columns)))
    assert [found[name] for name in "abAB"] == [
        [r"\underline{1.00}"], [r"\textbf{2.00}"], [r"\textbf{1.00}"], [r"\underline{2.00}"],
    ]  # fmt: skip


def test_the_best_published_value_is_underlined() -> None:
    found = numbers(published.table("thesis 4.5"))
    art = {re.sub(r"\\textsuperscript.*", "", name): cells[3] for name, cells in found.items() if name != "Method"}
    assert art["GRIG"] == r"\underline{77.32}"
    assert art["GRIG (E)"] == "77.35"
    assert art["GRIG (A)"] == "96.84"


def test_an_infinite_value_keeps_its_spread_and_mark() -> None:
    assert r"\textbf{$\infty$} $\pm$ 0.25" in named(["x", "y"]).to_latex()
