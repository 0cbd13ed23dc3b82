"""Named sets of metrics: one word of a suite for what the papers of a task print."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bench import metrics
from bench.errors import BenchError


@dataclass(frozen=True)
class MetricSet:
    """Metrics that a suite names by one word."""

    title: str
    members: tuple[str, ...]


SETS = {
    "blind-restoration": MetricSet(
        "what papers on blind face restoration print, of whole pictures of 8 bits in RGB, without a border cut off",
        ("psnr", "ssim@wang", "lpips@vgg", "fid", "fid/ffhq", "niqe", "identity@arcface-degrees", "nme@fan"),
    ),
}


@dataclass(frozen=True)
class Chosen:
    """What names stand for: metrics, each once, and a sentence on each member of a set that is left out."""

    metrics: list[str]
    left_out: list[str]


def check(name: str) -> None:
    """BenchError, with the closest names, for what is neither a set nor a metric."""
    if name in SETS:
        return
    if close := difflib.get_close_matches(name, SETS, n=1):
        raise BenchError(f"unknown metrics {name!r}: did you mean {close[0]}?")
    metrics.get(name)


def chosen(names: Sequence[str], side: int, references: Collection[str], truth: bool) -> Chosen:
    """Put the members of a set in its place, but for those that cannot be computed and are not named themselves.

    `side`: the shorter one of the pictures, in pixels; `references`: what ``fid/NAME`` may name; `truth`: whether there
    are originals.
    """
    found, left_out = dict[str, None](), list[str]()
    for name in names:
        for member in SETS[name].members if name in SETS else (name,):
            problem = "" if member in names else _problem(metrics.get(member), side, references, truth)
            if problem:
                left_out.append(f"{name} is without {member}, which {problem}")
            else:
                found[member] = None
    return Chosen(list(found), left_out)


def _problem(metric: metrics.Metric, side: int, references: Collection[str], truth: bool) -> str:
    """What keeps it from being computed, and the remedy; nothing where it can be."""
    if side < metric.smallest_side:
        return f"needs pictures of {metric.smallest_side} pixels or more a side: raise `size`"
    if metric.reference and metric.reference not in references:
        return f"compares with the pictures of {metric.reference}: add {{name: {metric.reference}}} to `training`"
    if metric.compares and not truth:
        return "compares with originals: take degraded/given, as degraded/itself has none"
    return ""
