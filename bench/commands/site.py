"""`facebench site`: results as static pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.commands import licence, out
from bench.reporters import reporter

PACK = ".pack.zip"


def site(
    runs: Annotated[
        list[Path], typer.Argument(help="Suites' folders (runs/quickstart), packs, or folders of packs.", metavar="RUN")
    ],
    to: Annotated[Path, typer.Option("--out", help="Folder to write; a site that is there is replaced.")] = Path(
        "site"
    ),
    title: Annotated[str, typer.Option(help="Of the site.")] = "Face inpainting",
    pictures: licence.Pictures = None,
) -> None:
    """Make static pages: leaderboards, a page a method, two methods beside each other, downloads.

    DIR/index.html opens from disk, and DIR can be put on any static host; no page asks anything of a network. Rows of
    several runs share a leaderboard where their columns mean the same. Withdrawn values stay visible with their reason.
    """
    from bench import registry
    from bench.pack.pictures import write_samples

    with ExitStack() as stack:
        found = [_source(place, stack) for place in _expanded(runs)]
        sources = [source for source, _ in found]
        _name(sources)
        pictured = sorted(set().union(*(datasets for _, datasets in found)))
        shown = bool(pictured) and licence.may_show(pictured, pictures)
        for source in sources:
            if shown and "pack" in source:
                write_samples(source["pack"], source["folder"])
        cards = {slug: asdict(entry.card) for slug, entry in registry.entries().items()}
        page = reporter("site")(to, sources, cards, shown, title)
    files = [path for path in to.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    text = f"site: {page} ({len(sources)} sources, {len(files)} files, {size / 1e6:.1f} MB)"
    out.print(text, highlight=False, markup=False, soft_wrap=True)


def _expanded(runs: Sequence[Path]) -> Iterator[Path]:
    """Runs and packs, with the packs of folders."""
    for place in runs:
        packs = sorted(place.glob(f"*{PACK}")) if place.is_dir() else []
        if packs and not (place / "results.parquet").exists():
            yield from packs
        else:
            yield place


def _source(place: Path, stack: ExitStack) -> tuple[dict[str, Any], set[str]]:
    """What the pages need of a run or a pack, and the data sets of which it has pictures."""
    from bench.pack import division, unpacked
    from bench.pack.manifest import PROTOCOL
    from bench.store import file_digest, read_json

    if not place.is_file():
        pictured = {path.parts[-4] for path in (place / "samples").glob("*/*/*/*.png")}
        return {"name": place.resolve().name, "folder": place}, pictured
    folder, said = stack.enter_context(unpacked(place, pictures=False))
    protocol = read_json(folder / PROTOCOL)
    differs = division.differences(protocol.get("suite") if isinstance(protocol, dict) else None)
    source = {
        "name": place.name.removesuffix(PACK),
        "folder": folder,
        "pack": place,
        "identity": file_digest(place),
        "system": said.system,
        "withdrawn": [(one.what, one.reason) for one in said.withdrawn],
        "division": f"open: {'; '.join(differs)}" if differs else f"closed: the protocol of {said.suite}, untouched",
    }
    return source, {str(one.row["dataset"]) for one in said.pictures if one.kept}


def _name(sources: list[dict[str, Any]]) -> None:
    """Tell sources of one name apart by a number."""
    taken = {source["name"] for source in sources}
    seen: set[str] = set()
    for source in sources:
        name = source["name"]
        if name in seen:
            source["name"] = next(new for n in count(2) if (new := f"{name} ({n})") not in taken)
            taken.add(source["name"])
        seen.add(name)
