"""Pretrained weights: an index of published files, a folder that keeps them, and readers that execute nothing.

`index` says where each file comes from, `cache` fetches, finds and keeps files, `reading` reads every kind of official
file (`unpickle` the kinds that hold more than tensors), `lukemelas` renames what a package ships, `layouts` finds in it
what a method loads, `conversion` writes safetensors. Importing this package imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bench.weights.cache import add, checked, fetch, folder, here, load, packaged, path, tensors
from bench.weights.index import INDEX, File, Packaged

if TYPE_CHECKING:
    from bench.weights.conversion import convert
    from bench.weights.layouts import load_official, load_second
    from bench.weights.reading import read

__all__ = [
    "INDEX",
    "File",
    "Packaged",
    "add",
    "checked",
    "convert",
    "fetch",
    "folder",
    "here",
    "load",
    "load_official",
    "load_second",
    "packaged",
    "path",
    "read",
    "tensors",
]


def __getattr__(name: str) -> Any:
    module = {"convert": "conversion", "load_official": "layouts", "load_second": "layouts", "read": "reading"}.get(
        name
    )
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"bench.weights.{module}"), name)
