r"""Tables as LaTeX: a float, or a bare tabular; what is too wide for the page stands in parts below each other, and
what is too tall in several floats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from math import ceil
from operator import itemgetter
from typing import TYPE_CHECKING, Literal

from reports import markup

if TYPE_CHECKING:
    from reports.table import Cell, Column, Row, Table

LINE = {"table": 345, "table*": 500, "tabular": 345}  # points of a line: article; both columns of a conference
TALL = 520  # points that a float may have: a page of article is 550
HIGH, RULE, SMALL = 12, 8, 9.5  # points: of a row, of a rule, of a line below the table
SMALLEST = 0.7  # of the letters' size: a wider table is split
LETTER, GAP = 5, 12  # points: of a letter, rather more than less; between two columns
_MARKED = {"best": r"\textbf{%s}", "second": r"\underline{%s}", "": "%s"}


@dataclass(frozen=True)
class Style:
    """How a table stands in a paper."""

    caption: str = ""  # default: the table's title
    label: str = ""
    environment: Literal["table", "table*", "tabular"] = "table"
    width: int | None = None  # points of a line in the document; default: see `LINE`
    split: int | None = None  # most columns beside each other; default: as many as can be read
    escape: Callable[[str], str] = markup.latex  # makes LaTeX of texts


def written(table: Table, style: Style) -> str:
    r"""A table for `\input`; the document needs `\usepackage{booktabs,graphicx}`, nothing else.

    What is wider than the line is scaled down to it, to `SMALLEST` at the least, then split; what is taller than a page
    goes on in floats of the same number. A bare tabular is neither scaled nor, unless `split` says so, split; what
    belongs below it is a comment.
    """
    if style.environment == "tabular":
        return _float(table, _parts(table, style), style)
    parts = _parts(table, style)
    pages = list(_pages(table, parts, style)) or [(table, parts)]
    made = [(replace(page, notes=()), parts) for page, parts in pages[:-1]] + pages[-1:]
    return "\n".join(_float(page, parts, style, continued=i > 0) for i, (page, parts) in enumerate(made))


def _float(table: Table, columns: Sequence[range], style: Style, continued: bool = False) -> str:
    """A float, or a bare tabular, with all rows of a table, and its columns in these parts."""
    parts = [_tabular(table, part, style) for part in columns]
    feet = [f"{_raised(letter)} {style.escape(note.rstrip('.'))}." for note, letter in table.feet.notes.items()]
    feet += [style.escape(note) for note in table.notes]
    if style.environment == "tabular":
        below = [f"% {foot}" for foot in feet]
        return "\n".join(["\n\\par\\medskip\n".join("\n".join(part) for part in parts), *below, ""])
    (first, *rest, last), *more = parts
    if more:  # in one box, so that all have letters of one size
        stacked = [line for part in more for line in (r"\\\noalign{\medskip}", *part)]
        first, rest, last = r"\begin{tabular}{@{}c@{}}", [*parts[0], *stacked], r"\end{tabular}"
    body = [rf"  \sbox0{{{first}", *(f"  {line}" for line in rest), rf"  {last}}}"]
    body.append(r"  \ifdim\wd0>\linewidth \resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi")
    if feet:
        body += ["", r"  \smallskip", rf"  \parbox{{\linewidth}}{{\footnotesize {' '.join(feet)}}}"]
    label = [rf"  \label{{{style.label}}}"] if style.label and not continued else []
    again = [r"  \addtocounter{table}{-1}"] * continued
    return "\n".join(
        [
            rf"\begin{{{style.environment}}}[{'htbp' if style.environment == 'table' else 'tp'}]",
            r"  \centering",
            *again,
            rf"  \caption{{{style.escape((style.caption or table.title) + ' (continued)' * continued)}}}",
            *label,
            *body,
            rf"\end{{{style.environment}}}",
            "",
        ]
    )


def _pages(table: Table, parts: Sequence[range], style: Style) -> Iterator[tuple[Table, list[range]]]:
    """The table in pieces that fit a page, with the parts of their columns: as many parts as fit, else the rows of one
    part in pieces."""
    left = list(parts)
    while left:
        some = [_of_columns(table, left[: n + 1]) for n in range(len(left))]
        fitting = [one for one in some if _height(*one, style) <= TALL]
        if fitting:
            yield fitting[-1]
        else:
            whole, alone = some[0]
            yield from ((piece, alone) for piece in _pieces(whole, alone, style))
        left = left[max(1, len(fitting)) :]


def _of_columns(table: Table, parts: Sequence[range]) -> tuple[Table, list[range]]:
    """The table with the columns of these parts alone, and the parts in it."""
    start, stop = parts[0].start, parts[-1].stop
    blocks = tuple(
        replace(block, rows=tuple(replace(row, cells=row.cells[start:stop]) for row in block.rows))
        for block in table.blocks
    )
    shifted = [range(part.start - start, part.stop - start) for part in parts]
    return replace(table, columns=table.columns[start:stop], blocks=blocks), shifted


def _pieces(table: Table, parts: Sequence[range], style: Style) -> Iterator[Table]:
    """The rows of a table in pieces that fit a page: cut between blocks or groups, inside of one where it must be."""
    lines = [(b, row) for b, block in enumerate(table.blocks) for row in block.rows]
    borders = [i for i in range(1, len(lines)) if _place(lines[i]) != _place(lines[i - 1])] + [len(lines)]

    def piece(start: int, stop: int) -> Table:
        kept = groupby(lines[start:stop], key=itemgetter(0))
        blocks = tuple(replace(table.blocks[b], rows=tuple(row for _, row in rows)) for b, rows in kept)
        return replace(table, blocks=blocks, notes=table.notes if stop == len(lines) else ())

    def last(start: int, stops: Iterable[int]) -> int:
        fitting = [stop for stop in stops if stop > start and _height(piece(start, stop), parts, style) <= TALL]
        return max(fitting, default=0)

    start = 0
    while start < len(lines):
        stop = last(start, borders) or last(start, range(start + 1, len(lines))) or start + 1
        yield piece(start, stop)
        start = stop


def _place(line: tuple[int, Row]) -> tuple[int, str]:
    """The block and the group of a row."""
    return line[0], line[1].group


def _height(table: Table, parts: Sequence[range], style: Style) -> float:
    """Points of a float, rather more than less."""
    groups = sum(len(list(groupby(row.group for row in block.rows if row.group))) for block in table.blocks)
    rows = sum(len(block.rows) + bool(block.title) for block in table.blocks) + groups
    heads = 1 + any(column.group for column in table.columns)
    each = HIGH * (heads + rows) + RULE * (2 + len(table.blocks) + groups)
    line = style.width or LINE[style.environment]
    stub, widths = _widths(table)
    widest = max((stub + sum(widths[part.start : part.stop]) for part in parts), default=1)
    scale = min(1, line / (0.9 * widest))
    below = sum(map(len, table.feet.notes)) + sum(map(len, table.notes))
    above = len(style.caption or table.title)
    return scale * each * len(parts) + HIGH * (2 + ceil(LETTER * above / line)) + SMALL * ceil(LETTER * below / line)


def _tabular(table: Table, part: range, style: Style) -> list[str]:
    """The lines of a tabular with these columns."""
    tex, feet = style.escape, table.feet
    columns = table.columns[part.start : part.stop]

    def across(text: str) -> str:
        return rf"    \multicolumn{{{len(part) + 1}}}{{l}}{{{text}}} \\"

    body: list[str] = []
    if any(column.group for column in columns):
        spans, rules = _spans(columns, tex)
        body += [_ampersands(["", *spans]), f"    {' '.join(rules)}"]
    heads = [tex(x.head) + _raised(feet.columns.get(c)) for c, x in zip(part, columns, strict=True)]
    body.append(_ampersands([tex(table.stub), *heads]))
    for b, block in enumerate(table.blocks):
        body.append(r"    \midrule")
        if block.title:
            body.append(across(rf"\emph{{{tex(block.head)}}}{_raised(feet.blocks.get(b))}"))
        group = ""
        for r, row in enumerate(block.rows):
            if row.group != group:
                body += [r"    \addlinespace"] * bool(r) + [across(rf"\textit{{{tex(row.group)}}}")] * bool(row.group)
                group = row.group
            cells = [_cell(row.cells[c], table.intervals) + _raised(feet.cells.get((b, r, c))) for c in part]
            body.append(_ampersands([tex(row.title) + _raised(feet.rows.get((b, r))), *cells]))
    start = rf"\begin{{tabular}}{{l{'r' * len(part)}}}"
    return [start, r"  \toprule", *(line[2:] for line in body), r"  \bottomrule", r"\end{tabular}"]


def _cell(cell: Cell, intervals: bool) -> str:
    number, tail = (markup.latex(text.replace("-", "−")) for text in (cell.text, cell.tail(intervals)))
    return f"{_MARKED[cell.mark] % number} {tail}".rstrip()


def _raised(letter: str | None) -> str:
    return rf"\textsuperscript{{{letter}}}" if letter else ""


def _ampersands(cells: Iterable[str]) -> str:
    return f"    {' & '.join(cells)} \\\\"


def _spans(columns: Sequence[Column], tex: Callable[[str], str]) -> tuple[list[str], list[str]]:
    """Heads that span the columns of a group, and the rules below them."""
    spans, rules, first = [], [], 2
    for group, members in groupby(column.group for column in columns):
        count = len(list(members))
        spans.append(rf"\multicolumn{{{count}}}{{c}}{{{tex(group)}}}")
        if group:
            rules.append(rf"\cmidrule(lr){{{first}-{first + count - 1}}}")
        first += count
    return spans, rules


def _parts(table: Table, style: Style) -> list[range]:
    """The columns that stand beside each other, in parts of one size; groups that fit stay whole."""
    stub, widths = _widths(table)
    most = style.split or len(widths)
    if style.environment != "tabular" and not style.split:
        room = (style.width or LINE[style.environment]) / SMALLEST - stub
        most = max(1, int(room // max(widths, default=1))) if sum(widths) > room else most
    parts: list[range] = []
    start = 0
    for _, count in table.groups:
        if parts and len(parts[-1]) + count <= most:
            parts[-1] = range(parts[-1].start, start + count)
        else:
            pieces = ceil(count / most)
            cuts = [start + round(i * count / pieces) for i in range(pieces + 1)]
            parts += [range(a, b) for a, b in pairwise(cuts)]
        start += count
    return parts or [range(0)]


def _widths(table: Table) -> tuple[int, list[int]]:
    """Points of the titles of rows, and of each column."""
    lines = [row for block in table.blocks for row in block.rows]
    stub = _wide([table.stub, *(row.title for row in lines)])
    widths = [
        _wide([x.head, *(row.cells[c].text + row.cells[c].tail(table.intervals) for row in lines)])
        for c, x in enumerate(table.columns)
    ]
    return stub, widths


def _wide(texts: Iterable[str]) -> int:
    return LETTER * max(len(text) for text in texts) + GAP
