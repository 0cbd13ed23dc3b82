"""Commands of `facebench` that have more than a few options, one group a file; `bench.cli` collects them."""

from __future__ import annotations

import sys

from bench.terminal import Terminal

out = Terminal(width=None if sys.stdout.isatty() else 160)
