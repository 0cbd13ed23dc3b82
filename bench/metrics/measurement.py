"""Measure in one pass: every image is decoded once, every network sees it once, all metrics take what they need."""

from __future__ import annotations

import hashlib
import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load as read_tensors
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from bench import allocator
from bench import metrics as registry
from bench.device import found
from bench.errors import BenchError
from bench.isolation import one_thread
from bench.metrics import extractors, intervals
from bench.metrics.extractors import Extractor, Features
from bench.metrics.frechet import Moments
from bench.metrics.images import Images, Range, Source, opened, prefetched
from bench.metrics.score import Pair, Score, Unsuited
from bench.store import atomic_write, write_error

log = logging.getLogger(__name__)

ON_CPU = 8
"""Images at a time on a CPU: no slower there than 32, in a quarter of the memory, and the last batch, which is filled
up, costs 7 images at most."""
FRECHET = ("frechet:score", "frechet:score_mat", "frechet:infinity")  # need a reference's moments only


@dataclass
class Measurement:
    """What was measured.

    `rows`: one dict a metric with metric, extractor (fingerprint or None), value, low, high (95 % interval), n, note.
    `per_image`: columns id, metric, value. A metric's values have its value as their mean; those of FID, KID and the
    discriminative scores are contributions (`Score`), for intervals and paired tests, not scores of single images.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    per_image: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["id", "metric", "value"]))

    def value(self, metric: str) -> float | None:
        """The value of a metric; None when it was not computed."""
        return self.row(metric)["value"]

    def row(self, metric: str) -> dict[str, Any]:
        """The row of a metric; BenchError where it was not asked for."""
        for row in self.rows:
            if row["metric"] == metric:
                return row
        raise BenchError(f"{metric!r} was not measured: there are {', '.join(row['metric'] for row in self.rows)}")

    def images(self, metric: str) -> pd.DataFrame:
        """The part of `per_image` that is a metric's; empty where it has none."""
        return self.per_image[self.per_image["metric"] == metric].reset_index(drop=True)


