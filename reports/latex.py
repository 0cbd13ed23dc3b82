r"""Tables as LaTeX: a float, or a bare tabular; what is too wide for the page stands in parts below each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import ceil
from typing import TYPE_CHECKING, Literal

from reports import markup

if TYPE_CHECKING:
    from reports.table import Cell, Column, Table

LINE = {"table": 345, "table*": 500, "tabular": 345}  # points of a line: article; both columns of a conference
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

    What is wider than the line is scaled down to it, to `SMALLEST` at the least, then split. A bare tabular is neither
    scaled nor, unless `split` says so, split; what belongs below it is a comment.
    """
    parts = [_tabular(table, part, style) for part in _parts(table, style)]
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
    label = [rf"  \label{{{style.label}}}"] if style.label else []
    return "\n".join(
        [
            rf"\begin{{{style.environment}}}[{'htbp' if style.environment == 'table' else 'tp'}]",
            r"  \centering",
            rf"  \caption{{{style.escape(style.caption or table.title)}}}",
            *label,
            *body,
            rf"\end{{{style.environment}}}",
            "",
        ]
    )


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
    lines = [row for block in table.blocks for row in block.rows]
    stub = _wide([table.stub, *(row.title for row in lines)])
    widths = [
        _wide([x.head, *(row.cells[c].text + row.cells[c].tail(table.intervals) for row in lines)])
        for c, x in enumerate(table.columns)
    ]
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


def _wide(texts: Iterable[str]) -> int:
    return LETTER * max(len(text) for text in texts) + GAP
