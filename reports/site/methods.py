"""The page of a method: its card, results, cost, learning curves and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from reports import conditions, convergence, markup, numbers, style
from reports.numbers import significant
from reports.page import Blocks, table_html
from reports.page.pictures import INPUT, ORIGINAL
from reports.results import METHOD
from reports.site.gather import Board, Source
from reports.site.pages import Pages, black, drawing
from reports.table import Block, Cell, Column, Row, Table

_NONE = Cell(note="not measured")
Key = tuple[str, str, str]  # method, preset, title
FEW = 2  # pictures of each condition
FACTS = {  # fields of a card that are told as they are
    "authors": "Authors",
    "venue": "Venue",
    "year": "Year",
    "task": "Task",
    "resolution": "Trained at (px)",
    "training": "Training",
    "features": "Networks of its losses",
    "convention": "Convention of the authors' code",
    "licence": "Licence",
    "weights": "Weights",
    "requires": "Requires",
    "needs": "Needs",
    "takes": "Takes",
    "notes": "Notes",
}


@dataclass
class Entrant:
    """A method that is shown, with a page of its own. `labels`: what it is called on each board."""

    method: str
    preset: str
    title: str
    name: str = ""
    page: str = ""
    labels: dict[str, str] = field(default_factory=dict)


def entrants(boards: Sequence[Board]) -> list[Entrant]:
    """All methods of the boards, in their order."""
    found: dict[Key, Entrant] = {}
    for board in boards:
        for row in board.cells.drop_duplicates(METHOD).itertuples():
            key = (row.method, row.preset, row.title)
            entrant = found.setdefault(key, Entrant(*key))
            entrant.labels[board.slug] = row.label
    titles = [entrant.title or entrant.method for entrant in found.values()]
    for entrant, title in zip(found.values(), titles, strict=True):
        several = titles.count(title) > 1
        entrant.name = f"{title} ({entrant.method}, {entrant.preset})" if several else title
    stems = markup.slugs(entrant.name for entrant in found.values())
    for entrant in found.values():
        entrant.page = f"method-{stems[entrant.name]}.html"
    return list(found.values())


def write(
    pages: Pages,
    boards: Sequence[Board],
    tables: Mapping[str, Mapping[str, Table]],
    entrants: Sequence[Entrant],
    sources: Sequence[Source],
    cards: Mapping[str, Mapping[str, Any]],
    index: Mapping[str, Any],
) -> None:
    """Write the page of each method."""
    for entrant in entrants:
        card = cards.get(entrant.method, {})
        here = [board for board in boards if board.slug in entrant.labels]
        origins = _origins(entrant, here, sources)
        pages.write(
            entrant.page,
            entrant.name,
            "method.html",
            entrant=entrant,
            card=card,
            facts={name: _plain(card[key]) for key, name in FACTS.items() if card.get(key)},
            linked=str(card.get("url", "")).startswith(("https://", "http://")),
            origins=origins,
            withdrawn=list(_withdrawn(entrant, here, sources)),
            results=[_results(entrant, board, tables[board.slug]) for board in here],
            costs=_costs(entrant, here, card),
            curves=_curves(pages, entrant, here),
            pictures=list(_pictures(entrant, here, index)),
            black=black(origins),
        )


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _origins(entrant: Entrant, boards: Sequence[Board], sources: Sequence[Source]) -> list[Source]:
    """The sources of its rows."""
    return [sources[i] for i in dict.fromkeys(number for board in boards for number in board.origin[entrant.title])]


def _withdrawn(entrant: Entrant, boards: Sequence[Board], sources: Sequence[Source]) -> Iterator[tuple[str, str]]:
    """What was taken back of it, and why."""
    for number, theirs in dict.fromkeys(found for board in boards for found in board.origin[entrant.title].items()):
        for what, why in sources[number].withdrawn:
            if what == theirs or what.startswith(f"{theirs} | "):
                yield what, why


def _results(entrant: Entrant, board: Board, tables: Mapping[str, Table]) -> Markup:
    """Metrics × conditions of a method on a board, with the marks that it has there."""
    columns: dict[Column, None] = {column: None for table in tables.values() for column in table.columns}
    order = {c.label + c.family: i for i, c in enumerate(conditions.ordered(board.cells["condition"]))}
    heads = sorted(columns, key=lambda column: order.get(column.title + column.group, 0))
    blocks: dict[str, list[Row]] = {}
    for table in tables.values():
        for block in table.blocks:
            where, _, metric = block.title.partition(": ")
            for row in block.rows:
                if row.title == entrant.labels[board.slug]:
                    cells = dict(zip(table.columns, row.cells, strict=True))
                    title = numbers.head(metric, block.higher_is_better)
                    line = Row(title, tuple(cells.get(column, _NONE) for column in heads))
                    blocks.setdefault(where, []).append(line)
    shown = Table(
        f"{entrant.name} on {board.title}",
        "Metric",
        tuple(heads),
        tuple(Block(tuple(rows), where) for where, rows in blocks.items()),
        notes=next(iter(tables.values())).notes[:1],
        intervals=True,
    )
    stem = f"of-{board.slug}"
    return Markup(table_html(stem, shown, Blocks([board.dataset], []), files=False))


def _costs(entrant: Entrant, boards: Sequence[Board], card: Mapping[str, Any]) -> dict[str, str]:
    """Parameters and multiply-accumulates, measured here, else as the card has them."""
    for board in boards:
        if (costs := board.found.costs) is not None:
            rows = costs[(costs[METHOD] == [entrant.method, entrant.preset, entrant.title]).all(axis=1)]
            for row in rows.itertuples():
                return {
                    "Parameters": _quantity(row.params / 1e6, "M"),
                    "Multiply-accumulates of one image": _quantity(row.macs / 1e9, "G"),
                }
    made = {f"Parameters, paper, {name}": _quantity(count / 1e6, "M") for name, count in card.get("params", {}).items()}
    macs = card.get("macs", {}).items()
    return made | {f"Multiply-accumulates, paper, {name}": _quantity(count / 1e9, "G") for name, count in macs}


def _quantity(value: float, unit: str) -> str:
    return f"{value:,.{significant(value, 2)}f} {unit}"


def _curves(pages: Pages, entrant: Entrant, boards: Sequence[Board]) -> list[Markup]:
    """Draw its learning curves, one figure a board."""
    made = []
    for board in boards:
        losses = board.found.losses
        if losses is None or (rows := losses[losses["label"] == entrant.labels[board.slug]]).empty:
            continue
        stem = pages.folder / "figures" / f"{entrant.page.removesuffix('.html')}-{board.slug}"
        stem.parent.mkdir(exist_ok=True)
        with style.context():
            style.save(convergence.convergence(rows), stem, ["svg"])
        made.append(drawing(f"{entrant.name} on {board.title}: training losses", f"figures/{stem.name}.svg"))
    return made


def _pictures(
    entrant: Entrant, boards: Sequence[Board], index: Mapping[str, Any]
) -> Iterator[tuple[str, list[list[tuple[str, str]]]]]:
    """Of each condition, a few images: (what it shows, address) of input, completion and original, if it is there."""
    labels = {board.title: entrant.labels[board.slug] for board in boards}
    for album, folders in zip(index["albums"], index["folders"], strict=True):
        numbers = {title: v for v, title in enumerate(album["variants"])}
        ours = labels.get(album["dataset"])
        if ours not in numbers:
            continue
        wanted = [
            (numbers[title], name) for title, name in ((INPUT, INPUT), (ours, entrant.name), (ORIGINAL, ORIGINAL))
        ]
        made = [i for i in range(len(album["names"])) if i not in album["missing"][numbers[ours]]]
        shown = [
            [(title, f"{folders[v]}/{quote(album['names'][i])}") for v, title in wanted if i not in album["missing"][v]]
            for i in made[:FEW]
        ]
        if shown:
            yield f"{album['dataset']}, {album['condition']}", shown
