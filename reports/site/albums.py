"""The pictures of a site: of each board and condition one album, with what all its sources show of the test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reports import scored
from reports.page.pictures import Album, albums
from reports.results import Results
from reports.site.gather import Board

Variant = tuple[Album, int]  # an album, and the number of one of its variants


def gather(boards: Sequence[Board], found: Sequence[Results]) -> list[Album]:
    """The albums of all boards, whose methods have the names that they have there."""
    made = []
    for board in boards:
        parts: dict[str, list[Album]] = {}
        for source in board.sources:
            names = {title: theirs[source] for title, theirs in board.origin.items() if source in theirs}
            cells = board.cells[board.cells["title"].isin(names)]
            cells = cells.assign(title=cells["title"].map(names))
            for album in albums(replace(found[source], scores=scored.kept(found[source])), cells):
                parts.setdefault(album.condition, []).append(album)
        made += [together(board.title, of_condition) for of_condition in parts.values()]
    return made


def together(title: str, parts: Sequence[Album]) -> Album:
    """Albums of one condition as one. What several of them show is that of the first, of one with originals if any."""
    variants: dict[str, Variant] = {}
    for album in sorted(parts, key=lambda album: not album.files[0]):  # packs have no originals
        for v, (name, _) in enumerate(album.variants):
            variants.setdefault(name, (album, v))
    names = sorted(set().union(*(album.names for album in parts)))
    metrics = dict.fromkeys((metric, higher) for album in parts for metric, higher, _ in album.scores)
    return Album(
        dataset=title,
        condition=parts[0].condition,
        variants=[album.variants[v] for album, v in variants.values()],
        files=[album.files[v] for album, v in variants.values()],
        names=names,
        texts={name: text for album in parts for name, text in album.texts.items()},
        scores=[(*metric, [_texts(one, metric, names) for one in variants.values()]) for metric in metrics],
    )


def _texts(variant: Variant, metric: tuple[str, bool], names: Sequence[str]) -> list[str]:
    """The scores of a variant's pictures, as they are printed."""
    album, v = variant
    known: dict[str, str] = {}
    for title, higher, texts in album.scores:
        if (title, higher) == metric:
            known = dict(zip(album.names, texts[v], strict=True))
    return [known.get(name, "") for name in names]
