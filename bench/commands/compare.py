"""`facebench compare`: two runs, or two folders of pictures, image by image."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.commands import Moved, evaluate, is_frozen, out, values
from bench.errors import BenchError
from bench.reporters import reporter

if TYPE_CHECKING:
    from bench.metrics.images import Images

Find = Callable[[int, Any, str], Any]  # as `reports.comparison` has it


def compare(
    a: Annotated[Path, typer.Argument(help="A run (runs/quickstart), a pack, or a folder of pictures (with --truth).")],
    b: Annotated[Path, typer.Argument(help="Another one: of the same test images and masks.")],
    pair: Annotated[
        list[str] | None,
        typer.Option(help='Rows by title, "ROW OF A=ROW OF B"; again for more. Default: rows that both have.'),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Default: the main ones of A.", autocompletion=values.metrics)
    ] = None,
    to: Annotated[Path, typer.Option("--out", help="Folder to write.")] = Path("comparison"),
    data: Moved = None,
    truth: Annotated[Path | None, typer.Option(help="The originals, where A and B are folders of pictures.")] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Their masks: a folder (white = hole) or a frozen set (.npz).")
    ] = None,
    device: Annotated[str, typer.Option(help="Where pictures are measured: auto, cpu or cuda.")] = "auto",
) -> None:
    """Compare two runs image by image: difference, interval, corrected p, and the images that changed most.

    Only columns that mean the same are paired: images, masks, metric, versions; what differs is named. To set the rows
    of two runs beside each other in tables, say `facebench report A B`.
    """
    names = [name.strip() for name in (metrics or "").split(",") if name.strip()]
    if truth is None and masks is not None:
        raise BenchError("--masks is for folders of pictures: say --truth DIR, too; a run has its masks itself")
    with _opened((a, b), truth, masks, names, device, data or []) as (runs, find):
        made = reporter("compare")(*runs, pair or [], names, called=(str(a), str(b)))
        page, not_shown = made.write(to, find)
    out.print(made.table)
    for line in filter(None, (not_shown, f"comparison: {page}")):
        out.print(line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _opened(
    folders: Sequence[Path], truth: Path | None, masks: Path | None, names: list[str], device: str, data: list[str]
) -> Iterator[tuple[list[Path], Find]]:
    """Two folders of results, and what finds their pictures."""
    if truth is None:
        with ExitStack() as stack:
            found = [_found(folder, data, stack) for folder in folders]
            yield (
                [folder for folder, _ in found],
                lambda side, of, image: found[side][1](of.label, of.dataset, of.shots, of.condition, image),
            )
        return
    with tempfile.TemporaryDirectory() as place:
        runs = [Path(place, str(i)) for i in range(len(folders))]
        sources = [_sources(folder, truth, masks) for folder in folders]
        ids = _shared(folders, [images.ids or [] for images, *_ in sources])
        readers = [
            _measured([one.only(ids) for one in of], truth, masks, names, device, run)
            for of, run in zip(sources, runs, strict=True)
        ]
        yield runs, lambda side, _, image: readers[side](image)


def _found(place: Path, data: list[str], stack: ExitStack) -> tuple[Path, Callable[..., Any]]:
    """The tables of a run or a pack, and what finds its pictures."""
    from bench.find import Finder
    from bench.pack import pictures, unpacked

    if not place.is_file():
        return place, Finder(place, data)
    folder, said = stack.enter_context(unpacked(place))
    return folder, pictures.Finder(folder, said, data)


def _sources(folder: Path, truth: Path, masks: Path | None) -> list[Images]:
    """A folder of pictures, its originals and, where they are files, its masks."""
    given: dict[str, evaluate.Named] = {"completed": (folder, None), "truth": (truth, None)}
    if masks and not is_frozen(masks, {}):
        given["masks"] = (masks, None)
    return evaluate.opened(given).sources


def _shared(folders: Sequence[Path], names: Sequence[list[str]]) -> list[str]:
    """The images that both folders have; a line says what one of them lacks."""
    a, b = names
    both = {*a} & {*b}
    if not both:
        raise BenchError(f"{folders[0]} has {a[0]}, {folders[1]} has {b[0]}, and no name is in both: name them alike")
    absent = [[name for name in others if name not in both] for others in (b, a)]
    lacks = [f"{folder} lacks {len(of):,}, such as {of[0]}" for folder, of in zip(folders, absent, strict=True) if of]
    if lacks:
        text = f"compared over the {len(both):,} images that both have: {'; '.join(lacks)}"
        out.print(text, highlight=False, markup=False, soft_wrap=True)
    return [name for name in a if name in both]


def _measured(
    sources: Sequence[Images], truth: Path, masks: Path | None, names: list[str], device: str, run: Path
) -> Callable[[str], dict[str, Any]]:
    """Measure pictures, and write them as a run of one row; returns what reads a picture by its name."""
    import pandas as pd

    from bench import metrics as library
    from bench.device import checked
    from bench.find import decoded
    from bench.metrics.images import frozen
    from bench.metrics.likeness import Likeness
    from bench.store import digest, write_json, write_table

    names = names or [*evaluate.WITHOUT_WEIGHTS.split(","), *["l1@hole"] * bool(masks)]
    images, originals, *rest = sources
    holes = frozen(masks, images) if masks and not rest else next(iter(rest), None)
    ids, batch = images.ids or [], evaluate.fitting(images.files[0])
    pasted = Likeness().watch(images, originals, holes, batch, str(masks), paste=True) if holes else images
    result = library.measure(pasted, originals, holes, names, ids=ids, device=checked(device), batch=batch)
    row = {"suite": "pictures", "title": "pictures", "method": "external", "preset": "as given", "seed": 0}
    row |= {"dataset": truth.name, "shots": "all", "condition": masks.stem if masks else "as given"}
    row |= {"images_fingerprint": digest(ids)[:16]}
    made = []
    for found in result.rows:
        metric = library.get(found["metric"])
        titles = {"metric_title": metric.title, "higher_is_better": metric.higher_is_better}
        meaning = [ids, metric.name, metric.version, found["extractor"]]
        made.append(row | found | titles | {"extractor": found["extractor"] or "", "protocol": digest(meaning)[:12]})
    table = pd.DataFrame(made).astype(dict.fromkeys(("value", "low", "high"), float))
    write_table(run / "results.parquet", table)
    write_table(run / "per_image.parquet", result.per_image.assign(**row))
    write_json(run / "protocol.json", {})
    files = {
        name: dict(zip(of.ids or [], of.files, strict=True))
        for name, of in (("completed", images), ("original", originals))
    }

    def read(image: str) -> dict[str, Any]:
        return {name: decoded(of[image]) for name, of in files.items() if image in of}

    return read
