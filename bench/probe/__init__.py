"""What each metric notices: known faults of graded strength in holes of faces, and how every metric answers.

    from bench.probe.run import probe
    findings = probe(faces)  # (N, 3, H, W) uint8
    print(findings.markdown())

Importing this module imports no torch.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

KNOWN = Path(__file__).with_name("blind.json")  # written by `facebench metrics probe DIR --out bench/probe/blind.json`
PAGE = "docs/metrics-probe.md"


@cache
def warnings() -> dict[str, str]:
    """What a probe of real faces found that a metric does not notice: metric -> warning. Nothing is measured here."""
    known = json.loads(KNOWN.read_text("utf-8"))
    where = f"in holes of {known['faces']} aligned real faces at {known['size']} px ({PAGE})"
    return {name: f"hardly notices {', '.join(faults)} {where}" for name, faults in known["blind"].items()}
