"""`facebench site`: results as static pages."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.commands import out
from bench.errors import BenchError
from bench.reporters import reporter

PACK = ".pack.zip"
ASKED = (
    "These runs hold sample pictures, originals among them: who opens the site sees them. Does the licence of the data "
    "sets allow you to publish them?"
)
LEFT_OUT = "no pictures: they show originals. Say --pictures if the licence of the data sets allows you to publish them"


def site(
    runs: Annotated[
        list[Path], typer.Argument(help="Suites' folders (runs/quickstart), packs, or folders of packs.", metavar="RUN")
    ],
    to: Annotated[Path, typer.Option("--out", help="Folder to write; a site that is there is replaced.")] = Path(
        "site"
    ),
    title: Annotated[str, typer.Option(help="Of the site.")] = "Face inpainting",
    pictures: Annotated[
        bool | None,
        typer.Option(
            "--pictures/--no-pictures",
            help="Show the samples of runs, originals among them: the licence of the data sets must allow it. Default: "
            "ask; where nobody can answer, no.",
        ),
    ] = None,
) -> None:
    """Make static pages: leaderboards, a page a method, two methods beside each other, downloads.

    DIR/index.html opens from disk, and DIR can be put on any static host; no page asks anything of a network. Rows of
    several runs share a leaderboard where their columns mean the same. Withdrawn values stay visible with their reason.
    """
    from bench import registry

    with ExitStack() as stack:
        sources = [_source(place, stack) for place in _expanded(runs)]
        _name(sources)
        shown = _may_show(sources, pictures)
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


def _source(place: Path, stack: ExitStack) -> dict[str, Any]:
    """What the pages need of a run or a pack."""
    from bench.pack import division, unpacked
    from bench.pack.manifest import PROTOCOL
    from bench.store import digest, read_json

    if not place.is_file():
        return {"name": place.resolve().name, "folder": place}
    folder, said = stack.enter_context(unpacked(place, pictures=False))
    for name, hashed in said.files.items():
        if "/" not in name and digest((folder / name).read_bytes()) != hashed:
            raise BenchError(f"{place}: {name} was changed: see `facebench verify pack {place}`")
    protocol = read_json(folder / PROTOCOL)
    differs = division.differences(protocol.get("suite") if isinstance(protocol, dict) else None)
    return {
        "name": place.name.removesuffix(PACK),
        "folder": folder,
        "pack": place,
        "identity": digest(place.read_bytes()),
        "system": said.system,
        "withdrawn": [(one.what, one.reason) for one in said.withdrawn],
        "division": f"open: {'; '.join(differs)}" if differs else f"closed: the protocol of {said.suite}, untouched",
    }


def _name(sources: list[dict[str, Any]]) -> None:
    """Tell sources of one name apart by a number."""
    seen: dict[str, int] = {}
    for source in sources:
        name = source["name"]
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            source["name"] = f"{name} ({seen[name]})"


def _may_show(sources: Sequence[dict[str, Any]], asked: bool | None) -> bool:
    """Whether pictures are shown: what the user says, who is asked once, where there are some."""
    there = any(next((source["folder"] / "samples").glob("*/*/*/*.png"), None) for source in sources)
    if not there or asked is not None:
        return there and bool(asked)
    if sys.stdin.isatty():
        return typer.confirm(ASKED, default=False)
    out.print(LEFT_OUT, highlight=False, markup=False, soft_wrap=True)
    return False
