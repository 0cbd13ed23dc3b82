"""The registered reports: the harness finds their functions through entry points, and never imports them."""

from __future__ import annotations

from typing import Any

from bench.errors import BenchError

GROUP = "facebench.reports"


def reporter(name: str) -> Any:
    """The function that is registered under this name. Raises BenchError where the installation has none."""
    from importlib.metadata import entry_points  # slow to import: the command starts without it

    for point in entry_points(group=GROUP, name=name):
        return point.load()
    raise BenchError(f"this installation is older than its source and lacks {name!r}: install the package again")
