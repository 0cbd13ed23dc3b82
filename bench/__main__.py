"""`python -m bench` is `facebench`."""

from __future__ import annotations

from bench.cli import main

main()
