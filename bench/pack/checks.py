"""Checks a pack: that it is whole, that its parts agree, and, with the data, that its pictures give its numbers.

What is in a pack was made by others. No method is loaded and nothing is executed; whatever goes wrong in reading it is
told as a finding.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench import archive, identity, metrics, stored
from bench.errors import BenchError
from bench.metrics import ABSENT, intervals
from bench.metrics.measurement import Measurement
from bench.pack import division
from bench.pack.manifest import FILE, Manifest, Pictures
from bench.pack.opened import unpacked
from bench.pack.pictures import laid_out
from bench.pack.written import WITHDRAWN, mask_member, member
from bench.reporters import reporter
from bench.score import score
from bench.store import digest
from bench.suite import assigned
from bench.verification import CLOSE, apart
from masks import MaskSet

EXACT = 1e-9  # by which values of pixels may differ elsewhere: sums in float64
MOST = 1_000_000  # drawn faces that a pack may ask for
CELL = ("title", "method", "preset", "dataset", "seed", "condition")
HASHES = "hashes only: give the images with --data to score the stored pictures again"


@dataclass
class Report:
    """What was found. No findings: the pack is what it says."""

    identity: str
    """SHA-256 of its pack.json, and so of all of it."""
    suite: str
    differs: list[str]
    """What its protocol changes of the suite that ships; nothing: closed."""
    findings: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """What was not checked, and what was withdrawn."""
    scored: int = 0
    """Cells whose stored pictures were scored again."""
    values: int = 0

    @property
    def division(self) -> str:
        return "open" if self.differs else "closed"


def check(
    path: Path,
    data: Sequence[str] | None = None,
    device: str = "cpu",
    step: Callable[[int, int], None] | None = None,
) -> Report:
    """Check a pack. `data`: where originals are, DIR or NAME=DIR, against which stored pictures are scored again; drawn
    faces need none, but `data` must not be None. `step` is called with the cells that are done, and how many there are.

    Raises BenchError for what is no pack or may not be opened (see `bench.pack.opened`), for older results, and for
    data that it does not have or that are not there.
    """
    with unpacked(path, changed=True) as (folder, said):
        originals = assigned("--data", data or (), said.datasets, "pack")
        if absent := [place for place in originals.values() if not Path(place).exists()]:
            raise BenchError(f"--data {absent[0]} does not exist: give the folder that holds the images")
        report = Report(digest((folder / FILE).read_bytes()), said.suite, [])
        report.remarks += [f"withdrawn: {one.what}: {one.reason}" for one in said.withdrawn]
        report.findings += _hashes(folder, said)
        with _told(report, "its results"):
            found = reporter("load")(folder)
            if older := found.older(path):
                raise Older(f"{older}, and pack it again")
            report.differs = division.differences(found.protocol.get("suite"))
            for findings in (_versions(found), _declared(found), _protocol(found), _summaries(found)):
                report.findings += findings
            report.findings += _pictures(folder, said, found)
            if data is None:
                report.remarks.append(HASHES)
            else:
                _again(report, folder, said, found, originals, device, step)
    return report


class Older(BenchError):
    """A pack that does not say what is checked."""


@contextmanager
def _told(report: Report, what: str) -> Iterator[None]:
    """Whatever a part of other people's making raises is a finding."""
    try:
        yield
    except Older:
        raise
    except Exception as error:  # damaged or hostile content can raise anything
        report.findings.append(f"{what} cannot be read: {' '.join(str(error).split())[:300] or type(error).__name__}")


def _hashes(folder: Path, said: Manifest) -> Iterator[str]:
    there = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    del there[FILE]
    for name in sorted(said.files.keys() - there.keys()):
        yield f"{name} is missing"
    for name in sorted(there.keys() - said.files.keys()):
        yield f"{name} is not among the files of {FILE}"
    for name in sorted(there.keys() & said.files.keys()):
        if digest(there[name].read_bytes()) != said.files[name]:
            yield f"{name} was changed: it does not have the SHA-256 of {FILE}"


def _versions(found: Any) -> Iterator[str]:
    """Metrics that mean something else here."""
    for name, told in found.protocol["metrics"].items():
        ours, where = _known(name), found.rows[found.rows["metric"] == name]
        if ours is None:
            yield f"{name}: this release has no such metric"
            continue
        versions = {str(told["version"]), *where.get("metric_version", pd.Series(dtype=str)).astype(str)}
        if versions != {str(ours.version)}:
            yield f"{name} is version {' and '.join(sorted(versions))}, and here version {ours.version}"
        network = {told["extractor"] or "", *where["extractor"][where["value"].notna()]} - {""}
        if network - {identity.extractor(name) or ""}:
            yield f"{name} is of the network {' and '.join(sorted(network))}, and here {identity.extractor(name)}"


