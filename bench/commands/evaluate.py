"""`facebench evaluate`: measure a folder of completed images against the originals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from bench.commands import out
from bench.errors import BenchError

WITHOUT_WEIGHTS = "psnr,ssim,l1,perceptual@embedded,identity@embedded,fid@embedded,kid@embedded"

BATCH = 32, 512  # images at a time up to this side in pixels; so many pixels of larger ones
ABSENT = "not computed: "  # starts the note of a metric whose network is not here


def evaluate(
    completed: Annotated[Path, typer.Argument(help="Folder of completed images.")],
    truth: Annotated[Path, typer.Argument(help="Folder of the originals, under the same names.")],
    masks: Annotated[Path | None, typer.Option(help="Folder of masks, under the same names; white = hole.")] = None,
    metrics: Annotated[
        str, typer.Option(help="Names, as in `facebench list --metrics`. The default needs no official weights.")
    ] = WITHOUT_WEIGHTS,
    path: Annotated[Path | None, typer.Option("--out", help="CSV file to write.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Measure the images as they are, also outside the hole.")] = False,
    reference: Annotated[
        Path | None, typer.Option(help="Another set of real images, for metrics such as fid/reference.")
    ] = None,
    mask_threshold: Annotated[
        int | None, typer.Option(min=0, max=254, help="For masks with grey values: what is above it, of 255, is hole.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Images at a time. Default: 32, of large pictures fewer.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps the features of the originals.")] = None,
) -> None:
    """Measure completed images against their originals, with intervals.

    Files are matched by name. With masks, known pixels are taken from the originals first, as papers report it.
    """
    import pandas as pd

    from bench import metrics as library
    from bench.device import checked
    from bench.metrics.images import Images, composites
    from bench.progress import many
    from bench.store import write_text

    names = [name.strip() for name in metrics.split(",") if name.strip()]
    if not names:
        raise BenchError("--metrics names no metric; see `facebench list --metrics`")
    if masks and metrics == WITHOUT_WEIGHTS:
        names.append("l1@hole")
    images = Images(completed, "completed")
    ids, count = images.ids or [], batch or _fitting(images.files[0])
    paste = bool(masks) and not raw
    with many() as report:
        result = library.measure(
            composites(completed, truth, masks, count, mask_threshold) if masks and paste else completed,
            truth,
            masks,
            names,
            reference=reference,
            ids=ids if paste else None,  # folders must agree; `composites` sees to it where it stands in between
            device=checked(device),
            cache=cache,
            batch=count,
            mask_threshold=mask_threshold,
            progress=lambda done: report("evaluate", done, len(ids)),
        )
    rows = [_described(row, "composite" if paste else "as given") for row in result.rows]
    out.print(_rich(rows))
    for reason in dict.fromkeys(row["note"] for row in rows if row["note"].startswith(ABSENT)):
        names = [row["metric"] for row in rows if row["note"] == reason]
        text = f"not computed ({', '.join(names)}): {reason.removeprefix(ABSENT)}"
        out.print(text, highlight=False, markup=False, soft_wrap=True)
    if path:
        write_text(path, pd.DataFrame(rows).to_csv(index=False))
        out.print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)
    if all(row["value"] is None for row in rows):
        raise typer.Exit(1)


def _fitting(file: Path) -> int:
    """How many pictures like this one are measured at a time, so that memory does not grow with their size."""
    from bench import pictures

    width, height = pictures.decode(pictures.read(file), file).size
    count, side = BATCH
    return max(1, min(count, count * side**2 // (width * height)))


def _described(row: dict[str, Any], images: str) -> dict[str, Any]:
    """A row of the table: the network behind a number stands beside it."""
    from bench import metrics

    title = metrics.get(row["metric"]).title
    return {"metric": row["metric"], "title": title, **row, "images": images}


def _rich(rows: list[dict[str, Any]]) -> Table:
    table = Table("metric", "value", "95 % interval", "n", "images", "network", "note", box=None, pad_edge=False)
    for row in rows:
        value = "-" if row["value"] is None else f"{row['value']:.4f}"
        interval = "-" if row["low"] is None else f"{row['low']:.4f} to {row['high']:.4f}"
        note = "not computed" if row["note"].startswith(ABSENT) else row["note"]  # the reason stands below the table
        cells = [row["metric"], value, interval, str(row["n"]), row["images"], row["extractor"] or "-", note]
        table.add_row(*map(escape, cells))
    return table
