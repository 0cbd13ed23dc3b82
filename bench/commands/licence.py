"""The one question about the licence of pictures, before other people see them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from bench.commands import out
from bench.errors import BenchError

Pictures = Annotated[
    bool | None,
    typer.Option(
        "--pictures/--no-pictures",
        help="Show pictures of the data sets to others: their licences must allow it. Default: ask; where nobody can "
        "answer, no.",
    ),
]
DRAWN = "synthfaces"  # by this project, under its own licence
REMEDY = "Say --pictures if the licence of the data sets allows you to show them to others"


def may_show(datasets: Iterable[str], said: bool | None, needed: bool = False) -> bool:
    """Whether others may see pictures of these data sets: what `--pictures` says, else what the user answers.

    Drawn faces need no question. Where nobody can answer there are no pictures, aloud; where they are `needed`,
    BenchError, as after a no.
    """
    theirs = [name for name in dict.fromkeys(datasets) if name != DRAWN]
    if said is None and not theirs:
        return True
    if said is None and sys.stdin.isatty():
        said = typer.confirm(_question(theirs), default=False)
    if needed and not said:
        raise BenchError(f"nothing is made: it would be worth nothing without pictures. {REMEDY}")
    if said is None:
        told = f"no pictures of {', '.join(theirs)}: nobody has said that others may see them. {REMEDY}"
        out.print(told, highlight=False, markup=False, soft_wrap=True)
    return bool(said)


def _question(datasets: Iterable[str]) -> str:
    """Names the data sets, with the licences that are known."""
    from bench.data import catalogue

    known = {name: catalogue.known(name) for name in datasets}
    named = [f"{name} ({one.licence})" if one else name for name, one in known.items()]
    return (
        f"Other people will see pictures of {', '.join(named)}, or made from them. Does the licence of the data sets "
        "allow you to show them?"
    )
