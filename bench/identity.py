"""Identity: what decides a result, and nothing else. docs/identity.md lists what it leaves out, and why.

Equal identities give equal results, so a job whose identity has a result is done. Source counts by what it does
(`bench.behaviour`), and only that of a method; of the harness, the versions below count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache as cached
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import condition as conditions
from bench import metrics, registry, sources
from bench.data import cache, guides
from bench.errors import BenchError
from bench.framing import plain
from bench.metrics import extractors
from bench.store import MARK, digest
from masks import maskset
from masks.training import content

if TYPE_CHECKING:
    from bench.card import Card
    from bench.data.dataset import ImageData
    from bench.method import Config
    from bench.suite import Entry, Suite

VERSIONS = {
    "pictures": cache.VERSION,  # from a file to a square of 8 bits, label maps, captions, the embedded faces
    "guides": 1,  # sketches, colours, sentences, exemplars
    "degradation": 1,  # degraded copies
    "training": 2,  # the loop: order of images, flips, averages, precision
    "completion": 2,  # what a method is given, its seeds, and how known pixels are pasted
    "scoring": extractors.VERSION,  # batches of networks, means and intervals
}
"""Versions of the harness. Raise the one whose results change: tests/bench/test_identity.py says which."""
TRAINING = ("pictures", "guides", "degradation", "training")
COMPLETION = ("pictures", "guides", "degradation", "completion")
OF_CELL = ("data", "beside", "images", "masks", "condition", "stand_ins")  # of a completion: what it is made of


def of_model(entry: Entry, config: Config, priors: Mapping[str, Any]) -> dict[str, Any]:
    """What decides a method before it sees an image. `priors`: by their names, the ids of the jobs that train them, or
    identities of their own."""
    registered = registry.get(entry.method)
    return {
        "method": entry.method,
        "config": config.model_dump(mode="json"),
        "source": registered.fingerprint(),
        "files": [_of_option(config, path) for path in config.files()],
        "priors": dict(priors),
        "weights": of_weights(entry.weights, config) if entry.weights else None,
    }


def of_weights(path: Path, config: Config) -> str:
    """What decides official weights: a file, or what is read of a folder."""
    files = config.read(path)
    if files == [path]:
        return file_digest(path)
    read = [(file, file.stat()) for file in sorted(files)]
    return digest([[file.relative_to(path).as_posix(), _hashed(file, at.st_size, at.st_mtime_ns)] for file, at in read])


@cached
def _hashed(path: Path, size: int, changed: int) -> str:
    """Gigabytes, which every row, data set and seed asks for."""
    return file_digest(path)


def of_training(
    model: Mapping[str, Any], entry: Entry, suite: Suite, images: ImageData, shown: Sequence[str], seed: int
) -> dict[str, Any]:
    """What decides trained weights. `shown`: ids of the training images."""
    train, card = suite.train, registry.get(entry.method).card
    read = content(str(model["config"].get("masks", "")))
    return dict(model) | {
        "kind": "train",
        "version": {name: VERSIONS[name] for name in TRAINING} | {"masks": maskset.version(images.size)},
        "data": images.fingerprint,
        "beside": _learned(images.beside, card),
        "images": digest(list(shown)),
        "size": plain(images.size),
        "seed": [suite.seed, seed],
        "steps": entry.steps or train.steps,
        "batch": entry.batch or train.batch,
        "features": sources.told(suite.source_of(entry)),
        "precision": train.precision,
        "compile": train.compile,
        **images.framing.decides,
        **({"mask files": read} if read else {}),
    }


def of_completion(
    model: Mapping[str, Any],
    trained: Sequence[str],
    entry: Entry,
    config: Config,
    suite: Suite,
    images: ImageData,
    shown: Sequence[str],
    condition: str,
    holes: str,
) -> dict[str, Any]:
    """What decides completed pictures. `trained`: id of the training job, if any; `shown`: ids of the test images;
    `holes`: fingerprint of their masks."""
    read, card = conditions.parse(condition), registry.get(entry.method).card
    described = {key: model[key] for key in ("method", "config", "source", "files", "priors", "weights")}
    return described | {
        "kind": "complete",
        "model": list(trained),
        "version": {name: VERSIONS[name] for name in COMPLETION},
        "data": images.fingerprint,
        "beside": shown_of(images.beside, {*card.needs, *card.takes, *read.guides}, read),
        "images": digest(list(shown)),
        "masks": holes,
        "condition": condition,  # seeds are derived from its name
        "stand_ins": config.stand_ins(read.guides),
        "size": plain(images.size),
        "seed": suite.seed,
        "paste": entry.paste,
        "completions": suite.completions,
        **images.framing.decides,
        **({"at": entry.at} if entry.at else {}),
    }


def of_row(completion: Mapping[str, Any], job: Callable[[str], Mapping[str, Any]]) -> str:
    """What decides the pictures of a row on a data set, whatever its seed: the same for all seeds of a suite, on
    whatever machine each ran. `job`: the identity behind an id."""

    def seedless(found: Mapping[str, Any] | str) -> dict[str, Any]:
        described = job(found) if isinstance(found, str) else found
        priors = {name: seedless(prior) for name, prior in described["priors"].items()}
        return {**described, "priors": priors, "seed": None}

    models = [seedless(model) for model in completion["model"]]
    kept = {name: value for name, value in seedless(completion).items() if name not in OF_CELL}
    return digest({**kept, "model": models})[:12]


def of_score(completion: str, method: str, suite: Suite, references: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What decides a table of numbers. `completion`: id of the job that completes; `references`: by their names, the
    fingerprints of data sets that metrics compare with, and of the images that count."""
    return {
        "method": method,
        "kind": "score",
        "completion": completion,
        "metrics": [of_metric(name, references) for name in suite.measured],
    }


