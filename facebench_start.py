"""Starts the command `facebench`, and its plugin for pytest, unless another package is imported in the place of ours.

It stands beside the packages, so that it also runs where `bench` itself is another one.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

PACKAGES = ("bench", "masks", "methods", "baselines", "reports")


def hidden(packages: tuple[str, ...] = PACKAGES) -> str:
    """What hides one of our packages, with both paths and the remedy; empty where nothing does."""
    home = Path(__file__).resolve().parent
    for name in packages:
        spec = importlib.util.find_spec(name)
        places: list[str] = []
        if spec:
            places = [*(spec.submodule_search_locations or ()), str(spec.origin)]
        if places and Path(places[0]).resolve() != home / name:
            return (
                f"{places[0]} hides {home / name}: both are `{name}` to Python, which takes the first on its path. "
                f"Take {Path(places[0]).parent} out of PYTHONPATH, start in another folder, or rename yours"
            )
    return ""


def main() -> None:
    """The entry point of the command."""
    if message := hidden():
        sys.stderr.write(f"error: {message}\n")
        sys.exit(2)
    from bench.cli import main

    main()


def __getattr__(name: str) -> ModuleType:
    """The plugin for pytest. It stays away, aloud, where `bench` is another package: tests there are of that one."""
    if name != "pytest_plugin":
        raise AttributeError(name)
    if message := hidden(("bench",)):
        warnings.warn(f"facebench's plugin for pytest stays away: {message}", stacklevel=2)
        return ModuleType(name)
    return importlib.import_module("bench.pytest_plugin")
