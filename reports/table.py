"""A table for papers: cells with marks, blocks of rows, grouped columns; printed as Markdown, CSV, LaTeX or Rich."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from reports import footnotes, latex, markup
from reports.numbers import head, printed, significant

if TYPE_CHECKING:
    import rich.console

    Rendered = Iterator[rich.console.RenderableType]

Mark = Literal["", "best", "second"]
MISSING = "n/a"
BETWEEN, EDGES = 3, 2  # characters between columns in the terminal, and at both ends of a line


@dataclass(frozen=True)
class Cell:
    """One number with what belongs to it. NaN prints as "n/a"; `note` becomes a footnote."""

    value: float = math.nan
    decimals: int = 2
    low: float = math.nan
    high: float = math.nan
    spread: float = math.nan
    note: str = ""
    mark: Mark = ""
    signed: bool = False
    comparable: bool = True  # False: its column is not ranked
    apart: bool = False  # of other images and masks: ranked with none

    @property
    def text(self) -> str:
        """The printed number, without marks."""
        return MISSING if math.isnan(self.value) else printed(self.value, self.decimals, self.signed)

    def tail(self, intervals: bool) -> str:
        """What follows the number: its interval if asked for, else its spread over seeds."""
        if math.isnan(self.value):
            return ""
        if intervals:
            known = not (math.isnan(self.low) or math.isnan(self.high))
            return f" [{printed(self.low, self.decimals)}, {printed(self.high, self.decimals)}]" if known else ""
        return "" if math.isnan(self.spread) else f" ± {printed(self.spread, self.decimals)}"


@dataclass(frozen=True)
class Column:
    """A column's head. `group` spans neighbours of the same group; the direction is None where a block has it."""

    title: str
    group: str = ""
    higher_is_better: bool | None = None

    @property
    def head(self) -> str:
        """Title with its arrow."""
        return head(self.title, self.higher_is_better)


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    title: str
    cells: tuple[Cell, ...]
    group: str = ""  # a heading that it shares with its neighbours


@dataclass(frozen=True)
class Block:
    """Rows that are compared with each other, under a heading of their own (none if empty)."""

    rows: tuple[Row, ...]
    title: str = ""
    higher_is_better: bool | None = None

    @property
    def head(self) -> str:
        """Title with its arrow."""
        return head(self.title, self.higher_is_better)


