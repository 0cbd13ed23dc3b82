"""`facebench suite`: the suites that ship, what one says in full, and what suites can say."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bench.commands import out, values

app = typer.Typer(no_args_is_help=True, help="Suites: list them, show one in full, a schema for editors.")


@app.command("list")
def list_suites() -> None:
    """List the suites that ship, and the data sets that you give to each."""
    from bench import suite

    table = Table("suite", "title", "your copies of", box=None, pad_edge=False)
    for name in suite.shipped():
        content = suite.content(name)
        data = [entry["name"] for entry in content["data"] if entry["name"] != "synthfaces"]
        table.add_row(name, escape(content["title"]), ", ".join(data) if content["data"] else "any images")
    out.print(table)
    out.print("`facebench run SUITE --data NAME=DIR` says where a copy is, once for each; of any images: --data DIR")


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(help="A suite that ships, or a YAML file.", autocompletion=values.suites, metavar="SUITE")
    ],
) -> None:
    """Print a suite with all its defaults, as a YAML file to start your own from."""
    from bench import reference

    sys.stdout.write(reference.filled(name))


@app.command()
def schema() -> None:
    """Print the JSON schema of suite files, with which editors complete and check them."""
    from bench import reference

    sys.stdout.write(json.dumps(reference.schema(), indent=2, ensure_ascii=False) + "\n")
