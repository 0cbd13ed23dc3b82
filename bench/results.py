"""Collects the results of a plan's jobs into the tidy tables that reports read."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import bench
from bench import metrics, registry
from bench.evaluate import BATCH, Task, image_file, save_png
from bench.jobs import Job, Plan, extractor
from bench.metrics.images import to_uint8
from bench.nn import embedded
from bench.store import atomic_write, digest, file_slug, read_json, write_json

COLUMNS = ["suite", "title", "method", "preset", "dataset", "shots", "seed", "condition"]
PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-image", "opencv-python-headless", "pillow", "lpips")


def collect(made: Plan) -> Path:
    """Write results.parquet, per_image.parquet, protocol.json and samples/ of a suite; returns its folder.

    Jobs that are not done are left out; the protocol names them.
    """
    rows, images, missing = [], [], []
    for job in made.jobs:
        if job.kind != "evaluate":
            continue
        if not made.done(job):
            missing.append(job.label)
            continue
        folder = made.job_folder(job.id)
        measured, single = pd.read_parquet(folder / "rows.parquet"), pd.read_parquet(folder / "per_image.parquet")
        for shots in (job.row["shots"],) if job.needs else map(str, made.suite.shots):  # untrained: the same for all
            head = {"suite": made.suite.suite} | job.row | {"shots": shots}
            rows.append(measured.assign(**head))
            images.append(single.assign(**head))
        _copy_samples(made, job)
    if rows:
        table = pd.concat(rows, ignore_index=True)
        _write(made.folder / "results.parquet", table[COLUMNS + [c for c in table if c not in COLUMNS]])
        table = pd.concat(images, ignore_index=True)
        _write(made.folder / "per_image.parquet", table[COLUMNS + [c for c in table if c not in COLUMNS]])
    for name in made.data:
        _originals(made, name)
    write_json(made.folder / "protocol.json", protocol(made, missing))
    return made.folder


def protocol(made: Plan, missing: list[str]) -> dict[str, Any]:
    """Everything that decides what the numbers mean."""
    suite = made.suite
    frozen: dict[str, Any] = {
        "suite": suite.model_dump(mode="json"),
        "data": {
            name: {
                "images": len(p.images.ids),
                "fingerprint": p.images.fingerprint,
                "filter": p.images.filter,
                "train": len(p.split.train),
                "test": len(p.split.test),
                "split": digest(p.split.model_dump()),
                "masks": {condition: mask.fingerprint for condition, mask in p.masks.items()},
            }
            for name, p in made.data.items()
        },
        "metrics": {
            name: {
                "definition": metrics.get(name).equals,
                "version": metrics.get(name).version,
                "extractor": extractor(name),
            }
            for name in suite.metrics
        },
    }
    stand_ins = []
    if suite.train.features == "embedded":
        network = embedded.fingerprint("training")
        for entry in suite.methods:
            registered = registry.get(entry.method)
            if registered.load().trainable() and registered.card.features and entry.weights is None:
                stand_ins.append(
                    f"{suite.title_of(entry)}: training losses stand on {network}; "
                    f"the published method uses {registered.card.features}"
                )
    return frozen | {
        "hash": digest(frozen)[:16],
        "stand_ins": stand_ins,
        "missing": missing,
        "facebench": bench.__version__,
        "environment": {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        }
        | {package: importlib.metadata.version(package) for package in PACKAGES},
    }


def report(made: Plan) -> Path:
    """Build the suite's report with the registered reporter; returns the path of the page to open."""
    return _reporter("build")(made.folder)


def main_table(made: Plan) -> Any:
    """The table that ends a run, as a Rich renderable."""
    return _reporter("main_table")(made.folder).to_rich()


def notes(made: Plan) -> list[str]:
    """What a reader of the main table must know: stand-ins, and what is missing."""
    facts = read_json(made.folder / "protocol.json")
    return [*facts["stand_ins"], *(f"missing: {label}" for label in facts["missing"])]


def _reporter(name: str) -> Any:
    return next(point for point in entry_points(group="facebench.reports") if point.name == name).load()


def _copy_samples(made: Plan, job: Job) -> None:
    """Of several shots and seeds the last one's pictures stay."""
    row = job.row
    target = made.folder / "samples" / row["dataset"] / file_slug(row["condition"]) / file_slug(row["title"])
    for path in sorted((made.job_folder(job.id) / "samples").glob("*.png")):
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / path.name)


def _originals(made: Plan, name: str) -> None:
    prepared = made.data[name]
    count = min(made.suite.report.samples, len(prepared.test), BATCH)
    for condition, frozen in prepared.masks.items() if count else ():
        batch = next(Task(prepared.images, prepared.test[:count], frozen, condition, made.suite.seed).batches())
        folder = made.folder / "samples" / name / file_slug(condition)
        known = to_uint8(batch.image) * (1 - batch.mask.byte()) + 255 * batch.mask.byte()
        for image_id, original, masked in zip(batch.ids or (), to_uint8(batch.image), known, strict=True):
            save_png(folder / "original" / image_file(image_id), original)
            save_png(folder / "masked" / image_file(image_id), masked)


def _write(path: Path, table: pd.DataFrame) -> None:
    with atomic_write(path) as handle:
        table.replace({None: np.nan}).to_parquet(handle, index=False)
