"""The registry of methods: found through entry points, listed without importing torch.

An entry point of the group `facebench.methods` names a module or a package. Every module there that assigns
a `Card(...)` at its top level is a method. A card is made of literals only, so that it can be read from the
source without running it: `facebench list` stays fast however many methods there are.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from bench import behaviour
from bench.card import Card
from bench.errors import BenchError
from bench.store import digest

if TYPE_CHECKING:
    from bench.golden import Golden
    from bench.method import Method

GROUP = "facebench.methods"


@dataclass(frozen=True)
class Entry:
    """A registered method: its card and the module that holds it."""

    card: Card
    module: str
    path: Path

    def load(self) -> type[Method]:
        """Import the module and return its Method class. What else the import does to the process is put back."""
        from bench.isolation import isolated
        from bench.method import Method

        try:
            with isolated(0):
                module = importlib.import_module(self.module)
        except (Exception, SystemExit) as error:  # another's module may do anything
            raise BenchError(
                f"{self.path} cannot be imported: {type(error).__name__}: {error}; "
                f"`python -c 'import {self.module}'` shows where"
            ) from error
        for value in vars(module).values():
            card = getattr(value, "card", None)
            if isinstance(value, type) and issubclass(value, Method) and card and card.slug == self.card.slug:
                return value
        raise BenchError(f"{self.path}: no Method class has the card {self.card.slug!r}; set `card = ...` in the class")

    def fingerprint(self) -> str:
        """Hash of what the method's source does: part of the identity of every job that runs it."""
        return digest(self.source())

    def source(self) -> dict[str, str]:
        """What the method's modules do, each as a hash: see `bench.behaviour`."""
        return behaviour.source(self.module, self.path)


@cache
def entries() -> dict[str, Entry]:
    """All registered methods by slug, in the order of task, year and name."""
    found: dict[str, Entry] = {}
    for point in entry_points(group=GROUP):
        for entry in _scan(point.value):
            other = found.setdefault(entry.card.slug, entry)
            if other.module != entry.module:
                raise BenchError(f"the method {entry.card.slug!r} is registered by {other.path} and by {entry.path}")
    order = sorted(found.values(), key=lambda e: (e.card.task, e.card.year or 0, e.card.slug))
    return {entry.card.slug: entry for entry in order}


def get(slug: str) -> Entry:
    """The method of that name; an unknown name is an error that shows the closest ones."""
    known = entries()
    if slug not in known:
        close = difflib.get_close_matches(slug, known, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "`facebench list` shows all methods"
        raise BenchError(f"unknown method {slug!r}: {hint}")
    return known[slug]


def _scan(target: str) -> Iterator[Entry]:
    """The methods of an entry point. Nothing of it is run, nor the packages around it."""
    module = target.partition(":")[0]
    top, *inner = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec and spec.submodule_search_locations is None and not inner:
        yield from _cards(module, Path(str(spec.origin)))
        return
    known = False
    for folder in (spec and spec.submodule_search_locations) or ():
        place = Path(folder).joinpath(*inner)
        file = place.with_suffix(".py")
        known = known or place.is_dir() or file.is_file()
        if inner and file.is_file() and not (place / "__init__.py").is_file():
            yield from _cards(module, file)
            continue
        for path in sorted(place.glob("*.py")):
            yield from _cards(module if path.stem == "__init__" else f"{module}.{path.stem}", path)
        for path in sorted(place.glob("*/__init__.py")):
            yield from _cards(f"{module}.{path.parent.name}", path)
    if not known:
        raise BenchError(f"entry point {GROUP}: cannot find the module {target!r}")


def _cards(module: str, path: Path) -> Iterator[Entry]:
    source = path.read_text(encoding="utf-8")
    if "Card(" not in source:
        return
    for node in ast.parse(source, filename=str(path)).body:
        call = node.value if isinstance(node, ast.Assign) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Card":
            try:
                card = Card(**{str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords})
            except (ValueError, TypeError) as error:
                raise BenchError(f"{path}:{call.lineno}: a card is made of literals only: {error}") from error
            yield Entry(card, module, path)


def golden() -> dict[str, tuple[str, Golden]]:
    """Golden file name -> (method, how to run it), over all methods."""
    found = {}
    for slug, entry in entries().items():
        for name, how in entry.load().golden.items():
            found[name] = slug, how
    return found