@allocator.keeping()
def measure(
    completed: Source,
    truth: Source | None,
    masks: Source | None,
    metrics: str | Sequence[str],
    *,
    reference: Source | Mapping[str, Source] | None = None,
    ids: Sequence[str] | None = None,
    device: str | torch.device = "cpu",
    cache: str | Path | None = None,
    batch: int = 32,
    value_range: Range | None = None,
    mask_threshold: int | None = None,
    keep: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Measurement:
    """Measure completed images against the originals.

    `completed`, `truth`, `masks`: folders, tensors or NumPy arrays (uint8, or float; masks of 0 and 1 or 255, 1 =
    hole), or an iterable (or a callable that returns one) of such batches. Files are matched by name, all else by
    order. Floats lie in `value_range`; without one they lie in [-1, 1], and floats that hardly do are refused.
    `mask_threshold` parts mask files with grey values: above it (of 255) is hole.
    `truth` and `masks` may be None where no metric reads them. `metrics`: names of the registry, or one of them.
    `device`: "auto", or what torch knows (`bench.device.found`).
    `batch`: images at a time, on a CPU no more than `ON_CPU`.
    `reference`: sets of images by name, for ``fid/train``; a single source has the name ``reference``.
    `ids`: the manifest; folders must hold these files, `completed` no others. `cache`: a folder that keeps the features
    of originals and references, and with `keep` those of completed images, so that a further metric on them costs no
    pass of a network. `progress` is called with the number of images done. Nothing is pasted here:
    `bench.metrics.images.composite` does that. Opened `Images` are taken, too, with options of their own.

    Raises BenchError on unknown metrics and on images that are missing, unreadable, unmatched or not a number. A metric
    whose weights are absent, or whose smallest n is not reached, has a row with value None and a note.
    """
    wanted = [registry.get(name) for name in registry.expanded([metrics] if isinstance(metrics, str) else metrics)]
    device = found(device)
    if not isinstance(batch, Integral) or batch < 1:
        raise BenchError(f"batch: {batch!r} is no number of images: give 1 or more")
    batch = int(batch)  # torch takes no integers of NumPy here
    if device.type == "cpu":
        batch = min(batch, ON_CPU)
    if several := [metric.name for metric in wanted if metric.between]:
        raise BenchError(
            f"{', '.join(several)}: compares several completions of an image, and here there is one: a suite with "
            '`completions: 5` has several, also those of another program: method external with match: "{name}_{k}"'
        )
    if guided := [metric.name for metric in wanted if metric.towards]:
        raise BenchError(
            f"{', '.join(guided)}: of a run, which knows the exemplar of each image: here give the exemplars as truth, "
            f"and ask for {guided[0].partition('/')[0]}"
        )
    references = _references(reference, wanted)
    if ids is not None and len(set(ids)) != len(ids):
        raise BenchError("ids: an image is named twice")
    images = opened(completed, "completed", ids=ids, value_range=value_range)
    names = list(ids) if ids is not None else images.ids
    for source, what, users in (
        (truth, "truth", [m.name for m in wanted if m.compares]),
        (masks, "masks", [m.name for m in wanted if m.needs_mask]),
    ):
        if source is None and users:
            raise BenchError(f"{what} is None, but needed by {', '.join(users)}")
    exact = ids is None
    originals = None if truth is None else opened(truth, "truth", ids=names, exact=exact, value_range=value_range)
    holes = None
    if masks is not None:
        holes = opened(masks, "masks", masks=True, ids=names, exact=exact, threshold=mask_threshold)

    networks, absent = _load(wanted, device)
    work = _Pass(wanted, networks, device, batch, Path(cache) if cache else None, keep)
    with prefetched([images, originals, holes], batch) as stream:
        for pictures, real, hole in stream:
            assert pictures is not None
            work.add(pictures, real, hole)
            if progress:
                progress(work.n)
    if work.n == 0 or (names is not None and len(names) != work.n):
        raise BenchError(f"completed has {work.n} images, expected {len(names) if names else 'some'}")
    for name, source in references.items():
        work.add_reference(name, opened(source, f"reference {name}", value_range=value_range))
    return work.finish(names or [str(i) for i in range(work.n)], absent)


def _references(
    reference: Source | Mapping[str, Source] | None, wanted: Sequence[registry.Metric]
) -> Mapping[str, Source]:
    given = reference if isinstance(reference, Mapping) else {} if reference is None else {"reference": reference}
    asked = {metric.reference for metric in wanted if metric.reference}
    for name in sorted(asked - set(given)):
        raise BenchError(f"no reference is called {name!r}: give reference={{{name!r}: images}}")
    for name in sorted(set(given) - asked):
        raise BenchError(f"the reference {name!r} is not used: ask for it, for example metrics=['fid/{name}']")
    return given


def _load(wanted: Sequence[registry.Metric], device: torch.device) -> tuple[dict[str, Extractor], dict[str, str]]:
    """The extractors that the metrics need, detector first, and why others are absent."""
    networks: dict[str, Extractor] = {}
    absent: dict[str, str] = {}
    for name in dict.fromkeys(metric.extractor for metric in wanted if metric.extractor):
        try:
            networks[name] = extractors.load(name, device)
        except BenchError as error:
            absent[name] = str(error)
    if any(network.faces for network in networks.values()):
        networks = {"mtcnn": networks.get("mtcnn") or extractors.load("mtcnn", device)} | networks
    return networks, absent


class _Pass:
    """State of one pass over the images."""

    def __init__(
        self,
        wanted: Sequence[registry.Metric],
        networks: Mapping[str, Extractor],
        device: torch.device,
        batch: int,
        cache: Path | None,
        keep: bool,
    ) -> None:
        self.wanted = [m for m in wanted if m.extractor is None or m.extractor in networks]
        self.requested, self.networks, self.device, self.batch = wanted, dict(networks), device, batch
        self.cache = _Cache(cache) if cache else None
        self.keep = keep
        self.n = 0
        self.failed: dict[str, str] = {}  # metric -> why it cannot be computed on these images
        self.values: dict[str, list[Tensor]] = {m.name: [] for m in self.wanted if m.kind != "set"}
        scores = [m for m in self.wanted if m.kind == "set"]
        self.sets: dict[str, list[Tensor]] = {str(m.extractor): [] for m in scores}  # rows of completed images
        self.paired: dict[str, list[Tensor]] = {str(m.extractor): [] for m in scores if not m.reference}  # of originals
        self.seen: dict[str, list[list[Features]]] = {m.name: [] for m in self.wanted if m.remark}
        self.unpaired: dict[tuple[str, str], Tensor | Moments] = {}

    def add(self, completed: Tensor, truth: Tensor | None, masks: Tensor | None) -> None:
        """One batch through all networks and per-image metrics."""
        self.n += len(completed)
        host, ours_host = truth, completed  # the cache hashes what is in memory, not on the device
        completed = completed.to(self.device)
        truth = None if truth is None else truth.to(self.device)
        masks = None if masks is None else masks.to(self.device)
        ours: dict[str, Features] = {}
        theirs: dict[str, Features] = {}
        for name, network in list(self.networks.items()):
            try:
                faces = theirs["mtcnn"] if network.faces else None
                if truth is not None and host is not None and self._reads_truth(name):
                    theirs[name] = self._features(network, truth, [host], self._names(name), faces)
                shown = [
                    ours_host,
                    *([host] if network.faces and host is not None else []),
                ]  # crops by the original's face
                ours[name] = self._features(network, completed, shown, self._names(name), faces, self.keep, again=False)
            except Unsuited as error:
                self._drop([m for m in self.wanted if m.extractor == name], error)
                del self.networks[name]
        for metric in [metric for metric in self.wanted if metric.kind != "set"]:
            one: Any = completed
            two: Any = truth
            if metric.extractor:
                one, two = ours[metric.extractor], theirs.get(metric.extractor)
            if metric.remark:
                ours_and_theirs = [{name: part[name].cpu() for name in metric.features} for part in (one, two)]
                self.seen[metric.name].append(ours_and_theirs)
            try:
                with one_thread():
                    self.values[metric.name].append(metric.load()(one, two, masks).cpu())
            except Unsuited as error:
                self._drop([metric], error)
        for kept, features in ((self.sets, ours), (self.paired, theirs)):
            for name, rows in kept.items():
                rows.append(features[name]["features"].cpu())

    def _drop(self, metrics: list[registry.Metric], error: Unsuited) -> None:
        """Go on without metrics that do not take these images."""
        self.failed |= {metric.name: str(error) for metric in metrics}
        self.wanted = [metric for metric in self.wanted if metric not in metrics]

    def _names(self, extractor: str) -> set[str]:
        """What the metrics read of an extractor's outputs."""
        read = {name for m in self.wanted if m.extractor == extractor for name in m.features}
        return read | ({"box", "landmarks"} if extractor == "mtcnn" else set())

    def _reads_truth(self, extractor: str) -> bool:
        needed = any(m.extractor == extractor and m.compares for m in self.wanted)
        return needed or (extractor == "mtcnn" and any(network.faces for network in self.networks.values()))

    def _features(
        self,
        network: Extractor,
        images: Tensor,
        host: Sequence[Tensor],
        names: set[str],
        faces: Mapping[str, Tensor] | None = None,
        keep: bool = True,
        again: bool = True,
    ) -> Features:
        """Features of images, from the cache where they are known. Maps are too large for the disk: those that this
        process has seen last are in memory.

        `host`: what they depend on, on the CPU. `again`: the next cell has these images, too.
        """
        if self.cache is None or not keep:
            return extractors.extract(network, images, faces, self.batch)
        key = self.cache.key(network, host, self.batch)
        known = RECENT.get(key) if "maps" in names else self.cache.get(key)
        if known is not None and names <= set(known):
            return known if "maps" in names else {name: value.to(self.device) for name, value in known.items()}
        features = extractors.extract(network, images, faces, self.batch)
        if again and "maps" in names and self.device.type == "cpu":
            RECENT.put(key, features)
        vectors = {name: value.cpu().contiguous() for name, value in features.items() if _is_vector(value)}
        if vectors and not ("maps" in names and self.cache.has(key)):
            self.cache.put(key, vectors)
        return features

    def add_reference(self, name: str, source: Images) -> None:
        """Features of an unpaired reference; moments alone where only Fréchet distances ask for them."""
        users: dict[str, list[registry.Metric]] = {}
        for metric in self.wanted:
            if metric.reference == name and metric.extractor:
                users.setdefault(metric.extractor, []).append(metric)
        streaming = {extractor: all(m.function in FRECHET for m in asked) for extractor, asked in users.items()}
        rows: dict[str, list[Tensor]] = {extractor: [] for extractor in users}
        moments = {extractor: Moments() for extractor in users}
        with prefetched([source], self.batch) as stream:
            for (images,) in stream:
                assert images is not None
                pictures = images.to(self.device)
                for extractor in users:
                    features = self._features(self.networks[extractor], pictures, [images], {"features"})
                    rows[extractor].append(features["features"].cpu())
                    if streaming[extractor] and sum(map(len, rows[extractor])) >= 4096:
                        moments[extractor] += Moments.of(_rows(rows[extractor], self.device))
                        rows[extractor].clear()
        for extractor in users:
            left = _rows(rows[extractor], self.device) if rows[extractor] else None
            if streaming[extractor]:
                self.unpaired[extractor, name] = moments[extractor] + (Moments() if left is None else Moments.of(left))
            elif left is not None:
                self.unpaired[extractor, name] = left

    def finish(self, ids: list[str], absent: Mapping[str, str]) -> Measurement:
        """Values, intervals and notes of all metrics."""
        result, frames = Measurement(), []
        pairs: dict[tuple[str, str | None], Pair] = {}
        for metric in map(registry.get, registry.expanded([m.name for m in self.requested], self.n)):
            network = self.networks.get(metric.extractor or "")
            row = empty(metric, self.n, network.fingerprint if network else metric.extractor)
            result.rows.append(row)
            reason = absent.get(metric.extractor or "") or self.failed.get(metric.name)
            if reason:
                row["note"] = f"{registry.ABSENT}{reason}"
            elif self.n < metric.smallest_n:
                row["note"] = f"n/a below n = {metric.smallest_n:,}"
            elif metric.kind == "set":
                values = self._score(metric, row, pairs)
                if values is not None:
                    frames.append(pd.DataFrame({"id": ids, "metric": metric.name, "value": values}))
            else:
                values = torch.cat(self.values[metric.name]).double().numpy()
                frames.append(pd.DataFrame({"id": ids, "metric": metric.name, "value": values}))
                notes = [
                    network.note if network else "",
                    metric.said(*self._seen(metric.name)) if metric.remark else "",
                ]
                summarise(row, values, "; ".join(filter(None, notes)))
        if frames:
            result.per_image = pd.concat(frames, ignore_index=True)
        return result

    def _seen(self, metric: str) -> Iterator[Features]:
        """The features of all completed images, and of all originals, that a metric read."""
        for batches in zip(*self.seen[metric], strict=True):
            yield {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}

    @one_thread()
    def _score(self, metric: registry.Metric, row: dict[str, Any], pairs: dict[Any, Pair]) -> Any:
        name, other = str(metric.extractor), metric.reference
        key = name, other
        if key not in pairs:
            theirs = self.unpaired[name, other] if other else _rows(self.paired[name], self.device)
            ours = _rows(self.sets[name], self.device)
            pairs[key] = Pair(ours, theirs, paired=metric.reference is None)
        with torch.inference_mode():
            score: Score = metric.load()(pairs[key])
        row |= {"value": score.value, "note": score.note}
        if self.n < metric.advised_n:
            row["note"] = f"biased below n = {metric.advised_n:,}: compare at equal n only"
        if score.contributions is None:
            return None
        values = score.contributions.cpu().numpy()
        row["low"], row["high"] = _interval(values)
        return values


def empty(metric: registry.Metric, n: int, extractor: str | None = None, note: str = "") -> dict[str, Any]:
    """A row without a value."""
    row = {"metric": metric.name, "extractor": extractor, "value": None, "low": None, "high": None}
    return row | {"n": n, "note": note}


def summarise(row: dict[str, Any], values: Any, note: str = "") -> dict[str, Any]:
    """Fill a row with the mean of the values that exist. Infinite ones (PSNR of equal images) make it infinite, and are
    counted."""
    known = values[~pd.isna(values)]
    notes, missing = [note] if note else [], len(values) - len(known)
    notes += [f"{missing} of {len(values)} images have no value"] if missing else []
    infinite = int(pd.Series(known).isin([math.inf, -math.inf]).sum())
    notes += [f"infinite for {infinite} of {len(values)} images"] if infinite else []
    row |= {"n": len(known), "note": "; ".join(notes), "value": float(known.mean()) if len(known) else None}
    row["low"], row["high"] = _interval(known)
    return row


def _interval(values: Any) -> tuple[float | None, float | None]:
    low, high = intervals.bootstrap(values)
    return (None, None) if math.isnan(low) else (low, high)


def _rows(batches: list[Tensor], device: torch.device) -> Tensor:
    return torch.cat(batches).to(device)


def _is_vector(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim <= 3


class _Recent:
    """Features with maps that were computed last, up to `most` bytes: the next cell has the same originals."""

    def __init__(self, most: int) -> None:
        self.most, self.size = most, 0
        self.kept: OrderedDict[str, Features] = OrderedDict()

    def get(self, key: str) -> Features | None:
        if key in self.kept:
            self.kept.move_to_end(key)
        return self.kept.get(key)

    def put(self, key: str, features: Features) -> None:
        self.size += _bytes(features) - _bytes(self.kept.pop(key, {}))
        self.kept[key] = features
        while self.size > self.most:
            self.size -= _bytes(self.kept.popitem(last=False)[1])


def _bytes(features: Features) -> int:
    return sum(one.nbytes for value in features.values() for one in ([value] if isinstance(value, Tensor) else value))


RECENT = _Recent(128 << 20)  # on a CPU; 100 images at 64 px: 55 MB of lite0, 61 MB of the embedded network


class _Cache:
    """Features of images on disk: one file a batch, named by the hash of the images and of the extractor.

    A file starts with the SHA-256 of the rest; one that does not match is computed again, with a warning.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def key(self, network: Extractor, images: Sequence[Tensor], batch: int) -> str:
        """`images`: uint8 on the CPU; those of which the features are, and what else decides them."""
        decides = extractors.VERSION, network.fingerprint, batch, tuple(images[0].shape)
        content = hashlib.sha256(" ".join(map(str, decides)).encode())
        for one in images:
            content.update(one.contiguous().numpy().data)
        return f"{network.name}-{content.hexdigest()[:32]}"

    def has(self, key: str) -> bool:
        return (self.folder / f"{key}.features").exists()

    def get(self, key: str) -> dict[str, Tensor] | None:
        path = self.folder / f"{key}.features"
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise write_error(path, error) from error
        if hashlib.sha256(data[32:]).digest() != data[:32]:
            log.warning("the feature cache %s is damaged: its features are computed again", path)
            return None
        return read_tensors(data[32:])

    def put(self, key: str, features: Mapping[str, Tensor]) -> None:
        data = tensor_bytes(dict(features))
        with atomic_write(self.folder / f"{key}.features", durable=False) as handle:
            handle.write(hashlib.sha256(data).digest() + data)
