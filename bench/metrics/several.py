"""Several completions of each image: means over them, scores of the first ones as a set, and how much they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from bench import metrics as registry
from bench.metrics import extractors
from bench.metrics.images import Source
from bench.metrics.measurement import Measurement, empty, measure, summarise

ONE = "n/a: one completion an image"


def measure_several(
    completions: Sequence[Source],
    truth: Source | None,
    masks: Source | None,
    metrics: Sequence[str],
    *,
    ids: Sequence[str],
    reference: Mapping[str, Source],
    device: str | torch.device = "cpu",
    cache: Path | None = None,
) -> Measurement:
    """As `bench.metrics.measure`, of one or several completions of each image; what lies between them stands last.

    The value of an image is the mean over its completions that have one; of a metric between completions, the mean
    over every two. Scores of sets are those of the first completions. Sources are read again: they may be callables.
    """
    look = partial(measure, ids=ids, device=device, cache=cache, keep=True)
    wanted = [registry.get(name) for name in dict.fromkeys(metrics)]
    alone = [metric.name for metric in wanted if not metric.between]
    single = [name for name in alone if registry.get(name).kind != "set"]
    parts: list[Measurement] = []
    if alone:
        first = look(completions[0], truth, masks, alone, reference=reference)
        others = [look(one, truth, masks, single) for one in completions[1:]] if single else []
        for name in [row["metric"] for row in first.rows]:
            parts.append(_mean([first, *others] if name in single else [first], name, name, device))
            if name not in single:
                _tell(parts[-1].rows[0], len(completions))
    between = [metric for metric in wanted if metric.between]
    pairs = combinations(completions, 2) if between else ()
    measured = [look(one, other, None, [str(metric.between) for metric in between]) for one, other in pairs]
    for metric in between:
        none = Measurement([empty(metric, len(ids), metric.extractor, ONE)])
        parts.append(_mean(measured, str(metric.between), metric.name, device) if measured else none)
    frames = [part.per_image for part in parts if len(part.per_image)]
    rows = [row for part in parts for row in part.rows]
    return Measurement(rows, pd.concat(frames, ignore_index=True)) if frames else Measurement(rows)


def _mean(several: Sequence[Measurement], name: str, called: str, device: str | torch.device) -> Measurement:
    """A metric alone, the mean over measurements of the same images, by the name that it is called."""
    row, values = several[0].row(name) | {"metric": called}, several[0].images(name).assign(metric=called)
    if len(several) > 1 and len(values):
        values["value"] = pd.concat([one.images(name)["value"] for one in several], axis=1).mean(axis=1)
        network = registry.get(name).extractor
        summarise(row, values["value"].to_numpy(), extractors.load(network, device).note if network else "")
    return Measurement([row], values)


def _tell(row: dict[str, Any], completions: int) -> None:
    """Say of a score of sets that it is that of the first completions."""
    if completions > 1 and row["value"] is not None:
        row["note"] = "; ".join(filter(None, (row["note"], f"first of {completions} completions")))
