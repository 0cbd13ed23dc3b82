"""docs/traps.md: every row is filled, and the tests that it names exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/traps.md").read_text(encoding="utf-8")
HEAD = ("behaviour", "seen in", "source", "our rule", "test")


class Row(NamedTuple):
    line: int
    cells: tuple[str, ...]

    @property
    def tests(self) -> list[str]:
        return [part.strip().strip("`") for part in re.split(r"<br>|,", self.cells[-1])]


def cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1])


LINES = [Row(number, cells(line)) for number, line in enumerate(TEXT.splitlines(), 1) if line.startswith("|")]
RULES = [row for row in LINES if all(re.fullmatch(":?-+:?", cell) for cell in row.cells)]
HEADS = [row for row in LINES if row.line + 1 in {rule.line for rule in RULES}]
ROWS = [row for row in LINES if row not in RULES and row not in HEADS]


@cache
def defined(path: str) -> set[str]:
    """Names of all functions and methods in a file of tests."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_all_tables_have_one_head() -> None:
    assert ROWS and len(HEADS) == len(re.findall("^## ", TEXT, re.MULTILINE))
    assert {head.cells for head in HEADS} == {HEAD}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"line {row.line}")
def test_a_row_is_filled_and_its_tests_exist(row: Row) -> None:
    assert len(row.cells) == len(HEAD) and all(row.cells), row
    for name in row.tests:
        path, _, function = name.partition("::")
        assert path.startswith("tests/") and (ROOT / path).is_file(), name
        assert function.startswith("test_") and function in defined(path), name


def test_no_row_stands_twice() -> None:
    for column in (0, slice(None)):
        found = [row.cells[column] for row in ROWS]
        assert len(set(found)) == len(found)


def test_every_link_of_an_issue_says_where_it_leads() -> None:
    for label, number, address in re.findall(r"\[([\w./-]+)#(\d+)\]\(([^)]+)\)", TEXT):
        assert re.fullmatch(rf"https://github\.com/{re.escape(label)}/(issues|pull)/{number}", address), address


def test_the_guide_leads_here() -> None:
    assert "](traps.md)" in (ROOT / "docs/README.md").read_text(encoding="utf-8")
    assert "](docs/traps.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
