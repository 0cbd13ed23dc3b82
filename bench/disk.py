"""How much of the disk a run will fill with completed pictures."""

from __future__ import annotations

from math import prod

from bench.framing import extent
from bench.jobs import Plan

A_PIXEL = 1.7
"""Bytes of a completed pixel. Of 44 photographs at 256 px, over all buckets, Telea's fill takes 1.25 a pixel of the
hole, and one with the texture of a photograph 1.67."""


def needed(made: Plan) -> float:
    """Bytes that the pictures of all completions that are not done will take."""
    pixels = 0.0
    for job in made.jobs:
        if job.kind == "complete" and not made.done(job):
            prepared = made.data[job.row["dataset"]]
            share = float(prepared.masks[job.row["condition"]].ratios.mean()) if job.identity["paste"] else 1.0
            pixels += len(prepared.test) * share * prod(extent(made.suite.size))
    return A_PIXEL * pixels


def told(made: Plan) -> str:
    """The same in a sentence; "" where it is less than a megabyte."""
    amount = needed(made)
    if amount < 1e6:
        return ""
    size = f"{amount / 1e9:.1f} GB" if amount >= 1e9 else f"{amount / 1e6:.0f} MB"
    after = {"all": "", "samples": ", of which samples stay", "none": ", none of which stay"}[made.suite.keep]
    return f"completed pictures will take about {size} in {made.root / 'jobs'}{after}"
