"""`facebench weights`: what pretrained files are here, and how to get those that are not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bench.commands import out, values
from bench.errors import BenchError

app = typer.Typer(no_args_is_help=True, help="Pretrained weights: what is here, fetch, add, convert.")

Name = Annotated[
    str, typer.Argument(help="Name of a file, as in `facebench weights list`.", autocompletion=values.weights)
]


@app.command("list")
def list_files(
    here: Annotated[bool, typer.Option("--here", help="Only the files that are on this machine.")] = False,
    suite: Annotated[
        str | None,
        typer.Option("--for", metavar="SUITE", help="Only those that this suite needs and this machine lacks."),
    ] = None,
) -> None:
    """List the pretrained files that methods and metrics can use, with size and licence."""
    from bench import weights

    names = set(weights.INDEX)
    if suite is not None:
        from bench import lacking, reference

        if here:
            raise BenchError("--here lists what is on this machine, --for what is not: give one of them")
        needed = lacking.needed(reference.parsed(suite))
        names = {name for name in needed if not weights.here(weights.INDEX[name])}
        if not names:
            out.print(f"this machine has every file that {suite} needs", highlight=False, markup=False)
            return
    table = Table("name", "here", "size", "licence", "used by", "get it with", box=None, pad_edge=False)
    for name, file in weights.INDEX.items():
        found = weights.here(file)
        if name in names and (found or not here):
            ways = ["by hand" if file.by_hand else "fetch", *([f"extra {file.package.extra}"] if file.package else [])]
            place = "no" if not found else "yes" if found.parent == weights.folder() else "installed"
            table.add_row(name, place, file.size or "-", file.licence, file.used_by, "" if found else " or ".join(ways))
    out.print(table)
    out.print(f"folder: {weights.folder()} (FACEBENCH_WEIGHTS chooses another)", highlight=False, markup=False)
    out.print("installed: a package has it, of an extra of this project", highlight=False, markup=False)
    out.print("`facebench weights fetch NAME` says where a file lies that comes by hand", highlight=False, markup=False)


@app.command("fetch")
def fetch(name: Name) -> None:
    """Download a pretrained file, check its SHA-256 and keep it. A file that is here is only checked."""
    from bench import weights

    _say(*weights.fetch(name))


@app.command("add")
def add(name: Name, file: Annotated[Path, typer.Argument(help="The file that you have.")]) -> None:
    """Check a pretrained file that you have and copy it to where methods and metrics find it."""
    from bench import weights

    _say(*weights.add(name, file))


@app.command("convert")
def convert(
    file: Annotated[Path, typer.Argument(help="An official file: .pth, .pt, .ckpt or .pkl.")],
    path: Annotated[Path, typer.Argument(help="File to write (.safetensors).")],
) -> None:
    """Write the tensors of an official file as safetensors. Nothing in the file is executed."""
    from bench import weights

    count = weights.convert(file, path)
    out.print(f"wrote {path}: {count} tensors", highlight=False, markup=False, soft_wrap=True)


def _say(path: Path, digest: str) -> None:
    out.print(f"{path}: sound, SHA-256 {digest}", highlight=False, markup=False, soft_wrap=True)
