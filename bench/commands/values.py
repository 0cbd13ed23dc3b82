"""What the shell completes after `facebench --install-completion`: names of values. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import typer

from bench.errors import BenchError

Names = Callable[[], Iterable[str]]


def _beginning(names: Names) -> Callable[[str], list[str]]:
    """Completes one name; nothing where names cannot be had, for a shell cannot show why."""

    def complete(incomplete: str) -> list[str]:
        try:
            return [name for name in names() if name.startswith(incomplete)]
        except BenchError:
            return []

    return complete


def _several(names: Names) -> Callable[[str], list[str]]:
    """Completes the last name of a list with commas; those before it are not offered again."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in _beginning(names)(last) if name not in before.split(",")]

    return complete


def _methods() -> Iterable[str]:
    from bench import registry

    return registry.entries()


def _metrics() -> Iterable[str]:
    from bench import metrics

    return metrics.names()


def _conditions() -> Iterable[str]:
    from bench import reference

    return reference.conditions()


def _weights() -> Iterable[str]:
    from bench import weights

    return weights.INDEX


def _data() -> Iterable[str]:
    from bench.data import catalogue

    return catalogue.DATASETS


def _tables() -> Iterable[str]:
    from bench.reporters import reporter

    return [name.replace(" ", "-") for name in reporter("published_names")()]  # a space would end the word in a shell


def jobs(ctx: typer.Context, incomplete: str) -> list[str]:
    """The jobs in the folder of runs that the command names."""
    from bench import inventory

    return _beginning(lambda: [job.id for job in inventory.kept(ctx.params["root"])])(incomplete)


def suites(incomplete: str) -> Iterator[str]:
    """Suites that ship, YAML files, and folders on the way to them."""
    from bench import suite

    yield from (name for name in suite.shipped() if name.startswith(incomplete))
    folder, slash, start = incomplete.rpartition("/")
    place = Path(folder + slash)
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        inside = path.is_dir() and bool(incomplete) and not path.name.startswith(".")
        if path.name.startswith(start) and (inside or path.suffix in (".yaml", ".yml")):
            yield f"{folder}{slash}{path.name}{'/' * inside}"


method, methods = _beginning(_methods), _several(_methods)
metrics = _several(_metrics)
condition, conditions = _beginning(_conditions), _several(_conditions)
weights = _beginning(_weights)
data = _beginning(_data)
tables = _beginning(_tables)
