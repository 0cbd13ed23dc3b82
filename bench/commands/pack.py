"""`facebench pack` and `facebench verify pack`: results in one file that others can check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands import Moved, out
from bench.errors import BenchError


def pack(
    run: Annotated[Path, typer.Argument(help="A suite's folder; or a pack, to withdraw values of it.")],
    path: Annotated[Path | None, typer.Option("--out", help="File to write. Default: SUITE.pack.zip.")] = None,
    share: Annotated[
        float, typer.Option(min=0, max=1, help="Of the test images whose pictures go with it, drawn at random: 0.05.")
    ] = 1.0,
    system: Annotated[
        Path | None, typer.Option(help="YAML file of NAME: TEXT that describes the system: method, people, machine.")
    ] = None,
    withdraw: Annotated[
        list[str] | None,
        typer.Option(help="Of a pack: take back values, 'ROW', 'ROW | CONDITION' or 'ROW | CONDITION | METRIC'."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; it stays in the pack.")] = "",
) -> None:
    """Write results, per-image values, protocol, environment, hashes and pictures of a run to one file.

    It holds no originals: of pictures only what is inside the holes. `facebench verify pack` checks it.
    """
    from bench import pack as packs
    from bench.pack.manifest import FILE
    from bench.store import file_digest
    from bench.target import check
    from bench.yamlfile import read_yaml

    if run.is_file() != bool(withdraw):
        raise BenchError(
            f"{run} is a pack already: say what to --withdraw, and the --reason"
            if run.is_file()
            else "--withdraw is for packs: give the file of one"
        )
    target = path or Path(run.name if run.is_file() else f"{run.resolve().name}.pack.zip")
    check(target, {".zip": FILE.encode()})
    if withdraw:
        said = packs.withdraw(run, target, withdraw, reason)
    else:
        described = read_yaml(system) if system else {}
        if not isinstance(described, dict):
            raise BenchError(f"{system}: write lines of NAME: TEXT")
        said = packs.pack(run, target, share, described)
    kept = sum(one.kept for one in said.pictures)
    text = f"wrote {target}: {len(said.files)} files, {kept:,} pictures, {target.stat().st_size / 1e6:.1f} MB"
    out.print(text, highlight=False, markup=False, soft_wrap=True)
    for line in said.without_pictures:
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    out.print(f"SHA-256 {file_digest(target)}", highlight=False)


def verify(
    pack: Annotated[Path, typer.Argument(help="The file.")],
    data: Moved = None,
    score: Annotated[
        bool, typer.Option("--score", help="Score the stored pictures again also where all images are drawn.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Check a pack of other people: whole, consistent, and closed (the suite's protocol, untouched) or open.

    With --data (or --score) its pictures are scored again; without, it is "hashes only". Nothing in it is executed, and
    nothing is written. Exit code 1 where something is wrong.
    """
    import torch

    from bench import pack as packs
    from bench.device import checked
    from bench.progress import many

    place = checked(device)
    if place == "cpu":
        torch.set_num_threads(1)  # as in a run
    with many() as progress:
        found = packs.check(
            pack,
            (data or []) if data or score else None,
            place,
            lambda done, count: progress("verify", done, count),
        )
    lines = [*found.findings, *found.remarks]
    lines.append(f"{found.division}: {'; '.join(found.differs) or f'the protocol of {found.suite}, untouched'}")
    if found.scored:
        lines.append(f"{found.scored} cells scored again, {found.values:,} values compared")
    verdict = f"{len(found.findings)} findings" if found.findings else "sound"
    for line in [*lines, f"{pack}: {verdict} (pack {found.identity[:16]})"]:
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    if found.findings:
        raise typer.Exit(1)
