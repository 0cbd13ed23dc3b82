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
PROTOCOL = {  # column -> rows that agree on these must agree on it; older results lack such columns
    "facebench": [],
    "size": [],
    "suite_version": ["suite"],
    "data_fingerprint": ["dataset"],
    "images_fingerprint": ["dataset"],
    "masks_fingerprint": ["dataset", "condition"],
    "metric_version": ["metric"],
    "extractor": ["metric"],
}
ORIGIN = [*(column for column in PROTOCOL if column != "extractor"), "torch", "commit", "device", "precision", "deterministic"]
LONGEST = 2000  # characters of a name or note
MOST = 1_000_000  # rows that may come out of a file of a twentieth of their bytes
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


def load(run: Path, mix: bool = False) -> Results:
    """Read `run`. Raises BenchError that names the file if one is missing, damaged or empty.

    Rows that were measured by different protocols are refused too, unless `mix`: then the protocol says what differs.
    """
    path = run / "results.parquet"
    rows = tidy(_read(path, COLUMNS), str(path))
    protocol = _protocol(run / "protocol.json")
    if mixed := differences(rows):
        if not mix:
            raise BenchError(
                f"{path} holds rows of different protocols, whose numbers must not be compared: {'; '.join(mixed)}. "
                "Run the suite again, or make the report with --mix, which says so below every table"
            )
        protocol = protocol | {"mixed": mixed}
    return Results(
        rows=rows,
        per_image=_numbers(_optional(run / "per_image.parquet", PER_IMAGE), ["value"], run / "per_image.parquet"),
        losses=_labelled(_numbers(_optional(run / "losses.parquet", LOSSES), ["step", "value"], run / "losses.parquet")),
        costs=_numbers(_optional(run / "costs.parquet", COSTS), ["params", "macs"], run / "costs.parquet"),
        protocol=protocol,
        samples=run / "samples",
    )


def differences(rows: pd.DataFrame) -> list[str]:
    """What rows of one table do not agree on although they must: one line for each fact of the protocol."""
    lines = []
    measured = rows[rows["value"].notna()]
    for column, alike in PROTOCOL.items():
        if column not in measured:
            continue
        found = measured.drop_duplicates([*alike, column])
        for names, group in found.groupby(alike, sort=False) if alike else [((), found)]:
            if len(group) > 1:
                values = " and ".join(str(value)[:40] for value in group[column].iloc[:3])
                where = f" of {', '.join(map(str, names))}" if alike else ""
                lines.append(f"{column.replace('_', ' ')}{where} is {values}")
                break
    return lines


def tidy(rows: pd.DataFrame, source: str = "the result rows") -> pd.DataFrame:
    """Check result rows and add `label`, the method's printed name (with its preset where a name has several).

    Raises BenchError for missing columns, no rows, values that are no numbers, names that are too long or that are
    paths, and cells that occur twice.
    """
    missing = [column for column in COLUMNS if column not in rows.columns]
    if missing:
        raise BenchError(f"{source} lacks the columns {', '.join(missing)}; {AGAIN}")
    if rows.empty:
        raise BenchError(f"{source} has no rows: no job has finished yet; {AGAIN}")
    rows = rows[COLUMNS + [column for column in ORIGIN if column in rows.columns]].reset_index(drop=True)
    texts = [*TEXT, *(column for column in ORIGIN if column in rows.columns)]
    for column in texts:
        rows[column] = rows[column].astype(object).where(rows[column].notna(), "").astype(str)
        if (longest := rows[column].str.len().max()) > LONGEST:
            raise BenchError(f"{source} has a {column} of {longest:,} characters, which is no name; {AGAIN}")
    if (paths := rows[rows["dataset"].str.contains(r"^\.|[/\\\0]")]["dataset"]).size:
        raise BenchError(f"{source}: the name of the data set {markup.line(paths.iloc[0])!r} is a path; {AGAIN}")
    rows = _numbers(rows, [*NUMBERS, "n", "seed"], Path(source))
    rows["higher_is_better"] = rows["higher_is_better"].astype(str).isin(["True", "1", "1.0"])
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