def _declared(found: Any) -> Iterator[str]:
    """Rows that call a metric something else, or say that the other direction is better."""
    for row in found.rows.drop_duplicates(["metric", "metric_title", "higher_is_better"]).itertuples():
        metric = _known(row.metric)
        if metric and row.metric_title != metric.title:
            yield f"{row.metric} is called {row.metric_title!r}, and here {metric.title!r}"
        if metric and row.higher_is_better != metric.higher_is_better:
            better = ("lower", "higher")
            yield f"{row.metric}: {better[row.higher_is_better]} is better, and here {better[metric.higher_is_better]}"


def _known(name: str) -> metrics.Metric | None:
    """A metric of this release."""
    try:
        return metrics.get(name)
    except BenchError:
        return None


def _protocol(found: Any) -> Iterator[str]:
    """Rows that are of other columns or masks than the protocol says."""
    for row in found.rows.drop_duplicates(["dataset", "condition", "metric"]).itertuples():
        where = f"{row.dataset}, {row.condition}"
        known = found.protocol["columns"].get(where, {})
        if row.metric in known and row.protocol != known[row.metric]:
            yield f"{row.metric} on {where}: the row is of another column than the protocol"
        masks = found.protocol["data"][row.dataset]["masks"].get(row.condition)
        if masks != row.masks_fingerprint:
            yield f"{row.metric} on {where}: the row is of other masks than the protocol"


def _summaries(found: Any) -> Iterator[str]:
    """Values, intervals and numbers of images in the table that are not those of the values of its images."""
    keys = [*CELL, "shots", "metric"]
    single = found.per_image.astype(dict.fromkeys(set(keys) - {"seed"}, str))
    values = {key: part.to_numpy() for key, part in single.groupby(keys, sort=False, observed=True)["value"]}
    for row in found.rows.itertuples():
        of_images, metric = values.get(tuple(getattr(row, key) for key in keys)), _known(row.metric)
        what = f"{row.metric} of {row.title}, {row.condition}"
        if pd.isna(row.value):
            if of_images is not None and row.note.startswith(WITHDRAWN):
                yield f"{what}: withdrawn, and its values stand there"
            continue
        of_set = metric is not None and metric.kind == "set"
        if of_images is None and metric and not of_set:
            yield f"{what}: its images have no values"
            continue
        for key, told in _summary(of_images, of_set).items():
            value = getattr(row, key)
            if not np.isclose(value, told, rtol=CLOSE, atol=CLOSE * CLOSE, equal_nan=True):
                yield f"{what}: {key} is {value!r}, and its images have {told!r}"


def _summary(values: NDArray[np.float64] | None, of_set: bool) -> dict[str, float]:
    """What a row has of the values of its images; where a score has none, it has no interval."""
    if values is None:
        return {"low": math.nan, "high": math.nan}
    known = values[~np.isnan(values)]
    counted = values if of_set else known  # a set has all its images
    low, high = intervals.bootstrap(counted)
    return {"value": float(known.mean()), "low": low, "high": high, "n": len(counted)}


def _pictures(folder: Path, said: Manifest, found: Any) -> Iterator[str]:
    """Pictures and masks that are not those of the protocol."""
    for one in said.pictures:
        if not one.kept:
            continue
        row, what = one.row, _called(one)
        kept = archive.Archive.open(folder / member(one.completion))
        told = kept.manifest
        for key in ("dataset", "condition"):  # not the title: rows of other suites share pictures under another one
            if told[key] != row[key]:
                yield f"{what}: its pictures are of {key} {told[key]!r}"
        if len(kept.ids) != one.kept:
            yield f"{what}: {len(kept.ids)} pictures, and {FILE} says {one.kept}"
        wanted = found.protocol["data"][row["dataset"]]["masks"].get(row["condition"])
        holes = MaskSet.load(folder / mask_member(one.masks)).fingerprint
        if len({wanted, holes, one.masks, told["masks"]}) > 1:
            yield f"{what}: other masks than the protocol's"


