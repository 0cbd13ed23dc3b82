"""`facebench evaluate`: measure a folder of completed images against the originals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from bench.commands import is_frozen, out, values
from bench.errors import BenchError
from bench.metrics import ABSENT

if TYPE_CHECKING:
    from bench.metrics.images import Images

WITHOUT_WEIGHTS = "psnr,ssim,l1,perceptual@embedded,identity@embedded,fid@embedded,kid@embedded"

BATCH = 32, 512  # images at a time up to this side in pixels; so many pixels of larger ones
Named = tuple[Path, str | None]  # a folder, and how its files are called, if that is said
PATTERN = (
    "How {} are called, without suffix, if not as the {}: `{{name}}_pred`, `{{name}}/0`, ...; said as `{{name}}`, "
    "files of other names are left out; `**/{{name}}`: in any folder below."
)
OPTIONS = {"completed": "--match {}", "truth": "--match-truth {}", "masks": "--match-masks {}"}
IN_PYTHON = {
    "completed": 'Images(COMPLETED, "completed", match={})',
    "truth": 'Images(TRUTH, "truth", match={})',
    "masks": 'Images(MASKS, "masks", masks=True, match={})',
}
NAMED = {"completed": "results", "truth": "originals"}
ENDS = {"truth": "gt", "masks": "mask"}  # of names, in an example
LOOKED = 20  # files, spread evenly, in which masks are looked for among completed images


def evaluate(
    completed: Annotated[Path, typer.Argument(help="Folder of completed images.")],
    truth: Annotated[Path, typer.Argument(help="Folder of the originals, under the same names.")],
    masks: Annotated[
        Path | None, typer.Option(help="Folder of masks, under the same names; white = hole. Or a frozen set (.npz).")
    ] = None,
    metrics: Annotated[
        str,
        typer.Option(
            help="Names, as in `facebench list --metrics`. The default needs no official weights.",
            autocompletion=values.metrics,
        ),
    ] = WITHOUT_WEIGHTS,
    path: Annotated[Path | None, typer.Option("--out", help="CSV file to write.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Measure the images as they are, also outside the hole.")] = False,
    reference: Annotated[
        Path | None, typer.Option(help="Another set of real images, for metrics such as fid/reference.")
    ] = None,
    mask_threshold: Annotated[
        int | None, typer.Option(min=0, max=254, help="For masks with grey values: what is above it, of 255, is hole.")
    ] = None,
    invert_masks: Annotated[bool, typer.Option("--invert-masks", help="Black is the hole.")] = False,
    match: Annotated[str | None, typer.Option(help=PATTERN.format("completed images", "originals"))] = None,
    match_truth: Annotated[str | None, typer.Option(help=PATTERN.format("originals", "completed images"))] = None,
    match_masks: Annotated[str | None, typer.Option(help=PATTERN.format("masks", "originals"))] = None,
    order: Annotated[
        Path | None,
        typer.Option(
            help="The completed images are numbered in the order of this list, as of order.txt: one name a line."
        ),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Images at a time. Default: 32, on a CPU 8; of large pictures fewer.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps the features of the originals.")] = None,
) -> None:
    """Measure completed images against their originals, with intervals.

    Files are matched by name; originals without a result are told, and not measured. With masks, known pixels are
    pasted from the originals first, unless you say --raw; without masks nothing is pasted.
    """
    import pandas as pd

    from bench import metrics as library
    from bench.device import checked
    from bench.metrics.images import frozen as of_set
    from bench.metrics.likeness import Likeness
    from bench.progress import many
    from bench.store import write_text
    from bench.target import CSV, check

    if path:
        check(path, CSV)
    names = [name.strip() for name in metrics.split(",") if name.strip()]
    if not names:
        raise BenchError("--metrics names no metric; see `facebench list --metrics`")
    for metric in map(library.get, names):
        if metric.needs_mask and not masks:
            raise BenchError(f"{metric.name} looks at the holes: add --masks DIR (white = hole)")
        if metric.reference and (reference is None or metric.reference != "reference"):
            base = metric.name.partition("/")[0]
            raise BenchError(
                f"{metric.name}: say {base}/reference, and --reference DIR for the images it compares with"
            )
    if masks and metrics == WITHOUT_WEIGHTS:
        names.append("l1@hole")
    given: dict[str, Named] = {"completed": (completed, match), "truth": (truth, match_truth)}
    of_files = {"--mask-threshold": mask_threshold, "--invert-masks": invert_masks}
    frozen = masks and is_frozen(masks, of_files | {"--match-masks": match_masks})
    if masks and not frozen:
        given["masks"] = (masks, match_masks)
    found = opened(given, mask_threshold, invert_masks, order)
    images, originals, *rest = found.sources
    if masks and frozen:
        rest = [of_set(masks, images)]
    ids, count = images.ids or [], batch or fitting(images.files[0])
    holes, likeness = rest[0] if rest else None, Likeness()
    paste = bool(masks) and not raw
    if paste and (before := [name for name in names if library.get(name).raw]):
        raise BenchError(f"{before[0]} is measured before known pixels are pasted: say --raw")
    with many() as report:
        result = library.measure(
            likeness.watch(images, originals, holes, count, str(masks), paste) if holes else images,
            originals,
            holes,
            names,
            reference=reference,
            ids=ids,
            device=checked(device),
            cache=cache,
            batch=count,
            progress=lambda done: report("evaluate", done, len(ids)),
        )
    rows = [described(row, "composite" if paste else "as given") for row in result.rows]
    remarks = [found.part, "original under the hole, see below" if likeness.note else ""]
    out.print(rich_table(rows, "; ".join(filter(None, remarks))))
    for row in rows:
        row["note"] = "; ".join(filter(None, (row["note"], found.part, likeness.note)))
    if shares := likeness.shares:
        mean, least, most = (f"{100 * value:.1f}" for value in (sum(shares) / len(shares), min(shares), max(shares)))
        out.print(f"holes: {mean} % of a picture on average, {least} to {most} %", highlight=False)
    if likeness.note:
        out.print(f"warning: {likeness.note}", highlight=False, markup=False, soft_wrap=True)
    tell(rows)
    if path:
        write_text(path, pd.DataFrame(rows).to_csv(index=False))
        out.print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)
    if all(row["value"] is None for row in rows):
        raise typer.Exit(1)


def tell(rows: list[dict[str, Any]]) -> None:
    """Say below the table what a reader must know of metrics, and why some were not computed."""
    for row in rows:
        if row["caution"] and row["value"] is not None:
            out.print(f"{row['metric']}: {row['caution']}", highlight=False, markup=False, soft_wrap=True)
    for reason in dict.fromkeys(row["note"] for row in rows if row["note"].startswith(ABSENT)):
        names = [row["metric"] for row in rows if row["note"] == reason]
        text = f"not computed ({', '.join(names)}): {reason.removeprefix(ABSENT)}"
        out.print(text, highlight=False, markup=False, soft_wrap=True)


def fitting(file: Path) -> int:
    """How many pictures like this one are measured at a time, so that memory does not grow with their size."""
    from bench import pictures

    width, height = pictures.decode(pictures.read(file), file).size
    count, side = BATCH
    return max(1, min(count, count * side**2 // (width * height)))


def described(row: dict[str, Any], images: str) -> dict[str, Any]:
    """A row of the table: the network behind a number and what a reader must know of it stand beside it."""
    from bench import metrics

    metric = metrics.get(row["metric"])
    return {"metric": metric.name, "title": metric.title, **row, "images": images, "caution": metric.caution}


@dataclass(frozen=True)
class Opened:
    """What is measured."""

    sources: list[Images]
    """Completed images, originals and, where they are files, masks."""
    part: str
    """`37 of 100 originals`, where the others have no result."""


def opened(
    given: Mapping[str, Named],
    mask_threshold: int | None = None,
    invert_masks: bool = False,
    order: Path | None = None,
    options: Mapping[str, str] = OPTIONS,
) -> Opened:
    """Completed images, originals and masks, file by file; BenchError says which option pairs names that differ.

    `options`: how the pattern of each is said. A folder whose files are said to be called `{name}` may hold others:
    these are left out, aloud. So are originals without a result, and originals in folders are taken by the names of
    their files. `order`: see `bench.ordered`.
    """
    from bench import matching, ordered
    from bench.metrics.images import Images
    from bench.progress import say

    given = dict(given)
    place, pattern = given["truth"]
    if pattern is None and _nested(place):
        given["truth"] = place, f"{matching.BELOW}{matching.PLAIN}"
        say(f"{place} holds folders: originals are taken by the names of their files")
    for what, (folder, pattern) in given.items():
        for other in list(given)[: list(given).index(what)]:
            place, called = given[other]
            if (folder.resolve(), pattern or matching.PLAIN) == (place.resolve(), called or matching.PLAIN):
                how = " ".join((options[other].format('"{name}"'), options[what].format(f'"{{name}}_{ENDS[what]}"')))
                raise BenchError(
                    f"{other} and {what} are one folder, {folder}: name two; if it holds both, say how each is called, "
                    f"for example {how}"
                )

    def names(what: str) -> list[str]:
        """The names that a folder holds; none where it cannot be read."""
        folder, pattern = given[what]
        try:
            return list(matching.listed(folder, pattern or matching.PLAIN)[0]) if folder.is_dir() else []
        except BenchError:
            return []

    def advice(what: str, wanted: list[str]) -> str:
        """Which pattern finds `what` by these names; "" where it was said already."""
        folder, said = given[what]
        others = matching.patterns(folder, wanted) if wanted else []
        if not wanted or said in others:
            return ""
        # an original without a result is no other file, unless something else of each image lies beside the originals
        plain = said is None and (what != "truth" or bool(others))
        return matching.advice(folder, options[what], wanted, several=what == "completed", plain=plain)

    def unpaired() -> list[str]:
        """The names of originals that are no results' names, where they are half of all: others lie beside them."""
        theirs, ours = names("truth"), set(names("completed"))
        rest = [name for name in theirs if name not in ours]
        return rest if 2 * len(rest) >= len(theirs) else theirs

    def both() -> str:
        """Which two patterns pair completed images and originals that each have something at their names."""
        found = matching.cores(names("truth"))
        if not found:
            return ""
        beside = " " + options["truth"].format(f'"{found[1]}"')
        return matching.advice(given["completed"][0], options["completed"], found[0], beside, several=True)

    originals, results = names("truth"), names("completed")
    numbered, total = ordered.named(results, order, originals) if order and results else ({}, len(originals))
    results = list(numbered.values()) or results
    known = set(results)
    there = [name for name in originals if name in known]
    partial = len(there) < total
    done: list[Images] = []
    for what, (folder, pattern) in given.items():
        masks, chosen = what == "masks", pattern == matching.PLAIN
        if done:
            ids = done[0].ids
        elif numbered:
            ids = results
        else:
            ids = (there or originals or None) if chosen else None
        fewer = bool(done) and (partial or bool(order)) and set(ids or ()) == set(there)  # results than originals
        fewer = fewer and (not masks or set(names("masks")) <= set(originals))
        try:
            source = Images(
                folder,
                what,
                masks=masks,
                ids=ids,
                exact=not (chosen or fewer),
                threshold=mask_threshold,
                inverted=invert_masks,
                match=pattern or matching.PLAIN,
                called=None if done else numbered,
            )
        except BenchError as error:
            if masks:
                found = advice("masks", ids or []) or (advice("completed", unpaired()) if partial else "")
            else:
                found = advice("completed", unpaired()) or advice("truth", names("completed")) or both()
            raise BenchError(f"{error}{found}") from error
        done.append(source)
        if chosen and (others := len(names(what)) - len(source.files)):
            say(f"left out of {folder}: {others:,} files of other names")
    _check_kinds(done[0], done[1])
    part = f"{len(there):,} of {total:,} originals" if partial and given["truth"][1] != matching.PLAIN else ""
    if part:
        say(f"{part} have a result: the others are not measured")
    return Opened(done, part)


