"""`facebench jobs`: what lies in the folder of all runs, and how to make room."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bench.commands import out, values
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.inventory import Kept

app = typer.Typer(no_args_is_help=True, help="Jobs in a folder of runs: list them, make room.")

Root = Annotated[Path, typer.Option("--out", help="Folder of all runs.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DAY = 86400


@app.command("list")
def list_jobs(
    root: Root = Path("runs"),
    suite: Annotated[str | None, typer.Option(help="Only jobs that this suite names.")] = None,
    state: Annotated[str | None, typer.Option(help="Only these: done, failed, stopped or running.")] = None,
) -> None:
    """List the jobs, the oldest first: state, age, size, and the suites that name them or what stands on them."""
    from bench import inventory

    found = inventory.kept(root)
    for option, value, known in (
        ("--suite", suite, sorted({name for job in found for name in job.suites})),
        ("--state", state, inventory.STATES),
    ):
        if value is not None and value not in known:
            raise BenchError(f"{option}: {value!r} is none of {', '.join(known) or '-'}")
    _show([job for job in found if (suite is None or suite in job.suites) and state in (None, job.state)])


@app.command()
def remove(
    ids: Annotated[
        list[str],
        typer.Argument(metavar="JOB...", help="Their ids, or the beginnings of these.", autocompletion=values.jobs),
    ],
    root: Root = Path("runs"),
    yes: Yes = False,
) -> None:
    """Delete jobs. A suite that names one does it again when it is run; tables that are written stay."""
    from bench import inventory

    _remove(inventory.chosen(inventory.kept(root), ids), yes)


@app.command()
def clean(root: Root = Path("runs"), yes: Yes = False) -> None:
    """Delete the jobs that no suite in the folder names: of options and sources of before, of suites that are gone."""
    from bench import inventory

    unnamed = [job for job in inventory.kept(root) if not job.suites and job.state != "running"]
    if unnamed:
        _remove(unnamed, yes)
    else:
        out.print("a suite names every job: there is nothing to delete")


@app.command()
def disk(root: Root = Path("runs")) -> None:
    """Say what takes how much of the disk. The cache may be deleted at any time: it is made again."""
    from bench import inventory

    unnamed = sum(job.size for job in inventory.kept(root) if not job.suites)
    table = Table("what", "size", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for what, amount in inventory.space(root).items():
        table.add_row(escape(what), _bytes(amount))
    out.print(table)
    out.print(f"named by no suite: {_bytes(unnamed)} of the jobs (`facebench jobs clean`)", highlight=False)
    out.print(f"free on this disk: {_bytes(shutil.disk_usage(root).free)}", highlight=False)


def _show(jobs: Sequence[Kept]) -> None:
    table = Table("job", "what it does", "state", "age", "size", "suites", box=None, pad_edge=False)
    table.columns[4].justify = "right"
    for job in jobs:
        suites = ", ".join(job.suites) or "-"
        table.add_row(job.id, escape(job.label), job.state, _age(job.changed), _bytes(job.size), escape(suites))
    out.print(table)
    out.print(f"{len(jobs)} jobs, {_bytes(sum(job.size for job in jobs))}", highlight=False)


def _remove(jobs: Sequence[Kept], yes: bool) -> None:
    from bench import inventory

    _show(jobs)
    if not yes:
        typer.confirm("delete them?", abort=True)
    for job in jobs:
        inventory.remove(job)
    out.print(f"deleted {len(jobs)} jobs, {_bytes(sum(job.size for job in jobs))}", highlight=False)


def _age(changed: float) -> str:
    from bench.progress import duration

    seconds = max(0.0, time.time() - changed)
    return duration(seconds) if seconds < DAY else f"{seconds / DAY:.0f} days"


def _bytes(amount: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if amount >= size:
            return f"{amount / size:.1f} {unit}"
    return f"{amount} B"