def of_metric(name: str, references: Mapping[str, Sequence[str]]) -> list[Any]:
    """What decides a number, beside the pictures."""
    metric = metrics.get(name)
    against = list(references[metric.reference]) if metric.reference else []
    return [name, metric.version, extractor(name), against, VERSIONS["scoring"]]


def _learned(beside: Mapping[str, str], card: Card) -> dict[str, str]:
    """What training may read of a data set's companions: so a month's training serves suites with captions too."""
    read = {guide.companion for guide in guides.every().values() if guide.learned(card)}
    return {name: fingerprint for name, fingerprint in beside.items() if name in read}


def shown_of(beside: Mapping[str, str], names: Collection[str], condition: conditions.Condition) -> dict[str, str]:
    """What these guides read of a data set's companions in a condition."""
    read = {companion for name in names for companion in guides.get(name).reads(condition.source)}
    return {name: fingerprint for name, fingerprint in beside.items() if name in read}


def extractor(metric: str) -> str:
    """Name and hash of the network behind a metric; `absent` without its weights, so that they count once they come."""
    name = metrics.get(metric).extractor
    return _network(name) if name else ""


@cached
def _network(name: str) -> str:
    try:
        return extractors.load(name).fingerprint
    except BenchError:
        return "absent"


def _of_option(config: Config, path: Path) -> str:
    """SHA-256 of a file that an option names; BenchError names the option."""
    try:
        return file_digest(path)
    except BenchError as error:
        option = next((f"the option {name}: " for name, value in config if value == path), "")
        raise BenchError(f"{option}{error}") from error


def file_digest(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder with their names."""
    try:
        if path.is_dir():
            files = [file for file in sorted(path.rglob("*")) if file.is_file() and not _in_runs(file, path)]
            return digest([[file.relative_to(path).as_posix(), digest(file.read_bytes())] for file in files])
        if path.exists() and not path.is_file():  # reading a pipe would wait without end
            raise BenchError(f"cannot read {path}: it is no file")
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror or error}") from error


def _in_runs(file: Path, folder: Path) -> bool:
    """Whether a file below a folder belongs to runs that lie in it."""
    return any((parent / MARK).exists() for parent in file.parents if folder in parent.parents)
