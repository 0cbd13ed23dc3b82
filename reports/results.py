"""Reads a run's folder: result rows, per-image rows, protocol. Every message says which file is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import BenchError
from bench.store import read_json
from reports import markup

METHOD = ["method", "preset", "title"]
CELL = ["dataset", "shots", *METHOD, "condition", "metric"]
TEXT = ["suite", *CELL, "metric_title", "extractor", "note"]
NUMBERS = ["value", "low", "high"]
COLUMNS = [*TEXT, "seed", "higher_is_better", *NUMBERS, "n"]
PER_IMAGE = [*METHOD, "dataset", "shots", "seed", "condition", "id", "metric", "value"]
LOSSES = [*METHOD, "dataset", "shots", "seed", "stage", "step", "loss", "value"]
COSTS = [*METHOD, "params", "macs"]
AGAIN = "run the same command again, so that it is written anew"


@dataclass(frozen=True)
class Results:
    """What a run left: tidy result rows; per-image rows, losses and costs (None if absent); protocol and samples."""

    rows: pd.DataFrame
    per_image: pd.DataFrame | None
    losses: pd.DataFrame | None
    costs: pd.DataFrame | None
    protocol: dict[str, Any]
    samples: Path


def load(run: Path) -> Results:
    """Read `run`. Raises BenchError that names the file if one is missing, damaged or empty."""
    protocol = read_json(run / "protocol.json")
    if not isinstance(protocol, dict):
        raise BenchError(f"{run / 'protocol.json'} holds no table of facts; {AGAIN}")
    losses = _optional(run / "losses.parquet", LOSSES)
    return Results(
        rows=tidy(_read(run / "results.parquet", COLUMNS), str(run / "results.parquet")),
        per_image=_optional(run / "per_image.parquet", PER_IMAGE),
        losses=None if losses is None else losses.assign(label=_labels(losses)),
        costs=_optional(run / "costs.parquet", COSTS),
        protocol=protocol,
        samples=run / "samples",
    )


def tidy(rows: pd.DataFrame, source: str = "the result rows") -> pd.DataFrame:
    """Check result rows and add `label`, the method's printed name (with its preset where a name has several).

    Raises BenchError for missing columns, no rows, values that are no numbers, and cells that occur twice.
    """
    missing = [column for column in COLUMNS if column not in rows.columns]
    if missing:
        raise BenchError(f"{source} lacks the columns {', '.join(missing)}; {AGAIN}")
    if rows.empty:
        raise BenchError(f"{source} has no rows: no job has finished yet; {AGAIN}")
    rows = rows[COLUMNS].reset_index(drop=True)
    rows[TEXT] = rows[TEXT].astype(object).where(rows[TEXT].notna(), "").astype(str)
    try:
        rows[NUMBERS] = rows[NUMBERS].astype(float)
    except (ValueError, TypeError) as error:
        raise BenchError(f"{source} has a value that is no number ({error}); {AGAIN}") from error
    twice = rows.duplicated([*CELL, "seed"])
    if twice.any():
        first = rows[twice].iloc[0]
        raise BenchError(f"{source} has two rows for {', '.join(str(first[c]) for c in [*CELL, 'seed'])}; {AGAIN}")
    return rows.assign(label=_labels(rows))


def _labels(rows: pd.DataFrame) -> pd.Series:
    """Printed names that tell methods and presets apart."""
    title = rows["title"].where(rows["title"].str.strip() != "", rows["method"])
    shared = rows.groupby(title)["method"].transform("nunique") > 1
    label = title.where(~shared, title + " [" + rows["method"] + "]")
    several = rows.groupby(label)["preset"].transform("nunique") > 1
    return label.where(~several, label + " (" + rows["preset"] + ")")


def over_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a cell: the mean over seeds, its `spread` (standard deviation) and how many `seeds` it stands on.

    The interval of several seeds reaches from the lowest low to the highest high. A seed without a value is left out
    and the note says so.
    """
    groups = rows.assign(note=rows["note"].where(rows["note"] != "")).groupby(CELL, sort=False)
    mean = groups.agg(
        label=("label", "first"),
        metric_title=("metric_title", "first"),
        extractor=("extractor", "first"),
        higher_is_better=("higher_is_better", "first"),
        value=("value", "mean"),
        spread=("value", "std"),
        low=("low", "min"),
        high=("high", "max"),
        n=("n", "min"),
        note=("note", "first"),
        seeds=("value", "count"),
        asked=("value", "size"),
    ).reset_index()
    mean["note"] = mean["note"].fillna("")
    partial = (mean["seeds"] > 0) & (mean["seeds"] < mean["asked"])
    counts = mean["seeds"].astype(str) + " of " + mean["asked"].astype(str) + " seeds"
    mean.loc[partial, "note"] = (counts + ": " + mean["note"]).str.rstrip(": ")[partial]
    return mean


def shots_in_order(shots: Iterable[str]) -> list[str]:
    """Few shots first, "all" last."""
    return sorted(dict.fromkeys(shots), key=lambda s: (not s.isdigit(), int(s) if s.isdigit() else 0))


def shots_titles(shots: Iterable[str]) -> dict[str, str]:
    """How each number of training images is named, in order; a lone "all" needs no name."""
    known = shots_in_order(shots)
    return {number: "" if known == ["all"] else f"{number} training images" for number in known}


def _optional(path: Path, columns: list[str]) -> pd.DataFrame | None:
    return _read(path, columns) if path.exists() else None


def _read(path: Path, columns: list[str]) -> pd.DataFrame:
    if not path.is_file():
        raise BenchError(f"{path} is missing: give the folder of a run that has finished at least one evaluation")
    try:
        frame = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises many kinds for a damaged file
        raise BenchError(f"cannot read {path}: {markup.line(str(error))}; delete it and {AGAIN}") from error
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise BenchError(f"{path} lacks the columns {', '.join(missing)}; delete it and {AGAIN}")
    return frame
