"""Collects the results of a plan's jobs into the tidy tables that reports read."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import bench
from bench import condition as conditions
from bench import expect, features, fit, identity, metrics, registry, stored
from bench.accept import accepted
from bench.archive import FILE, Archive
from bench.bicubic import FILTER
from bench.data import guides
from bench.errors import BenchError
from bench.export import export_first
from bench.framing import extent, normal, plain, told
from bench.identity import VERSIONS, extractor
from bench.jobs import Job, Plan
from bench.metrics.images import to_uint8
from bench.metrics.measurement import empty
from bench.nn import embedded
from bench.provenance import FACTS
from bench.reporters import reporter
from bench.samples import save_png, shown
from bench.sources import of_backbone
from bench.store import digest, file_slug, image_file, read_json, write_json, write_table
from bench.suite import Entry, Suite
from bench.task import BATCH, Task

UNPASTED = "known pixels are the method's own, not the original's"
SEEN = "it sees the whole picture, also under the hole, and edits it"
COLUMNS = ["suite", "title", "method", "preset", "dataset", "shots", "seed", "condition"]
OF_NO_EFFECT: Any = {  # keys of a suite that decide no number
    **dict.fromkeys(("expect", "smoke", "retries", "resources", "study"), True),
    **{key: {"__all__": {"resources", "trained_on"}} for key in ("methods", "priors")},
    **{key: {"__all__": {"labels_order"}} for key in ("data", "training")},  # the maps' fingerprint tells it
}
CURVE = 500  # most points of a loss
PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-image", "opencv-python-headless", "pillow", "lpips")


def collect(made: Plan) -> Path:
    """Write the tables (results, per_image, losses, costs, groups), protocol.json, run.json and samples/.

    Returns the folder. Jobs that are not done are left out, but those that failed have rows without values, which say
    why; the protocol names them all.
    """
    done = [job for job in made.scores if made.done(job)]
    for job in done:
        _samples(made, job)
    if done:
        _write(
            made.folder / "results.parquet",
            rows(made, [job for job in made.scores if made.done(job) or made.failure(job)]),
        )
        _write(made.folder / "per_image.parquet", rows(made, done, "per_image.parquet"))
    if not (table := costs(made, done)).empty:
        _write(made.folder / "costs.parquet", table)
    if trained := [job for job in made.jobs if job.kind == "train" and made.done(job)]:
        _write(made.folder / "losses.parquet", losses(made, trained))
    (made.folder / "groups.parquet").unlink(missing_ok=True)  # of another report
    if not (table := grouped(made)).empty:
        _write(made.folder / "groups.parquet", table)
    for name in made.data:
        _originals(made, name)
    missing = [f"{job.label}: {made.missing(job)}" for job in made.scores if job not in done]
    write_json(made.folder / "protocol.json", protocol(made, missing))
    stored.record(made)
    return made.folder


def rows(made: Plan, jobs: Sequence[Job], name: str = "rows.parquet") -> pd.DataFrame:
    """The tidy rows that scores wrote: of metrics, or `per_image.parquet`; without values where one failed."""
    parts = []
    for job in jobs:
        failed = not made.done(job)
        measured = _failed(made, job) if failed else _table(made.job_folder(job.id) / name, pd.read_parquet)
        completion = made.completion(job)
        if name == "rows.parquet":
            versions = [metrics.get(metric).version for metric in measured["metric"]]
            cautions = [metrics.get(metric).caution for metric in measured["metric"]]
            measured = measured.assign(**provenance(made, job), metric_version=versions, caution=cautions)
            row = job.row
            measured["protocol"] = [column(made, row["dataset"], row["condition"], name) for name in measured["metric"]]
            said = [] if failed else _said(made, job)
            measured["note"] = ["; ".join(filter(None, (note, *said))) for note in measured["note"]]
        trained = completion.needs
        for shots in (job.row["shots"],) if trained else map(str, made.suite.shots):  # untrained: the same for all
            parts.append(measured.assign(**({"suite": made.suite.suite} | job.row | {"shots": shots})))
    table = pd.concat(parts, ignore_index=True)
    return table[COLUMNS + [column for column in table if column not in COLUMNS]]


def _said(made: Plan, job: Job) -> list[str]:
    """What a reader of a score's numbers must know."""
    completion = made.completion(job)
    return [
        *([] if completion.identity["paste"] else [UNPASTED]),
        *([SEEN] if "source" in registry.get(job.row["method"]).card.needs else []),
        *accepted(made, completion),
        *made.remarks(completion),
        *made.exposed.get((job.row["title"], job.row["dataset"]), ()),
    ]


