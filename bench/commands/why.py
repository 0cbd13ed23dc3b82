"""`facebench why`: what differs between jobs that would run and those that are finished."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands import out
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.jobs import Plan
    from bench.why import Known


def why(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A suite's folder, for example runs/quickstart.")],
    job: Annotated[str | None, typer.Argument(help="Only this job: its id, or a part of its label.")] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="Where images are now, if they moved: DIR or NAME=DIR.")
    ] = None,
) -> None:
    """Tell for each job of a run that would run again which part of its identity differs from the nearest finished one.

    `facebench run SUITE --plan` says the same of a suite file that was changed.
    """
    from bench import jobs
    from bench.stored import Run
    from bench.why import finished

    run = Run.open(run_folder, data or [])
    made = jobs.plan(run.suite, run.folder.parent)
    chosen = [one for one in made.jobs if job is None or job == one.id or job in one.label]
    if not chosen:
        raise BenchError(f"{run_folder} has no job {job!r}: see `facebench run SUITE --plan`")
    done = [one for one in chosen if made.done(one)]
    out.print(f"{len(done)} of {len(chosen)} jobs are done", highlight=False)
    made.jobs = chosen
    show(made, finished(made.root))


def show(made: Plan, known: Known, again: bool = False, scores: bool = True) -> None:
    """A line for each job that is not done; with `again` only for what was done before, and with or without `scores`,
    which take no time."""
    from bench.why import reasons

    for job, before, differs in reasons(made, known):
        same = before is not None and before.label == job.label
        if (again and not same) or (job.kind == "score" and not scores):
            continue
        if before is None:
            text = "never done here"
        else:
            what = "again" if same else f"the nearest is `{before.label}`"
            text = f"{what}: {'; '.join(map(str, differs)) or made.missing(job)} [{before.id}]"
        out.print(f"{job.label}: {text}", highlight=False, markup=False, soft_wrap=True)