@dataclass(frozen=True)
class Table:
    """A printed table: best value bold, second underlined (as marked in the cells), "n/a" with footnotes.

    `stub` heads the column of row titles, `notes` stand below the table, `intervals` prints "[low, high]" behind
    each value that has one (in place of the spread over seeds).
    """

    title: str
    stub: str
    columns: tuple[Column, ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...] = ()
    intervals: bool = False

    @cached_property
    def feet(self) -> footnotes.Footnotes:
        """The footnotes of the cells, with their letters."""
        notes = [[[cell.note for cell in row.cells] for row in block.rows] for block in self.blocks]
        return footnotes.place(notes, [bool(block.title) for block in self.blocks])

    @property
    def groups(self) -> list[tuple[str, int]]:
        """The groups of the columns, in order, and how many neighbours each spans."""
        return [(group, len(list(columns))) for group, columns in groupby(column.group for column in self.columns)]

    def to_markdown(self) -> str:
        """GitHub-flavoured Markdown: `**best**`, `<u>second</u>`, footnotes below."""
        marked = {"best": "**{}**", "second": "<u>{}</u>", "": "{}"}

        def raised(letter: str | None) -> str:
            return f"<sup>{letter}</sup>" if letter else ""

        def cell(cell: Cell, letter: str | None) -> str:
            return marked[cell.mark].format(cell.text) + cell.tail(self.intervals) + raised(letter)

        def pipes(cells: Iterable[str]) -> str:
            return f"| {' | '.join(cells)} |"

        heads = [
            markup.markdown(f"{column.group} {column.head}") + raised(self.feet.columns.get(c))
            for c, column in enumerate(self.columns)
        ]
        lines = [pipes([markup.markdown(self.stub), *heads]), pipes([":--", *["--:"] * len(heads)])]
        for b, block in enumerate(self.blocks):
            if block.title:
                title = f"*{markup.markdown(block.head)}*{raised(self.feet.blocks.get(b))}"
                lines.append(pipes([title, *[""] * len(heads)]))
            for r, row in enumerate(block.rows):
                if row.group and (r == 0 or row.group != block.rows[r - 1].group):
                    lines.append(pipes([f"*{markup.markdown(row.group)}*", *[""] * len(heads)]))
                cells = [cell(x, self.feet.cells.get((b, r, c))) for c, x in enumerate(row.cells)]
                lines.append(pipes([markup.markdown(row.title) + raised(self.feet.rows.get((b, r))), *cells]))
        feet = [f"{raised(letter)} {markup.markdown(note)}" for note, letter in self.feet.notes.items()]
        feet += [markup.markdown(note) for note in self.notes]
        return "\n".join([*lines, "", *(f"{foot}<br>" for foot in feet)]).removesuffix("<br>").rstrip() + "\n"

    def to_csv(self) -> str:
        """CSV with the printed digits, without marks; low, high and spread in columns of their own."""
        parts = any(block.title for block in self.blocks)
        grouped = any(row.group for block in self.blocks for row in block.rows)
        cells = [cell for block in self.blocks for row in block.rows for cell in row.cells]
        spread = any(not math.isnan(cell.spread) for cell in cells)
        extras = ["low", "high"] if self.intervals else ["spread"] * spread

        def numbers(cell: Cell) -> list[str]:
            numbers = (getattr(cell, extra) for extra in extras)
            return [cell.text, *("" if math.isnan(x) else printed(x, cell.decimals) for x in numbers)]

        def heads(column: Column) -> list[str]:
            name = markup.line(f"{column.group} {column.title}")
            return [name, *(f"{name} {extra}" for extra in extras)]

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            [
                *["part"] * parts,
                *["group"] * grouped,
                self.stub,
                *(name for column in self.columns for name in heads(column)),
            ]
        )
        for block in self.blocks:
            for row in block.rows:
                values = [text for cell in row.cells for text in numbers(cell)]
                places = [*[markup.line(block.title)] * parts, *[markup.line(row.group)] * grouped]
                writer.writerow([*places, markup.line(row.title), *values])
        return text.getvalue()

    def to_latex(self, style: latex.Style | None = None) -> str:
        """A LaTeX table for `\\input`: see `latex.written`."""
        return latex.written(self, style or latex.Style())

    def __rich_console__(self, console: rich.console.Console, options: rich.console.ConsoleOptions) -> Rendered:
        """For the terminal: one narrow table a block, or several where the columns do not fit beside each other.

        Rich is imported here only: files need no terminal library.
        """
        from rich import box
        from rich.cells import cell_len
        from rich.table import Table as RichTable
        from rich.text import Text

        def cell(cell: Cell, letter: str | None) -> Text:
            style = {"best": "bold", "second": "underline", "": ""}[cell.mark]
            return Text.assemble((cell.text, style), cell.tail(self.intervals), f" {letter}" if letter else "")

        def name(text: str, letter: str | None = None) -> str:
            return markup.line(text) + (f" ({letter})" if letter else "")

        heads = [
            Text("\n".join(filter(None, [column.group, name(column.head, self.feet.columns.get(c))])))
            for c, column in enumerate(self.columns)
        ]
        for b, block in enumerate(self.blocks):
            title: Text | None = Text(
                name(block.head, self.feet.blocks.get(b)) if block.title else markup.line(self.title)
            )
            titles = [Text(name(row.title, self.feet.rows.get((b, r)))) for r, row in enumerate(block.rows)]
            cells = [
                [cell(x, self.feet.cells.get((b, r, c))) for c, x in enumerate(row.cells)]
                for r, row in enumerate(block.rows)
            ]
            numbers = [max((line[c].cell_len for line in cells), default=0) for c in range(len(heads))]
            least, most = (
                [
                    max(number, *(cell_len(part) for part in re.split(at, head.plain)))
                    for number, head in zip(numbers, heads, strict=True)
                ]
                for at in ("[ \n]", "\n")
            )
            room = options.max_width - EDGES - max(text.cell_len for text in (Text(self.stub), *titles))
            for part in self._parts([BETWEEN + width for width in least], room):
                printout = RichTable(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
                printout.add_column(Text(self.stub), no_wrap=True)
                widths = {c: least[c] for c in part}
                while (spare := room - sum(BETWEEN + width for width in widths.values())) > 0:
                    if not (wrapped := [c for c in part if widths[c] < most[c]][:spare]):
                        break
                    widths |= {c: widths[c] + 1 for c in wrapped}
                for c, width in widths.items():  # said, since Rich itself would cut the widest
                    printout.add_column(heads[c], justify="right", width=width)
                for r, row in enumerate(block.rows):
                    if row.group and (r == 0 or row.group != block.rows[r - 1].group):
                        printout.add_row(Text(markup.line(row.group), style="italic"))
                    printout.add_row(titles[r], *cells[r][part.start : part.stop])
                yield printout
                title = None
        feet = [f"({letter}) {note}" for note, letter in self.feet.notes.items()]
        if feet or self.notes:
            yield Text("\n".join(map(markup.line, [*feet, *self.notes])), style="dim")

    def _parts(self, widths: Sequence[int], room: int) -> list[range]:
        """The columns in parts that fit the room, one at least; groups that fit stay whole."""
        parts, used, start = [range(0)], 0, 0
        for _, count in self.groups:
            group = range(start, start := start + count)
            whole = sum(widths[c] for c in group) <= room
            for piece in [group] if whole else [range(c, c + 1) for c in group]:
                need = sum(widths[c] for c in piece)
                if parts[-1] and used + need > room:
                    parts.append(piece)
                    used = 0
                parts[-1] = range(parts[-1].start if used else piece.start, piece.stop)
                used += need
        return parts


def transposed(table: Table, stub: str, missing: Cell) -> Table:
    """Columns as rows, below the head `stub`, and rows as columns; `missing` where a block lacks a row of another."""
    heads = list(dict.fromkeys((row.title, row.group) for block in table.blocks for row in block.rows))
    blocks = []
    for block in table.blocks:
        found = {(row.title, row.group): row.cells for row in block.rows}
        rows = [
            Row(column.head, tuple(found[key][c] if key in found else missing for key in heads), column.group)
            for c, column in enumerate(table.columns)
        ]
        blocks.append(replace(block, rows=tuple(rows)))
    columns = tuple(Column(title, group) for title, group in heads)
    return replace(table, stub=stub, columns=columns, blocks=tuple(blocks))


def quantity(value: float, decimals: int = 2, spread: float = math.nan) -> Cell:
    """A cell that is counted or timed: a small number, too, has digits."""
    return Cell(value, significant(value, decimals), spread=spread)


def ranked(
    blocks: Sequence[Block], columns: Sequence[Column], bold: bool = True, exact: bool = False
) -> tuple[Block, ...]:
    """Mark the best and the second value of every column inside each block: for counts, which know no chance.

    Values are compared as printed, so what reads alike is a tie and gets the same mark, unless they are `exact`; the
    second is the next different value. Nothing is marked where the direction is unknown or fewer than two rows have a
    value. Numbers that chance decides and nothing tests are not `bold`: then the best is underlined alone.
    """
    return tuple(_ranked_block(block, columns, bold, exact) for block in blocks)


def _ranked_block(block: Block, columns: Sequence[Column], bold: bool, exact: bool) -> Block:
    marks = [rank([row.cells[c] for row in block.rows], direction(block, x), exact) for c, x in enumerate(columns)]
    if not bold:
        marks = [["second" if mark == "best" else "" for mark in column] for column in marks]
    rows = [
        replace(row, cells=tuple(replace(cell, mark=marks[c][r]) for c, cell in enumerate(row.cells)))
        for r, row in enumerate(block.rows)
    ]
    return replace(block, rows=tuple(rows))


def direction(block: Block, column: Column) -> bool | None:
    """Whether higher is better in this column of this block."""
    return block.higher_is_better if column.higher_is_better is None else column.higher_is_better


def rank(cells: Sequence[Cell], higher_is_better: bool | None, exact: bool = False) -> list[Mark]:
    """The mark of each cell of one column: see `ranked`."""
    values = [cell.value if exact else float(f"{cell.value:.{cell.decimals}f}") for cell in cells]
    present = [value for value in values if not math.isnan(value)]
    if higher_is_better is None or len(present) < 2 or not all(cell.comparable for cell in cells):
        return [""] * len(cells)
    order = sorted(set(present), reverse=higher_is_better)
    names: dict[float, Mark] = dict(zip(order, ("best", "second"), strict=False))
    return [names.get(value, "") for value in values]
