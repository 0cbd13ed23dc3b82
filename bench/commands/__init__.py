"""Commands of `facebench` that have more than a few options, one group a file; `bench.cli` collects them."""

from __future__ import annotations

import sys

from rich.console import Console

out = Console(width=None if sys.stdout.isatty() else 160)