def _failed(made: Plan, job: Job) -> pd.DataFrame:
    """The rows of a score that failed: no value, and a note that says why."""
    count, note = len(made.data[job.row["dataset"]].test), f"failed: {made.failure(job)}"
    parts = [
        empty(metric, count, "", note) | {"metric_title": metric.title, "higher_is_better": metric.higher_is_better}
        for metric in map(metrics.get, metrics.expanded(made.suite.measured, count))
    ]
    return pd.DataFrame(parts).astype({"value": float, "low": float, "high": float})


def provenance(made: Plan, job: Job) -> dict[str, Any]:
    """What every row of a score says of its origin: the protocol, fingerprints, and where its pictures were made.

    `precision` is that of training where there was any; `deterministic` means that training was, too.
    """
    completion = made.completion(job)
    found = [_facts(made, one) for one in (*map(made.job, completion.needs), completion) if made.done(one)] or [{}]
    completed = completion.identity
    return {key: found[-1].get(key, "") for key in FACTS} | {
        "precision": found[0].get("precision", ""),
        "deterministic": made.done(job) and all(facts.get("deterministic", False) for facts in found),
        "model": identity.of_row(completed, lambda job: made.job(job).identity),
        "suite_version": made.suite.version,
        "size": told(size) if isinstance(size := normal(completed["size"]), tuple) else size,
        "data_fingerprint": completed["data"],
        "images_fingerprint": completed["images"],
        "masks_fingerprint": completed["masks"],
    }


def _facts(made: Plan, job: Job) -> dict[str, Any]:
    """What a finished job tells of itself."""
    return _json(made.job_folder(job.id) / "result.json")


def _json(path: Path) -> dict[str, Any]:
    found = read_json(path)
    if not isinstance(found, dict):
        raise BenchError(f"{path} is damaged: delete it and run the same command again")
    return found


def could_not(made: Plan) -> list[str]:
    """The operations for which deterministic jobs found no deterministic algorithm."""
    done = [job for job in made.jobs if made.done(job)]
    return sorted({name for job in done for name in _facts(made, job).get("could not", [])})


def costs(made: Plan, jobs: Sequence[Job]) -> pd.DataFrame:
    """What completing one image costs: one row a method with networks, from its first completion."""
    head = ["title", "method", "preset"]
    paths = [(job, made.job_folder(made.completion(job).id) / "cost.json") for job in jobs]
    found = [{key: job.row[key] for key in head} | _json(path) for job, path in paths if path.exists()]
    return pd.DataFrame(found, columns=[*head, "params", "macs"]).drop_duplicates(head)


def grouped(made: Plan) -> pd.DataFrame:
    """The group of each test image by the attributes that the report shows; images of no group are left out."""
    found = [
        (dataset, image, attribute, group)
        for dataset, attributes in made.groups.items()
        for attribute, of in attributes.items()
        for image, group in zip(made.data[dataset].split.test, of, strict=True)
        if group
    ]
    return pd.DataFrame(found, columns=["dataset", "id", "attribute", "group"])


def losses(made: Plan, jobs: Sequence[Job]) -> pd.DataFrame:
    """The losses that finished training jobs logged: one row a job, stage, loss and step, at most `CURVE` a curve.

    A value is the mean over the iterations since the row before it; `step` is the last of them.
    """
    logs = [_table(made.job_folder(job.id) / "losses.csv", pd.read_csv) for job in jobs]
    parts = [thinned(log).assign(**job.row) for log, job in zip(logs, jobs, strict=True)]
    table = pd.concat(parts, ignore_index=True)
    return table[["title", "method", "preset", "dataset", "shots", "seed", "stage", "step", "loss", "value"]]


