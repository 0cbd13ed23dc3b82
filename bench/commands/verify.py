"""`facebench verify run`: are the numbers of a run those of its pictures?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands import Moved, out
from bench.errors import BenchError


def run(
    run: Annotated[Path, typer.Argument(help="A suite's folder, for example runs/quickstart.")],
    share: Annotated[float, typer.Option(min=0, max=1, help="Part of the scores to check, drawn at random.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another part.")] = 0,
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
