"""`python -m bench` is `facebench`."""

from __future__ import annotations

from facebench_start import main

main()
