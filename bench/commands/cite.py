"""`facebench cite` and `facebench export hub`: a run for papers, and for model cards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands import out
from bench.reporters import reporter

RESULTS = "A suite's folder, such as runs/quickstart, or a pack."


def cite(
    run: Annotated[Path, typer.Argument(help=RESULTS)],
    path: Annotated[Path | None, typer.Option("--out", help="File to write (.bib). Default: print it.")] = None,
) -> None:
    """BibTeX of all methods, data sets, metrics and this protocol, and the sentence that a paper needs."""
    from bench.pack.opened import results
    from bench.store import write_text
    from bench.target import check

    if path:
        check(path, {".bib": b"% All methods were measured with face-inpaint-bench"})
    with results(run) as folder:
        text = reporter("cite")(folder)
    if path:
        write_text(path, text)
        out.print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)
    else:
        typer.echo(text, nl=False)


def hub(
    run: Annotated[Path, typer.Argument(help=RESULTS)],
    benchmark: Annotated[str, typer.Option(help="The data set on the Hub that stands for it: ORGANISATION/NAME.")],
    to: Annotated[Path, typer.Option("--to", help="Folder to write.")] = Path("hub"),
    methods: Annotated[
        list[str] | None, typer.Option(help="Only this row, by its printed name; again for more. Default: all.")
    ] = None,
    source: Annotated[str, typer.Option(help="Address where the results lie.")] = "",
) -> None:
    """Write results for Hugging Face model cards: DIR/ROW/.eval_results/SUITE.yaml, for the method's own repository.

    One task a data set x condition x metric; DIR/eval.yaml lists them for the benchmark's data set. Nothing is sent.
    """
    from bench.pack.opened import results

    with results(run) as folder:
        made, endless = reporter("hub")(folder, to, benchmark, source, methods or [])
    for line in (*(f"left out: {one}" for one in endless), *(f"wrote {file}" for file in made)):
        out.print(line, highlight=False, markup=False, soft_wrap=True)