def _again(
    report: Report,
    folder: Path,
    said: Manifest,
    found: Any,
    data: Mapping[str, str],
    device: str,
    step: Callable[[int, int], None] | None,
) -> None:
    """Score the stored pictures again, and compare every value that they give."""
    kept = [one for one in said.pictures if one.kept]
    names = list(dict.fromkeys(found.rows["metric"]))
    with tempfile.TemporaryDirectory(prefix="facebench-cache-") as cache:
        for i, one in enumerate(kept):
            place = Path(cache, "completion")
            shutil.rmtree(place, ignore_errors=True)
            with _told(report, _called(one)):
                facts = laid_out(folder, one, place).manifest
                if not 0 < facts.get("count", 1) <= MOST:
                    raise BenchError(f"it asks for {facts['count']} images")
                given = [data[str(one.row["dataset"])]] if str(one.row["dataset"]) in data else []
                _, task = stored.handed(place, given, Path(cache))
                wanted = _measurable(names, whole=one.kept == one.total)
                measured = score(place, task, wanted, device)
                for rows, single in _tables(found, one, said):
                    report.findings += [f"{_called(one)}: {line}" for line in _compared(rows, single, one, measured)]
                report.scored += 1
                report.values += len(measured.per_image)
            if step:
                step(i + 1, len(kept))
    left = sorted(set(names) - set(_measurable(names, whole=True)))
    if left:
        report.remarks.append(f"not scored again (of outputs, of other images, or without weights): {', '.join(left)}")
    report.remarks += said.without_pictures
    if said.share < 1:
        report.remarks.append(f"{said.share:.0%} of the pictures: scores of whole sets were not computed again")


def _measurable(names: Sequence[str], whole: bool) -> list[str]:
    """The metrics that stored pictures and originals give; of a part of the pictures, those of single images."""
    kept = [metric for metric in map(_known, names) if metric and not (metric.raw or metric.reference)]
    return [metric.name for metric in kept if whole or not (metric.kind == "set" or metric.towards)]


def _compared(rows: pd.DataFrame, single: pd.DataFrame, one: Pictures, measured: Measurement) -> Iterator[str]:
    """What tables say of a cell and its pictures do not give: values of images, and the numbers of all of them.

    Notes are not compared: releases word them differently.
    """
    for found in measured.rows:
        name = found["metric"]
        told = rows[(rows["metric"] == name) & rows["value"].notna()]
        if told.empty or found["note"].startswith(ABSENT):  # taken back, say; or its weights are not here
            continue
        close = EXACT if metrics.get(name).kind == "pixels" else CLOSE
        yield from _of_images(name, single[single["metric"] == name], measured.images(name), close)
        if one.kept == one.total:
            yield from apart(told.iloc[0], found, CLOSE)


def _of_images(name: str, told: pd.DataFrame, measured: pd.DataFrame, close: float) -> Iterator[str]:
    """Values of single images that are missing, or are not those of the pictures."""
    both = measured.astype({"id": str}).merge(told.astype({"id": str}), on="id", suffixes=("", "_told"))
    wrong = ~np.isclose(both["value_told"], both["value"], rtol=close, atol=close, equal_nan=True)
    if wrong.any():
        yield f"{name}: {wrong.sum()} of {len(both)} images have other values, such as {both['id'][wrong].iloc[0]}"
    if len(both) < len(measured):
        yield f"{name}: the table has {len(both)} of the {len(measured)} images whose pictures are there"


def _tables(found: Any, one: Pictures, said: Manifest) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Rows, and values of images, of a cell: of what nothing trains, once for each number of shots."""
    rows, single = (_where(table, _cell(one)) for table in (found.rows, found.per_image))
    others = {str(other.row["shots"]) for other in said.pictures if other is not one and _cell(other) == _cell(one)}
    for shots in dict.fromkeys(rows["shots"].astype(str)):
        if shots not in others:
            yield _where(rows, {"shots": shots}), _where(single, {"shots": shots})


def _where(table: pd.DataFrame, values: Mapping[str, Any]) -> pd.DataFrame:
    here = pd.Series(True, index=table.index)
    for key, value in values.items():
        here &= table[key].astype(str) == str(value)
    return table[here]


def _cell(one: Pictures) -> dict[str, str | int]:
    return {key: one.row[key] for key in CELL}


def _called(one: Pictures) -> str:
    return f"{one.row['title']} on {one.row['dataset']}, {one.row['condition']}"
