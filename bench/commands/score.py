"""`facebench score`: measure pictures that were completed before. Nothing is completed or trained."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands import RUN, Moved, evaluate, out, values
from bench.errors import BenchError
from bench.terminal import Terminal

if TYPE_CHECKING:
    from bench.jobs import Job, Plan


def score(
    run: Annotated[Path, typer.Argument(help=RUN)],
    metrics: Annotated[
        str | None,
        typer.Option(
            help="These, too, in the table of a run; of a single completion these. `facebench list --metrics`",
            autocompletion=values.metrics,
        ),
    ] = None,
    data: Moved = None,
    path: Annotated[Path | None, typer.Option("--out", help="CSV file to write, for a single completion.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[int | None, typer.Option(min=0, help="Jobs that run side by side; as of `run`.")] = None,
) -> None:
    """Score what a run has completed, with its metrics and others; its tables and its report are written anew.

    The folder of one completion, runs/jobs/complete-..., may come from somebody else: it is scored without its method,
    with the very same images. Exit code 1 where something has no pictures, or could not be scored as you asked.
    """
    from bench import metrics as library
    from bench import stored
    from bench.device import checked

    place = checked(device)
    names = [name.strip() for name in (metrics or "").split(",") if name.strip()]
    for name in names:
        library.get(name)  # a wrong one is the option's, not the suite's
    if stored.is_handed(run):
        _completion(run, names or [*evaluate.WITHOUT_WEIGHTS.split(","), "l1@hole"], data or [], path, place)
        return
    if path:
        raise BenchError("--out is for the folder of a single completion: a run's own tables are written anew")
    _run(run, names, data or [], device, workers)


def _completion(folder: Path, names: list[str], data: list[str], path: Path | None, device: str) -> None:
    """Score one completion, and print its numbers."""
    import pandas as pd
    import torch

    from bench import metrics, stored
    from bench.score import score as scored
    from bench.store import write_text
    from bench.target import CSV, check

    if path:
        check(path, CSV)
    if against := [name for name in names if metrics.get(name).reference or metrics.get(name).towards]:
        raise BenchError(f"--metrics: {against[0]} compares with other images, and {folder} is without its run")
    if device == "cpu":
        torch.set_num_threads(1)  # as in a run
    with tempfile.TemporaryDirectory() as cache:
        archive, task = stored.handed(folder, data, Path(cache))
        measured = scored(folder, task, names, device)
    images = "as given" if archive.whole else "composite"
    rows = [evaluate.described(row, images) for row in measured.rows]
    facts = archive.manifest
    out.print(f"{facts['title']} on {facts['dataset']}, {facts['condition']}", highlight=False, markup=False)
    out.print(evaluate.rich_table(rows))
    evaluate.tell(rows)
    if path:
        write_text(path, pd.DataFrame(rows).to_csv(index=False))
        out.print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)
    if any(row["note"].startswith(evaluate.ABSENT) for row in rows):
        raise typer.Exit(1)


def _run(folder: Path, names: list[str], data: list[str], device: str, workers: int | None) -> None:
    """Score what a run has completed, and collect its tables again."""
    from bench import jobs, results, runner, stored
    from bench.archive import FILE
    from bench.progress import many
    from bench.store import hold

    found = stored.Run.open(folder, data, names)
    with many() as report:
        made = jobs.plan(found.suite, found.folder.parent, report)

    def ready(job: Job) -> bool:
        completion = made.completion(job)
        return made.done(completion) and (made.job_folder(completion.id) / FILE).exists()

    able = {job.id for job in made.scores if ready(job)}
    outcome = runner.run(
        replace(made, jobs=[job for job in made.jobs if made.done(job) or job.id in able]),
        runner.Options(device, workers),
    )
    absent = [job for job in made.scores if not made.done(job)]
    before = {cell.completion: cell.score for cell in found.cells}
    table = replace(made, jobs=[_kept(made, job, before) for job in made.jobs])
    lacking = False
    if done := [job for job in table.scores if table.done(job)]:
        rows = results.rows(table, done)
        lacking = rows["note"][rows["metric"].isin(names)].str.startswith(evaluate.ABSENT).any()
        with hold(made.folder / ".lock", wait=True):
            results.collect(table)
            page = results.report(table)
        shown = [name for name in names if name in set(rows["metric"])]
        if shown or not names:
            out.print(results.main_table(table, shown or None))
        out.print(f"report: {page}", highlight=False, markup=False, soft_wrap=True)
    if absent:
        console = Terminal(stderr=True, soft_wrap=True)
        console.print(f"[bold red]{len(absent)} of {len(made.scores)} could not be scored[/]", highlight=False)
        for job in absent:
            completed = made.job_folder(made.completion(job).id) / "result.json"
            gone = "its pictures are not kept" if completed.exists() else made.missing(job)
            reason = outcome.failed.get(job.id) or gone
            console.print(f"  {job.label}: {reason}", highlight=False, markup=False)
    if absent or lacking:
        raise typer.Exit(1)


def _kept(made: Plan, job: Job, before: dict[str, str]) -> Job:
    """The job, or, where its pictures are gone, the one that scored them before: the table keeps its numbers."""
    from bench.jobs import BESIDE
    from bench.store import read_json

    if job.kind != "score" or made.done(job) or job.needs[0] not in before:
        return job
    completed = made.job_folder(job.needs[0]) / "result.json"
    described = made.job_folder(before[job.needs[0]]) / "job.json"
    if not (completed.exists() and described.exists()):
        return job
    return replace(job, identity={k: v for k, v in read_json(described).items() if k not in BESIDE})
