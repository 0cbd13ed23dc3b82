"""Measure known faults of graded strength in holes of faces with every metric."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from bench import metrics as registry
from bench.errors import BenchError
from bench.metrics.images import composite
from bench.metrics.measurement import Measurement, measure
from bench.probe.faults import FAULTS, INVISIBLE, NONE, Case, Fault
from bench.probe.findings import Findings
from masks import MaskSet

HOLES = ("center/25", "irregular/20-30")  # a fixed one, and one of another shape for each image; of about one area
FEWEST = 10  # faces: two halves of five
METRICS = (
    "psnr", "psnr@hole", "ssim", "ssim@hole", "l1@hole", "seam", "seam@sobel", "niqe",
    "lpips@alex", "lpips@vgg", "perceptual@embedded", "perceptual@lite0", "dists",
    "identity@embedded", "identity@dlib", "identity@arcface", "nme@embedded", "detection@dlib", "emotion@embedded",
    "fid", "kid", "u-ids-cv", "fid@embedded", "kid@embedded", "u-ids-cv@embedded", "precision@embedded",
    "recall@embedded", "density@embedded", "coverage@embedded", "fid@lite0", "kid@lite0", "u-ids-cv@lite0",
    "precision@lite0", "recall@lite0", "density@lite0", "coverage@lite0", "cmmd", "fd@dinov2-pil224",
)  # fmt: skip
"""What is probed unless others are asked for: of pixel metrics one of each kind, and nothing that runs MTCNN, which
takes longer than all others together."""


def probe(
    faces: Tensor,
    metrics: Sequence[str] = METRICS,
    *,
    faults: Sequence[Fault] = FAULTS,
    device: str | torch.device = "cpu",
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Findings:
    """Spoil faces (N, 3, H, W) uint8 in their holes, and measure every fault at every strength.

    Equal input gives equal findings: `seed` draws the holes, the noise and the two halves. The face that stands for
    another person's is half of the faces further on, so pictures of one person may stand side by side. Scores of sets
    are taken of each half alone and averaged, so that they, and what lies between the halves, have one n; of an odd
    number of faces one is left out.
    `progress` is called with (title, done, total). Raises BenchError for fewer than `FEWEST` faces, and for metrics
    that are unknown, or that compare with more than the original.
    """
    if len(faces) < FEWEST:
        raise BenchError(f"the probe needs {FEWEST} faces or more, for two halves to compare, and got {len(faces)}")
    wanted = _checked(metrics)
    half = len(faces) // 2
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(faces)))
    faces, others = faces[order], faces.roll(half, dims=0)[order]
    parts = first, second = slice(half), slice(half, 2 * half)
    sets = [name for name in wanted if registry.get(name).kind == "set"]
    cells = [(hole, fault, s) for hole in HOLES for fault in (NONE, INVISIBLE, *faults) for s in fault.strengths]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as cache:
        measured = partial(measure, device=device, cache=cache)
        between = measured(faces[first], faces[second], None, sets).rows if sets else []
        drawn = {hole: _holes(hole, faces, seed) for hole in HOLES}
        for done, (hole, fault, strength) in enumerate(cells):
            if progress:
                progress("probe", done, len(cells))
            masks = drawn[hole]
            spoilt = torch.stack(list(_spoilt(faces, others, masks, fault, strength, seed)))
            both = [measured(spoilt[part], faces[part], masks[part], wanted) for part in parts]
            where = {"hole": hole, "fault": fault.name, "strength": strength}
            rows += [where | row for row in _joined(*both)]
    if progress:
        progress("probe", len(cells), len(cells))
    floors = {row["metric"]: row["value"] for row in between}
    return Findings(pd.DataFrame(rows), floors, tuple(faults), 2 * half, faces.shape[-1])


def _joined(one: Measurement, two: Measurement) -> Iterator[dict[str, Any]]:
    """What two halves gave: of single images the mean over all that have a value, of sets the mean of both scores."""
    for row in one.rows:
        name, other = row["metric"], two.row(row["metric"])
        if registry.get(name).kind == "set":
            values = pd.Series([row["value"], other["value"]], dtype=float)
        else:
            values = pd.concat([part.images(name)["value"] for part in (one, two)])
        yield {"metric": name, "value": values.mean(), "note": row["note"] or other["note"]}


def _checked(metrics: Sequence[str]) -> list[str]:
    for metric in map(registry.get, metrics):
        if metric.raw or metric.between or metric.reference:
            raise BenchError(
                f"{metric.name} cannot be probed: it needs more than a completion, its original and its hole"
            )
    return list(dict.fromkeys(metrics))


def _holes(condition: str, faces: Tensor, seed: int) -> Tensor:
    """(N, 1, H, W) bool."""
    drawn = MaskSet.make(condition, faces.shape[-1], len(faces), seed)
    return torch.from_numpy(np.stack(list(drawn)))[:, None].bool()


def _spoilt(faces: Tensor, others: Tensor, masks: Tensor, fault: Fault, strength: int, seed: int) -> Iterator[Tensor]:
    """The faces with the fault in their holes, known pixels as they were: (3, H, W) uint8 each."""
    for i, (face, other, mask) in enumerate(zip(faces, others, masks, strict=True)):
        image, another = (picture.permute(1, 2, 0).contiguous().numpy() for picture in (face, other))
        case = Case(image, mask[0].numpy(), another, np.random.default_rng([seed, i]))
        made = torch.from_numpy(np.ascontiguousarray(fault(case, strength))).permute(2, 0, 1)
        yield composite(made[None], face[None], mask[None])[0]
