"""What guides a completion, one file a guide: where it comes from, how it is made, mirrored, masked, drawn, exported.

Every module here that assigns `GUIDE` is one; its name is the module's. It stands in conditions (`center/25+sketch`),
in cards (`needs`, `takes`), in a stage's `guides` and in `Batch.guides`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module

from torch import Tensor

from bench.data.dataset import Indices
from bench.data.guides.guide import Asked, Guide, Maker, Value
from bench.errors import BenchError


@cache
def every() -> Mapping[str, Guide]:
    """All guides by name, in the order in which they are drawn."""
    modules = (import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    guides = [module.GUIDE for module in modules if hasattr(module, "GUIDE")]
    return {guide.name: guide for guide in sorted(guides, key=lambda guide: (guide.layer, guide.name))}


def get(name: str) -> Guide:
    """The guide of that name. Raises BenchError for another name."""
    if name not in every():
        raise BenchError(f"there is no guide {name!r}: it is one of {', '.join(sorted(every()))}")
    return every()[name]


def shown() -> list[str]:
    """The guides that a condition may show."""
    return sorted(name for name, guide in every().items() if guide.shown)


def makers(names: Iterable[str], asked: Asked) -> dict[str, Maker]:
    """What makes each of these guides; it raises BenchError where the data set has none."""
    return {name: _given(get(name), asked) for name in sorted(names)}


def lacking(name: str, user: str) -> BenchError:
    """That a guide is not there, and how to give it."""
    return BenchError(f"{user} needs {name}, which guides it, and there is none: {get(name).remedy}")


def drawn(given: Mapping[str, Value], inside: Tensor) -> Tensor:
    """The picture of holes, uint8 (N, 3, H, W), with these guides in it."""
    for name, guide in every().items():
        if name in given:
            inside = guide.drawn(given[name], inside)
    return inside


def _given(guide: Guide, asked: Asked) -> Maker:
    make = guide.of(asked)

    def given(chosen: Indices) -> Value:
        value = make(chosen)
        if value is None:
            raise BenchError(
                f"{asked.user} needs {guide.name}, and the data set {asked.images.name} has none: {guide.remedy}, "
                "or synthfaces"
            )
        return value

    return given