def _nested(place: Path) -> bool:
    """Whether a folder holds folders, and no picture beside them."""
    from bench import pictures

    if not place.is_dir():
        return False
    visible = [path for path in place.iterdir() if not path.name.startswith(".")]
    return any(path.is_dir() for path in visible) and not any(
        path.suffix.lower() in pictures.SUFFIXES and not path.is_dir() for path in visible
    )


def _check_kinds(images: Images, originals: Images) -> None:
    """BenchError where most completed images are masks or label maps and the originals are not, or the reverse."""
    from bench import pictures
    from bench.data import folder

    step = -(-len(images.files) // LOOKED)
    count = len(images.files[::step])

    def odd(source: Images) -> dict[str, str]:
        with source.about():
            looked = source.files[::step]
            kinds = {str(file): folder.annotation(pictures.decode(pictures.read(file), file)) for file in looked}
        return {file: kind for file, kind in kinds.items() if kind}

    found = {source: odd(source) for source in (images, originals)}
    most = [source for source, kinds in found.items() if len(kinds) > count / 2]
    for source in most if len(most) == 1 else ():
        with source.about():
            raise BenchError(f"{source.name}: {folder.no_pictures(found[source], count, NAMED[source.name])}")


def rich_table(rows: list[dict[str, Any]], remark: str = "") -> Table:
    """The rows that `described` makes, for people; `remark` stands in each note."""
    table = Table("metric", "value", "95 % interval", "n", "images", "network", "note", box=None, pad_edge=False)
    for row in rows:
        value = "-" if row["value"] is None else f"{row['value']:.4f}"
        interval = "-" if row["low"] is None else f"{row['low']:.4f} to {row['high']:.4f}"
        note = "not computed" if row["note"].startswith(ABSENT) else row["note"]  # the reason stands below the table
        note = "; ".join(filter(None, (note, remark)))
        cells = [row["metric"], value, interval, str(row["n"]), row["images"], row["extractor"] or "-", note]
        table.add_row(*map(escape, cells))
    return table
