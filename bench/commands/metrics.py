"""`facebench metrics`: what the metrics themselves are worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bench.commands import out
from bench.errors import BenchError

if TYPE_CHECKING:
    from torch import Tensor

    from bench.progress import Report

app = typer.Typer(no_args_is_help=True, help="Metrics: what each of them notices.")

DRAWN = "synthfaces"
SIGNS = {
    ".md": b"### Holes: ",
    ".csv": b"hole,fault,strength,metric,",
    ".json": b'"blind": ',
}  # of files that `probe` writes
PERSONS = 44  # of the drawn faces, so many as the photographs in the documentation


@app.command()
def probe(
    faces: Annotated[str, typer.Argument(metavar="DIR", help=f"Folder of faces; `{DRAWN}`: drawn ones, no folder.")],
    metrics: Annotated[
        str | None, typer.Option(help="Names, as in `facebench list --metrics`. Default: one of each kind.")
    ] = None,
    faults: Annotated[str | None, typer.Option(help="Only these faults, for example blur,jpeg.")] = None,
    size: Annotated[int, typer.Option(help="Side of the faces in pixels.")] = 256,
    paths: Annotated[
        list[Path] | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help=".md: the tables; .csv: all values; .json: what `list --metrics` warns of. Several are possible.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Say what each metric notices: known faults in holes of your faces, from weak to strong.

    Blur, JPEG, noise, a shift, a colour cast, a seam, a mirrored half, another person's face, the mean colour, Telea.
    The table says at which strength a metric first tells the fault from what is there anyway, and to what it is blind.
    """
    from bench.device import checked
    from bench.probe.faults import FAULTS
    from bench.probe.run import METRICS
    from bench.probe.run import probe as run
    from bench.progress import many
    from bench.store import write_json, write_text
    from bench.target import check

    for path in paths or []:
        check(path, SIGNS)
    chosen = _named("--metrics", metrics) if metrics is not None else METRICS
    known = {fault.name: fault for fault in FAULTS}
    asked = _named("--faults", faults) if faults is not None else list(known)
    if unknown := [name for name in asked if name not in known]:
        raise BenchError(f"--faults: {unknown[0]!r} is none of {', '.join(known)}")
    with many() as report:
        images = _read(faces, size, report)
        found = run(images, chosen, faults=[known[name] for name in asked], device=checked(device), progress=report)
    for hole in found.holes:
        table = found.table(hole)
        shown = Table(*table.columns, box=None, pad_edge=False, title=f"holes: {hole}", title_justify="left")
        for line in table.to_numpy().tolist():
            shown.add_row(*(escape(cell) for cell in line))
        out.print(shown)
    for note in found.notes():
        out.print(note, highlight=False, markup=False, soft_wrap=True)
    for path in paths or []:
        if path.suffix.lower() == ".json":
            write_json(path, {"faces": found.n, "size": found.size, "blind": found.blind()})
        else:
            write_text(path, found.csv() if path.suffix.lower() == ".csv" else found.markdown())
        out.print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)
    if not found.names:
        raise typer.Exit(1)


def _named(option: str, given: str) -> list[str]:
    if names := [name.strip() for name in given.split(",") if name.strip()]:
        return names
    raise BenchError(f"{option} names nothing: give names with commas between them")


def _read(faces: str, size: int, report: Report) -> Tensor:
    """The faces, (N, 3, H, W) uint8; of the drawn ones, a picture of each person."""
    import tempfile

    from bench.data import dataset, synthfaces
    from bench.metrics.images import to_uint8
    from bench.probe.run import FEWEST

    if faces == DRAWN and not Path(faces).exists():
        step = synthfaces.IMAGES_PER_IDENTITY
        return to_uint8(synthfaces.render(range(0, PERSONS * step, step), size).images)
    with tempfile.TemporaryDirectory() as cache:
        found = dataset.prepare_folder(faces, size, cache, progress=report)
        if len(found) < FEWEST:
            raise BenchError(f"{faces} has {len(found)} faces: put {FEWEST} or more there, for two halves to compare")
        return found.images(range(len(found)))
