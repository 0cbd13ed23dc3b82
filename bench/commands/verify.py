"""`facebench verify`: are networks those of their authors, and the numbers of a run those of its pictures?"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.commands import Moved, out, values
from bench.device import cores
from bench.errors import BenchError
from bench.seed import LARGEST

app = typer.Typer(no_args_is_help=True, help="Checks that networks and results are what they should be.")


@app.command()
def run(
    run: Annotated[Path, typer.Argument(help="A suite's folder, for example runs/quickstart.")],
    share: Annotated[float, typer.Option(min=0, max=1, help="Part of the scores to check, drawn at random.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST, help="Another seed, another part.")] = 0,
    data: Moved = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Score a random part of a run again from its stored pictures, and compare every value with its tables.

    On the machine that scored them the bits must be the same; on another one numbers may differ by 1e-6. Exit code 1
    where something differs.
    """
    import torch

    from bench import verification
    from bench.device import checked
    from bench.progress import track
    from bench.stored import Run

    place = checked(device)
    if place == "cpu":
        torch.set_num_threads(1)  # as in a run
    found = Run.open(run, data or [])
    made = found.prepared()
    scored = [cell for cell in found.cells if (made.job_folder(cell.score) / "result.json").exists()]
    if not scored:
        raise BenchError(f"{run} has no finished scores: run the suite again")
    tables = verification.tables(found)
    chosen = verification.sample(scored, share, seed)
    wrong: dict[str, list[str]] = {}
    others: dict[str, None] = {}
    values = 0
    with track("verify", len(chosen)) as step:
        for cell in chosen:
            try:
                apart = verification.elsewhere(made, cell, place)
                measured = verification.again(made, cell, place)
                close = verification.CLOSE if apart else 0
                lines = list(verification.differences(found, cell, measured, *tables, close))
                values += len(measured.rows) + len(measured.per_image)
                others |= dict.fromkeys(apart)
            except BenchError as error:
                lines = [str(error)]
            if lines:
                wrong[cell.label] = lines
            step(1)
    for label, lines in wrong.items():
        out.print(label, highlight=False, markup=False, soft_wrap=True)
        for line in lines:
            out.print(f"    {line}", highlight=False, markup=False, soft_wrap=True)
    rule = f"within {verification.CLOSE:g}: scored elsewhere ({'; '.join(others)})" if others else "bit for bit"
    text = f"{len(chosen) - len(wrong)} of {len(chosen)} scores are right ({len(scored)} in all, {values:,} values "
    out.print(f"{text}compared {rule})", highlight=False, markup=False, soft_wrap=True)
    if wrong:
        raise typer.Exit(1)


@app.command("golden")
def golden_files(
    folder: Annotated[Path, typer.Argument(help="Folder of golden files (*.npz).")],
    keys: Annotated[Path, typer.Option(help="Folder of the official key lists (*.keys.csv).")],
    only: Annotated[
        str | None, typer.Option(help="Only these methods, for example aot,grig.", autocompletion=values.methods)
    ] = None,
    implemented: Annotated[bool, typer.Option(help="Leave out networks that this product does not have.")] = False,
) -> None:
    """Run our networks on golden files: outputs of the authors' networks under a filling rule, no weights needed.

    One line a file: deviation in standard deviations of the output, parameters and multiply-accumulates against
    what the file records. Exit code 1 if any fails or is not implemented.
    """
    from bench import golden, registry

    paths = list(golden.files(folder, only.split(",") if only else None))
    if implemented:
        known = registry.golden()
        paths = [path for path in paths if path.stem in known]
    failed = 0
    for result in _checked(paths, keys):
        failed += not result.passed
        out.print(golden.line(result), highlight=False, markup=False, soft_wrap=True)
    out.print(f"{len(paths) - failed} of {len(paths)} golden files pass", highlight=False)
    if failed:
        raise typer.Exit(1)


def _checked(paths: list[Path], keys: Path) -> Iterator[Any]:
    """The results in order. Several files side by side, each on one core: a single product in float64 fills it."""
    workers = max(1, min(len(paths), cores()))
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(partial(_check, keys=keys), paths)


def _check(path: Path, keys: Path) -> Any:
    import torch

    from bench import golden, registry

    torch.set_num_threads(1)
    return golden.check(path, keys, registry.golden())
