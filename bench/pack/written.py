"""Writes the pack of a run, and packs in which values are withdrawn."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

import bench
from bench import archive, registry
from bench import condition as conditions
from bench.complete import MASKS
from bench.errors import BenchError
from bench.pack import manifest
from bench.pack.manifest import Manifest, Pictures, Withdrawn
from bench.pack.opened import unpacked
from bench.reporters import reporter
from bench.store import RUN, atomic_write, digest, read_json, write_json, write_table
from masks import MaskSet

SHOWS_ORIGINALS = {"source", "exemplar", "layout"}  # guides that are whole pictures of the data set
WITHDRAWN = "withdrawn: "  # begins the note of a value that was taken back
SPLIT = " | "  # between row, condition and metric of what is withdrawn


def pack(run: Path, path: Path, share: float = 1.0, system: Mapping[str, Any] | None = None) -> Manifest:
    """Write the pack of a run's folder. `share`: of the test images, drawn at random, whose pictures go with it.

    `system`: a description, texts and numbers by name; what is known of the environment stands beside it. No original
    is packed: of pictures only what lies inside the holes, and none of rows that saw whole pictures of the data set or
    kept known pixels. Folders of this machine are called by their last part. Raises BenchError for a folder without
    results, and for a description that is none.
    """
    found = reporter("load")(run)  # whole and sound
    with tempfile.TemporaryDirectory(prefix="facebench-pack-") as place:
        folder = Path(place)
        for name in manifest.TABLES:
            if (run / name).exists():
                shutil.copyfile(run / name, folder / name)
        write_json(folder / manifest.PROTOCOL, _without_folders(read_json(run / manifest.PROTOCOL)))
        pictures = list(_pictures(run, folder, share, found))
        suite = found.protocol.get("suite")
        said = Manifest(
            format=manifest.FORMAT,
            suite=str(suite.get("suite", run.name)) if isinstance(suite, dict) else run.name,
            facebench=bench.__version__,
            system=_described(found.protocol.get("environment"), system or {}),
            share=share,
            pictures=pictures,
            files={},
        )
        return _sealed(folder, said, path)


def withdraw(source: Path, path: Path, what: Sequence[str], reason: str) -> Manifest:
    """Write a pack in which values are withdrawn: their rows stay, without values, and say why for good.

    `what`: titles of rows, ROW | CONDITION, or ROW | CONDITION | METRIC; a title may hold the separator itself.
    Pictures of cells without any value go, too. Raises BenchError for what is not there, and without a reason.
    """
    if not reason.strip():
        raise BenchError("--withdraw takes back values for good: say why with --reason TEXT")
    with unpacked(source) as (folder, said):
        tables = {name: pd.read_parquet(folder / name) for name in manifest.TABLES[:2]}
        for text in what:
            named = pd.Series(_named(tables["results.parquet"], text))
            chosen = {name: (table[named.index].astype(str) == named).all(axis=1) for name, table in tables.items()}
            rows, single = tables["results.parquet"], tables["per_image.parquet"]
            rows.loc[chosen["results.parquet"], ["value", "low", "high"]] = float("nan")
            rows.loc[chosen["results.parquet"], "note"] = f"{WITHDRAWN}{reason.strip()}"
            tables["per_image.parquet"] = single[~chosen["per_image.parquet"]].reset_index(drop=True)
            said.withdrawn.append(Withdrawn(what=text, reason=reason.strip()))
        for name, table in tables.items():
            write_table(folder / name, table)
        valued = tables["results.parquet"].dropna(subset="value")
        there = set(valued[["title", "dataset", "condition"]].itertuples(index=False, name=None))
        for one in said.pictures:
            if (one.row["title"], one.row["dataset"], one.row["condition"]) not in there and one.kept:
                (folder / member(one.completion)).unlink(missing_ok=True)
                one.kept, one.why = 0, f"{WITHDRAWN}{reason.strip()}"
        return _sealed(folder, said, path)


def member(completion: str) -> str:
    """Where the pictures of a completion lie in a pack."""
    return f"completions/{completion}/{archive.FILE}"


def mask_member(fingerprint: str) -> str:
    """Where masks lie in a pack."""
    return f"masks/{fingerprint[:16]}.npz"


def _named(rows: pd.DataFrame, text: str) -> dict[str, str]:
    """The columns that a text of `withdraw` names, with their values: of names that fit, the longest."""
    named: dict[str, str] = {}
    rest = text.strip()
    for column, what in (("title", "row"), ("condition", "condition"), ("metric", "metric")):
        there = list(dict.fromkeys(rows[column].astype(str)))
        fits = [name for name in there if f"{rest}{SPLIT}".startswith(f"{name}{SPLIT}")]
        if not fits:
            raise BenchError(f"--withdraw {text!r}: the pack has no {what} {rest!r}: it has {', '.join(there)}")
        named[column] = max(fits, key=len)
        rows = rows[rows[column] == named[column]]
        rest = rest[len(named[column] + SPLIT) :]
        if not rest:
            return named
    raise BenchError(f"--withdraw {text!r}: {rest!r} is too much: write ROW | CONDITION | METRIC")


def _pictures(run: Path, folder: Path, share: float, found: Any) -> Any:
    """Copy what may be shown of each cell, and tell what."""
    known = read_json(run / RUN) if (run / RUN).exists() else {"cells": []}
    drawn = digest(found.rows["value"].astype(str).tolist())  # results decide, so nobody chooses
    for cell in known["cells"]:
        row, completion = cell["row"], cell["completion"]
        source = run.resolve().parent / "jobs" / completion
        if not (source / archive.FILE).exists():
            yield _not_kept(row, completion, found.protocol["data"][row["dataset"]], known["suite"]["keep"])
            continue
        stored, holes = archive.Archive.open(source / archive.FILE), MaskSet.load(source / MASKS)
        count = len(stored.ids)
        why = ""
        if stored.whole:
            why = "known pixels were kept, which may be the original's"
        elif SHOWS_ORIGINALS & {*conditions.parse(row["condition"]).guides, *registry.get(row["method"]).card.needs}:
            why = "it was shown whole pictures of the data set"
        elif not share:
            why = "left out by --share 0"
        numbers = _drawn(count, share, drawn, row) if not why else []
        if numbers:
            stored.part(numbers, folder / member(completion))
            target = folder / mask_member(holes.fingerprint)
            if not target.exists():
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(source / MASKS, target)
        yield Pictures(row=row, completion=completion, masks=holes.fingerprint, kept=len(numbers), total=count, why=why)


def _not_kept(row: Any, completion: str, data: Mapping[str, Any], keep: str) -> Pictures:
    """What is told of a cell whose pictures the run has no more. `data`: what the protocol says of its data set."""
    why = "they are gone from the folder of the run's jobs" if keep == "all" else f"the suite's `keep` is {keep}"
    masks = data["masks"][row["condition"]]
    return Pictures(row=row, completion=completion, masks=masks, kept=0, total=data["test"], why=why)


def _drawn(count: int, share: float, seed: str, row: Mapping[str, Any]) -> list[int]:
    """Which test images: the same for all rows of a data set and condition."""
    kept = max(1, round(share * count))
    draw = random.Random(f"{seed} {row['dataset']} {row['condition']}")
    return sorted(draw.sample(range(count), kept))


def _described(environment: Any, system: Mapping[str, Any]) -> dict[str, Any]:
    known = {str(k): v for k, v in environment.items()} if isinstance(environment, dict) else {}
    if wrong := [name for name, value in system.items() if type(value) not in (str, int, float)]:
        raise BenchError(f"--system: {wrong[0]} is no text or number: write one level of NAME: TEXT")
    return {k: v for k, v in known.items() if type(v) in (str, int, float)} | {str(k): v for k, v in system.items()}


def _without_folders(value: Any) -> Any:
    """Paths of this machine by their last part: they are nobody's business."""
    if isinstance(value, dict):
        return {key: _without_folders(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_folders(one) for one in value]
    return Path(value).name if isinstance(value, str) and value.startswith("/") else value


def _sealed(folder: Path, said: Manifest, path: Path) -> Manifest:
    """Write the pack of a folder: equal content gives equal bytes."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != manifest.FILE)
    names: dict[str, Path] = {file.relative_to(folder).as_posix(): file for file in files}
    used = {member(one.completion) for one in said.pictures if one.kept}
    used |= {mask_member(one.masks) for one in said.pictures if one.kept}
    names = {name: file for name, file in names.items() if "/" not in name or name in used}
    sealed = said.model_copy(update={"files": {name: digest(file.read_bytes()) for name, file in names.items()}})
    put: Callable[[zipfile.ZipFile, str, bytes], None] = archive.put
    with atomic_write(path) as handle, zipfile.ZipFile(handle, "w", zipfile.ZIP_STORED) as packed:
        put(packed, manifest.FILE, json.dumps(sealed.model_dump(), sort_keys=True, indent=1).encode())
        for name, file in names.items():
            put(packed, name, file.read_bytes())
    return sealed