def thinned(log: pd.DataFrame) -> pd.DataFrame:
    """Rows of a losses.csv, at most `CURVE` for each loss of a stage: see `losses`."""
    curves = log.groupby(["stage", "loss"], sort=False)
    width = -(-curves["value"].transform("size") // CURVE)
    bins = log.assign(bin=curves.cumcount() // width).groupby(["stage", "loss", "bin"], sort=False)
    return bins.agg(step=("step", "last"), value=("value", "mean")).reset_index().drop(columns="bin")


def protocol(made: Plan, missing: list[str]) -> dict[str, Any]:
    """Everything that decides what the numbers mean."""
    suite = made.suite
    frozen: dict[str, Any] = {
        "suite": suite.model_dump(mode="json", exclude=OF_NO_EFFECT),
        "data": {
            name: {
                "images": len(p.images.ids),
                "fingerprint": p.images.fingerprint,
                "filter": p.images.filter,
                "framing": p.images.framing.rule,
                "train": len(p.split.train),
                "test": len(p.split.test),
                "split": p.divided,
                "masks": {condition: mask.fingerprint for condition, mask in p.masks.items()},
                "beside": p.images.beside,
            }
            for name, p in made.data.items()
        },
        "metrics": {
            name: {
                "definition": metrics.get(name).equals,
                "version": metrics.get(name).version,
                "extractor": extractor(name),
            }
            for name in suite.measured
        },
    }
    stand_ins = [text for entry in suite.methods for text in _trained_with(entry, suite)]
    guides = {guide for name in suite.conditions for guide in conditions.parse(name).guides}
    for entry in suite.methods:
        stand_ins += [f"{suite.title_of(entry)}: {text}" for text in suite.config_of(entry).stand_ins(guides)]
    cells = [(data.name, condition) for data in suite.data for condition in suite.conditions]
    return frozen | {
        "hash": digest([standing(made, data.name) for data in suite.data])[:16],
        "columns": {
            f"{data}, {condition}": {name: column(made, data, condition, name) for name in suite.measured}
            for data, condition in cells
        },
        "stand_ins": stand_ins,
        "trained": [text for entry in suite.methods for text in _trained_for(entry, suite)],
        "sized": [
            f"{suite.title_of(entry)}: works at {entry.at} x {entry.at} pixels, resized there and back ({FILTER})"
            for entry in suite.methods
            if entry.at
        ],
        "framed": _framed(suite) if suite.framing == "pad" else [],
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


def _framed(suite: Suite) -> list[str]:
    """What padding means, in a sentence."""
    sides = " x ".join(map(str, extent(suite.size)))
    return [f"Pictures are padded by their outermost pixels to {sides} (height x width): masks and scores cover them"]


def _trained_with(entry: Entry, suite: Suite) -> Iterator[str]:
    """The networks behind a row's training losses that are not the paper's files, in a sentence."""
    published = registry.get(entry.method).card.features
    if not (published and fit.is_trained(entry)):
        return
    source = suite.source_of(entry)
    network, told = embedded.fingerprint("training"), []
    if of_backbone(source) == "imagenet":
        told.append(f"the projected discriminator stands on {features.told(*suite.made_of(entry))}")
    elif of_backbone(source) != source:
        told.append(f"the projected discriminator stands on {network if source == 'official' else 'the official file'}")
    if source == "embedded":
        told.append(f"{'all other ' if told else ''}training losses stand on {network}")
    if told:
        yield f"{suite.title_of(entry)}: {'; '.join(told)}; the published method uses {published}"


def _trained_for(entry: Entry, suite: Suite) -> Iterator[str]:
    """Steps and images a step of a row that is trained here."""
    if fit.is_trained(entry):
        yield f"{suite.title_of(entry)}: {entry.steps or suite.train.steps:,} x {entry.batch or suite.train.batch}"


def standing(made: Plan, dataset: str) -> list[Any]:
    """What numbers of a data set stand on, whatever is compared: content, split, size, seed, and how it is read."""
    prepared, suite = made.data[dataset], made.suite
    versions = [VERSIONS[name] for name in ("pictures", "guides", "degradation")]
    images = prepared.images
    found = [dataset, images.fingerprint, prepared.divided, plain(images.size), suite.seed, versions]
    return [*found, images.framing.decides] if images.framing.decides else found


def column(made: Plan, dataset: str, condition: str, metric: str) -> str:
    """Hash of what a column of numbers means: equal hashes are comparable, whichever suites they are of."""
    prepared, read = made.data[dataset], conditions.parse(condition)
    masks = prepared.masks[condition].fingerprint
    versions = [VERSIONS["completion"], *identity.of_metric(metric, made.against(dataset))]
    shown = identity.shown_of(prepared.images.beside, read.guides, read)
    return digest([standing(made, dataset), condition, masks, versions, *([shown] if shown else [])])[:12]


def _table(path: Path, read: Callable[[Path], pd.DataFrame]) -> pd.DataFrame:
    """A table of a finished job; BenchError names a damaged file."""
    try:
        return read(path)
    except Exception as error:  # pyarrow and pandas raise many kinds
        reason = " ".join(str(error).split())[:200]
        raise BenchError(
            f"cannot read {path}: {reason}; delete the folder {path.parent} and run the same command again"
        ) from error


def report(made: Plan) -> Path:
    """Build the suite's report with the registered reporter; returns the path of the page to open."""
    return reporter("build")(made.folder)


def main_table(made: Plan, names: Sequence[str] | None = None) -> Any:
    """The table that ends a run, or that of these metrics: Rich can print it."""
    return reporter("main_table")(made.folder, metrics=names)


def expected(made: Plan) -> list[str]:
    """How many expectations of the suite hold, then those that do not, or of which there is no number, and why."""
    if not made.suite.expect:
        return []
    table = _table(made.folder / "results.parquet", pd.read_parquet)
    found = [(one, expect.check(one, made.suite, table)) for one in made.suite.expectations]
    lines = [f"expected: {sum(verdict.passed for _, verdict in found)} of {len(found)} hold"]
    for one, verdict in found:
        if not verdict.passed:
            lines.append(f"  {'fails' if verdict.compared else 'open':5} {one.text}: {verdict.reason}")
    return lines


def _samples(made: Plan, job: Job) -> None:
    """The first pictures that were scored, and how one came about. Of several shots and seeds the last one's stay."""
    row, folder, count = job.row, made.job_folder(made.completion(job).id), made.suite.report.samples
    kept = sorted((folder / "samples").rglob("*.png"))
    if not (folder / FILE).exists() and not any(path.parent.name == "samples" for path in kept):
        return  # nothing is kept: those of before stay
    target = made.folder / "samples" / row["dataset"] / file_slug(row["condition"]) / file_slug(row["title"])
    shutil.rmtree(target, ignore_errors=True)  # another job may have had other pictures, or more steps
    if (folder / FILE).exists():
        prepared, condition = made.data[row["dataset"]], row["condition"]
        task = Task(prepared.images, prepared.test, prepared.masks[condition], condition, made.suite.seed)
        export_first(Archive.open(folder / FILE), task, count, target)
    for path in kept if count else ():
        copy = target / path.relative_to(folder / "samples")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _originals(made: Plan, name: str) -> None:
    prepared = made.data[name]
    count = min(made.suite.report.samples, len(prepared.test), BATCH)
    needs = tuple(name for name in made.suite.needs if guides.get(name).apart)
    for condition, frozen in prepared.masks.items() if count else ():
        batch = next(Task(prepared.images, prepared.test, frozen, condition, made.suite.seed, needs).batches())
        pictures: dict[str, Any] = {"original": to_uint8(batch.image), "masked": shown(batch)}
        apart = {name: guides.get(name) for name in batch.guides if guides.get(name).apart}
        pictures |= {name: guide.exported(batch.guides[name]) for name, guide in apart.items()}
        folder = made.folder / "samples" / name / file_slug(condition)
        for kind, images in pictures.items():
            shutil.rmtree(folder / kind, ignore_errors=True)
            for image_id, image in zip((batch.ids or ())[:count], images, strict=False):
                save_png(folder / kind / image_file(image_id), image)
        if batch.text is not None:
            texts = zip((batch.ids or ())[:count], batch.text, strict=False)
            write_json(folder / "captions.json", {image_file(image_id): text for image_id, text in texts})


def _write(path: Path, table: pd.DataFrame) -> None:
    write_table(path, table.replace({None: np.nan}))
