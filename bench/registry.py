"""The registry of methods: found through entry points, listed without importing torch.

An entry point of the group `facebench.methods` names a module or a package. Every module there that assigns
a `Card(...)`, at its top level or in a class, is a method. A card is made of literals only, so that it can be read from
the source without running it: `facebench list` stays fast however many methods there are.

A faulty file of somebody else takes no other method with it: it is named in one line, and left out.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from pydantic import TypeAdapter, ValidationError

from bench import behaviour
from bench.card import Card
from bench.errors import BenchError
from bench.progress import say
from bench.store import digest

if TYPE_CHECKING:
    from bench.golden import Golden
    from bench.method import Method

GROUP = "facebench.methods"
OURS = ("methods", "baselines")
HOW = "a card is `CARD = Card(slug=..., name=..., ...)` of literals, at the top of the file or in the class"


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
            with nullcontext() if self.module in sys.modules else isolated(0):
                module = importlib.import_module(self.module)
        except (Exception, SystemExit) as error:  # another's module may do anything
            raise BenchError(
                f"{self.path} cannot be imported: {type(error).__name__}: {error}; "
                f"`python -c 'import {self.module}'` shows where"
            ) from error
        for value in vars(module).values():
            card = getattr(value, "card", None)
            if isinstance(value, type) and issubclass(value, Method) and card and card.slug == self.card.slug:
                self._check_options(value)
                return value
        raise BenchError(f"{self.path}: no Method class has the card {self.card.slug!r}; set `card = ...` in the class")

    def _check_options(self, method: type[Method]) -> None:
        """Raise BenchError where the options of a method are no `bench.method.Config`."""
        from bench.method import Config

        if not (isinstance(method.Config, type) and issubclass(method.Config, Config)):
            raise BenchError(f"{self.path}: {method.__name__}.Config must be a subclass of bench.method.Config")
        presets: object = method.presets
        if not (isinstance(presets, Mapping) and all(isinstance(one, Config) for one in presets.values())):
            expected = f'{{"paper": {method.Config.__name__}(), ...}}'
            raise BenchError(f"{self.path}: {method.__name__}.presets must be options by name: {expected}")

    def fingerprint(self) -> str:
        """Hash of what the method's source does: part of the identity of every job that runs it."""
        return digest(self.source())

    def source(self) -> dict[str, str]:
        """What the method's modules do, each as a hash: see `bench.behaviour`."""
        return behaviour.source(self.module, self.path)


@cache
def entries() -> dict[str, Entry]:
    """All registered methods by slug, in the order of task, year and name; what is faulty is told, once."""
    found: dict[str, Entry] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.value not in OURS):
        for entry in _scan(point):
            other = found.setdefault(entry.card.slug, entry)
            if other.module != entry.module:
                _left_out(f"{entry.path}: {entry.card.slug!r} is the method of {other.path}: choose another slug")
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


def _left_out(text: object) -> None:
    say(f"warning: left out: {text}")


def _scan(point: EntryPoint) -> Iterator[Entry]:
    """The methods of an entry point. Nothing of it is run, nor the packages around it."""
    files = list(_files(point.value.partition(":")[0]))
    found = [one for module, path in files for one in _cards(module, path)]
    if not found:
        why = f"there is no card in {files[0][1]}: {HOW}" if files else "there is no such module: install it again"
        found = [f"entry point {point.name} = {point.value}: {why}"]
    for one in found:
        if isinstance(one, Entry):
            yield one
        else:
            _left_out(one)


def _files(module: str) -> Iterator[tuple[str, Path]]:
    """A module's file, or those of a package and of the packages in it, with their names."""
    top, *inner = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec and spec.submodule_search_locations is None and not inner:
        yield module, Path(str(spec.origin))
        return
    for folder in (spec and spec.submodule_search_locations) or ():
        place = Path(folder).joinpath(*inner)
        file = place.with_suffix(".py")
        if inner and file.is_file() and not (place / "__init__.py").is_file():
            yield module, file
            continue
        for path in sorted(place.glob("*.py")):
            yield module if path.stem == "__init__" else f"{module}.{path.stem}", path
        for path in sorted(place.glob("*/__init__.py")):
            yield f"{module}.{path.parent.name}", path


def _cards(module: str, path: Path) -> Iterator[Entry | str]:
    """The methods in a file, and what is wrong with others there."""
    try:
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source if "Card(" in source else "", filename=str(path))
    except (OSError, SyntaxError, ValueError) as error:  # ValueError: not UTF-8, or a null byte
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        yield f"{path}{line}: {type(error).__name__}: {getattr(error, 'msg', error)}"
        return
    blocks: list[ast.Module | ast.ClassDef] = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]
    assigned = [node.value for block in blocks for node in block.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    for call in filter(_is_card, ast.walk(tree)):
        try:
            if call not in assigned:
                raise ValueError("this one stands elsewhere")
            named = {str(keyword.arg): _literal(keyword.value) for keyword in call.keywords}
            card = Card(*map(_literal, call.args), **named)
            wrong = _wrong(card)
            yield f"{path}:{call.lineno}: {wrong}" if wrong else Entry(card, module, path)
        except (ValueError, TypeError) as error:
            yield f"{path}:{call.lineno}: {HOW}; {error}"


def _wrong(card: Card) -> str:
    """What is wrong with the first field of a card that does not hold what it should; empty where none is."""
    try:
        _checker().validate_python(card)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        return f"{key}: {problem['msg']}, and it is {problem['input']!r}"
    for key in ("needs", "takes", "learns"):
        for guide in getattr(card, key):
            if guide not in _guides():
                close = difflib.get_close_matches(guide, _guides(), n=1)
                hint = f"did you mean {close[0]}?" if close else f"it is one of {', '.join(_guides())}"
                return f"{key}: there is no guide {guide!r}: {hint}"
    return ""


@cache
def _checker() -> TypeAdapter[Card]:
    return TypeAdapter(Card)


@cache
def _guides() -> list[str]:
    """The names of `bench.data.guides`, by its files alone: to import them takes torch."""
    files = (Path(__file__).parent / "data/guides").glob("*.py")
    return sorted(path.stem for path in files if re.search("^GUIDE\\b", path.read_text(encoding="utf-8"), re.M))


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ValueError(f"`{ast.unparse(node)}` is none") from None


def _is_card(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and "Card" in (getattr(node.func, "id", ""), getattr(node.func, "attr", ""))


def golden() -> dict[str, tuple[str, Golden]]:
    """Golden file name -> (method, how to run it), over all methods that can be imported."""
    found = {}
    for slug, entry in entries().items():
        try:
            loaded = entry.load()
        except BenchError as error:
            _left_out(error)
            continue
        for name, how in loaded.golden.items():
            found[name] = slug, how
    return found
