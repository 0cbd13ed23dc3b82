"""Checks a pack: that it is whole, that its parts agree, and, with the data, that its pictures give its numbers.

What is in a pack was made by others. No method is loaded and nothing is executed; whatever goes wrong in reading it is
told as a finding.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench import archive, identity, metrics, stored
from bench.errors import BenchError
from bench.metrics.measurement import Measurement
from bench.pack import division
from bench.pack.manifest import FILE, Manifest, Pictures
from bench.pack.opened import unpacked
from bench.pack.pictures import laid_out
from bench.pack.written import mask_member, member
from bench.reporters import reporter
from bench.score import score
from bench.store import digest
from bench.verification import CLOSE
from masks import MaskSet

EXACT = 1e-9  # by which values of pixels may differ elsewhere: sums in float64
MOST = 1_000_000  # drawn faces that a pack may ask for
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
    data: Mapping[str, str] | None = None,
    device: str = "cpu",
    step: Callable[[int, int], None] | None = None,
) -> Report:
    """Check a pack. `data`: the folder of each data set, by name, whose stored pictures are scored again; drawn faces
    need none, but `data` must not be None. `step` is called with the cells that are done, and how many there are.

    Raises BenchError for what is no pack or may not be opened: see `bench.pack.opened`.
    """
    with unpacked(path) as (folder, said):
        report = Report(digest((folder / FILE).read_bytes()), said.suite, [])
        report.remarks += [f"withdrawn: {one.what}: {one.reason}" for one in said.withdrawn]
        report.findings += _hashes(folder, said)
        with _told(report, "its results"):
            found = reporter("load")(folder)
            report.differs = division.differences(found.protocol.get("suite"))
            report.findings += [*_versions(found), *_protocol(found), *_means(found), *_pictures(folder, said, found)]
            if data is None:
                report.remarks.append(HASHES)
            else:
                _again(report, folder, said, found, data, device, step)
    return report


@contextmanager
def _told(report: Report, what: str) -> Iterator[None]:
    """Whatever a part of other people's making raises is a finding."""
    try:
        yield
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
        if name not in metrics.names():
            yield f"{name}: this release has no such metric"
            continue
        ours, where = metrics.get(name), found.rows[found.rows["metric"] == name]
        versions = {str(told["version"]), *where.get("metric_version", pd.Series(dtype=str)).astype(str)}
        if versions != {str(ours.version)}:
            yield f"{name} is version {' and '.join(sorted(versions))}, and here version {ours.version}"
        network = {told["extractor"] or "", *where["extractor"][where["value"].notna()]} - {""}
        if network - {identity.extractor(name) or ""}:
            yield f"{name} is of the network {' and '.join(sorted(network))}, and here {identity.extractor(name)}"


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


def _means(found: Any) -> Iterator[str]:
    """Values of the table that are not the mean of those of its images."""
    keys = ["title", "method", "preset", "dataset", "shots", "seed", "condition", "metric"]
    single = found.per_image.astype(dict.fromkeys(set(keys) - {"seed"}, str))
    means = single.groupby(keys, sort=False, observed=True)["value"].agg(["mean", "size"])
    for row in found.rows.itertuples():
        key = tuple(getattr(row, name) for name in keys)
        if key not in means.index or not np.isfinite(row.value):
            if key in means.index and pd.isna(row.value) and str(row.note).startswith("withdrawn"):
                yield f"{row.metric} of {row.title}, {row.condition}: withdrawn, and its values stand there"
            continue
        mean = means.loc[key, "mean"]
        if np.isfinite(mean) and not np.isclose(mean, row.value, rtol=CLOSE, atol=CLOSE * CLOSE):
            yield f"{row.metric} of {row.title}, {row.condition}: {row.value!r}, and its images have {float(mean)!r}"


def _pictures(folder: Path, said: Manifest, found: Any) -> Iterator[str]:
    """Pictures and masks that are not those of the protocol."""
    for one in said.pictures:
        if not one.kept:
            continue
        row, what = one.row, _called(one)
        kept = archive.Archive.open(folder / member(one.completion))
        told = kept.manifest
        for key, value in (("title", row["title"]), ("dataset", row["dataset"]), ("condition", row["condition"])):
            if told[key] != value:
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
                report.findings += [f"{_called(one)}: {line}" for line in _compared(found, one, measured)]
                report.scored += 1
                report.values += len(measured.per_image)
            if step:
                step(i + 1, len(kept))
    left = sorted(set(names) - set(_measurable(names, whole=True)))
    if left:
        report.remarks.append(f"not scored again (of outputs, of other images, or without weights): {', '.join(left)}")
    if none := [one for one in said.pictures if not one.kept]:
        report.remarks.append(f"{len(none)} of {len(said.pictures)} cells have no pictures: {none[0].why}")
    if said.share < 1:
        report.remarks.append(f"{said.share:.0%} of the pictures: scores of whole sets were not computed again")


def _measurable(names: Sequence[str], whole: bool) -> list[str]:
    """The metrics that stored pictures and originals give; of a part of the pictures, those of single images."""
    every = [metrics.get(name) for name in names if name in metrics.names() or "/" in name]
    kept = [metric for metric in every if not (metric.raw or metric.reference)]
    return [metric.name for metric in kept if whole or not (metric.kind == "set" or metric.towards)]


def _compared(found: Any, one: Pictures, measured: Measurement) -> Iterator[str]:
    """Values of single images, and of sets, that are not what the tables say."""
    ours = {(image, metric): value for image, metric, value in measured.per_image.itertuples(index=False, name=None)}
    rows, single = (_of(table, one) for table in (found.rows, found.per_image))
    for name in dict.fromkeys(row["metric"] for row in measured.rows):
        close = EXACT if name in metrics.names() and metrics.get(name).kind == "pixels" else CLOSE
        told = single[single["metric"] == name]
        if told.empty:
            continue
        pairs = [
            (str(i), value, ours[str(i), name])
            for i, value in zip(told["id"], told["value"], strict=True)
            if (str(i), name) in ours
        ]
        apart = [i for i, value, again in pairs if not np.isclose(value, again, rtol=close, atol=close, equal_nan=True)]
        if apart:
            yield f"{name}: {len(apart)} of {len(pairs)} images have other values, such as {apart[0]}"
        if len(pairs) < one.kept:
            yield f"{name}: the table has {len(pairs)} of the {one.kept} images whose pictures are there"
        again = measured.value(name)
        if one.kept == one.total and again is not None:
            for value in rows["value"][(rows["metric"] == name) & rows["value"].notna()]:
                if not np.isclose(value, again, rtol=max(close, CLOSE), atol=CLOSE, equal_nan=True):
                    yield f"{name}: {value!r} in the table, and {again!r} from the pictures"


def _of(table: pd.DataFrame, one: Pictures) -> pd.DataFrame:
    """The rows of a table about a cell; of what nothing trains, once for each number of shots."""
    here = pd.Series(True, index=table.index)
    for key in ("title", "method", "preset", "dataset", "condition", "seed", "shots"):
        here &= table[key].astype(str) == str(one.row[key])
    return table[here]


def _called(one: Pictures) -> str:
    return f"{one.row['title']} on {one.row['dataset']}, {one.row['condition']}"
