"""From a suite to jobs: what there is to do, each with an identity made of everything that decides its result."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

import masks
from bench import archive, exposure, features, fit, identity, learned, metrics, registry
from bench import condition as conditions
from bench.data import dataset, groups, guides, lists, splits
from bench.data.dataset import ImageData, Progress
from bench.data.guides import semantics
from bench.data.guides.guide import Files
from bench.data.splits import Split
from bench.errors import BenchError, about
from bench.framing import Framing, Size, extent
from bench.method import Config
from bench.progress import say
from bench.store import digest, file_slug, read_json
from bench.suite import Data, Entry, Resources, Suite

Kind = Literal["train", "complete", "score"]
BESIDE = ("label", "modules")  # what job.json says beside the identity
SHOWN = 10  # copies that are named one by one; the split's file has them all


@dataclass(frozen=True)
class Job:
    """One cell of a suite. Its folder is named after `id`; it is done when its result file stands."""

    kind: Kind
    label: str  # for people
    identity: dict[str, Any]  # JSON-like: equal identities give equal results
    row: dict[str, Any]  # the columns that tell this cell from others in a table
    needs: tuple[str, ...] = ()  # ids of jobs that must be done before
    resources: Resources = field(default_factory=Resources)  # what it asks of a cluster

    @cached_property
    def id(self) -> str:
        return f"{self.kind}-{self.method}-{digest(self.identity)[:16]}"

    @property
    def method(self) -> str:
        return str(self.identity["method"])


@dataclass(frozen=True)
class Prepared:
    """A data set ready for use: decoded images, their split, and the frozen masks of every condition."""

    images: ImageData
    split: Split
    masks: dict[str, masks.MaskSet]
    others: dict[Size, ImageData] = field(default_factory=dict)  # the same images at other sizes, for rows with `at`

    def at(self, size: Size) -> ImageData:
        """The images at that size."""
        return self.others.get(size, self.images)

    def train(self, shots: int | str) -> list[int]:
        """Positions of the training images, all or the first of the fixed few-shot order."""
        return self.images.indices(splits.shots(self.split, "all" if shots == "all" else int(shots)))

    @cached_property
    def test(self) -> list[int]:
        """Positions of the test images."""
        return self.images.indices(self.split.test)

    @cached_property
    def divided(self) -> str:
        """Hash of the split."""
        return digest(self.split.model_dump())

    @cached_property
    def reference(self) -> list[str]:
        """What decides its training images where metrics compare with them: the content, and which images count."""
        return [self.images.fingerprint, digest(self.split.train)]


@dataclass
class Plan:
    """A suite, its prepared data and its jobs in an order in which each can run."""

    suite: Suite
    root: Path  # folder of all runs; jobs are shared between suites
    data: dict[str, Prepared] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    groups: dict[str, groups.Groups] = field(default_factory=dict)  # of each data set's test images, for the report
    exposed: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # (row, data set): see `bench.exposure`
    ids: list[str] = field(default_factory=list)  # of all its jobs, also of those that a run leaves out
    _known: dict[str, Job] = field(default_factory=dict, init=False, repr=False)  # the jobs by id

    @property
    def folder(self) -> Path:
        """The suite's own folder: tables, report."""
        return self.root / self.suite.suite

    def named(self, name: str) -> Prepared:
        """A data set of the suite; BenchError where the user has not said where its images are."""
        if name not in self.data:
            raise BenchError(f"{self.suite.suite} needs your copy of {name}: --data {name}=DIR")
        return self.data[name]

    def references(self, dataset: str) -> dict[str, Prepared]:
        """By name, what metrics such as `fid/train` compare a data set with: the training images of these."""
        trained = next((data.trained for data in self.suite.data if data.name == dataset), None) or dataset
        names = dict.fromkeys(metrics.get(name).reference for name in self.suite.measured)
        return {name: self.named(trained if name == "train" else name) for name in names if name}

    def against(self, dataset: str) -> dict[str, list[str]]:
        """What decides these references."""
        return {name: other.reference for name, other in self.references(dataset).items()}

    def job_folder(self, job_id: str) -> Path:
        return self.root / "jobs" / job_id

    def done(self, job: Job) -> bool:
        """Whether a job has its result; of pictures that are not here, whether all their scores have theirs.

        Pictures may lie in an object store; those that were not to stay are gone.
        """
        folder = self.job_folder(job.id)
        if not (folder / "result.json").exists():
            return False
        if job.kind != "complete" or (folder / archive.FILE).exists():
            return True
        wanted = self.suite.keep == "all" and not self.stay(job)
        return not wanted and all(self.done(one) for one in self.jobs if job.id in one.needs)

    def stay(self, job: Job) -> bool:
        """Whether a completion's pictures stay when they are scored, as the suite says that completed them."""
        return read_json(self.job_folder(job.id) / "result.json").get("keep", "all") == "all"

    @property
    def scores(self) -> list[Job]:
        """The jobs that end in numbers: one a row, data set, condition, seed and number of shots."""
        return [job for job in self.jobs if job.kind == "score"]

    def completion(self, job: Job) -> Job:
        """The job whose pictures a job scores."""
        return self.job(job.needs[0])

    def remarks(self, job: Job) -> list[str]:
        """What a finished job has seen that a reader of its numbers must know."""
        return list(read_json(self.job_folder(job.id) / "result.json").get("remarks", []))

    def job(self, job_id: str) -> Job:
        if len(self._known) != len(self.jobs):
            self._known = {job.id: job for job in self.jobs}
        if job_id in self._known:
            return self._known[job_id]
        raise BenchError(
            f"{platform.node()} knows no job {job_id}: the source of the product or of a method, or a file that the "
            "suite names, changed while the suite was running, or is another one on this machine; "
            "run the same command again"
        )

    def narrow(self, titles: Collection[str]) -> None:
        """Leave the jobs that these rows need, and those that are done."""
        needed: set[str] = set()
        for job in reversed(self.jobs):
            if job.row["title"] in titles or job.id in needed:
                needed |= {job.id, *job.needs}
        self.jobs = [job for job in self.jobs if job.id in needed or self.done(job)]

    def missing(self, job: Job) -> str:
        """Why a job that is not done has no result, as its folder tells."""
        for need in map(self.job, job.needs):
            if not self.done(need):
                return f"needs `{need.label}`: {self.missing(need)}"
        if (self.job_folder(job.id) / "result.json").exists():
            return "its pictures are gone"
        return self._recorded(job) if self.error_file(job).exists() else "not done yet"

    def failure(self, job: Job) -> str:
        """Why a job failed, or one that it needs; empty where it is done, or was never tried."""
        if self.done(job):
            return ""
        reasons = [self.failure(need) for need in map(self.job, job.needs)]
        if self.error_file(job).exists():
            reasons.append(self._recorded(job))
        return next(filter(None, reasons), "")

    def _recorded(self, job: Job) -> str:
        return self.error_file(job).read_text(encoding="utf-8").partition("\n")[0]

    def error_file(self, job: Job) -> Path:
        """Where the last failure of a job is recorded, with its traceback."""
        return self.job_folder(job.id) / "error.txt"


def plan(suite: Suite, root: Path, progress: Progress | None = None, pair: str = "") -> Plan:
    """Prepare the data of a suite (kept for the next time) and expand it to jobs.

    `pair`: a condition folder:DIR of the suite; where every test image has a mask of its name, it becomes .../paired.
    """
    suite = features.settled(suite, root)
    fit.check(suite)
    made = ready(suite, root, progress, pair)
    suite = made.suite
    if suite.report.groups:
        made.groups = groups.chosen({data.name: _groups(made, data) for data in suite.data}, suite.report.groups)
    for data in suite.data:
        _expose(made, data)
    seen: dict[str, Job] = {}
    for job in _expand(made):
        same = seen.setdefault(job.id, job)
        if same is job:
            made.jobs.append(job)
        elif job.kind != "train":
            raise BenchError(f"`{same.label}` and `{job.label}` are one and the same: leave out a row or a data set")
    made.ids = list(seen)
    for job in made.jobs:
        if job.kind == "train" and not made.done(job):
            features.require(job.label, job.identity)
    learned.check(made)
    return made


def ready(suite: Suite, root: Path, progress: Progress | None = None, pair: str = "") -> Plan:
    """A suite with its data sets and their frozen masks, and without jobs. `pair`: see `plan`."""
    made = Plan(suite, root, prepare(suite, root, progress))
    if pair:
        made.suite = suite = _paired(made, pair)
    for data in suite.data:
        freeze(made.data[data.name], data, suite, root)
    return made


def _groups(made: Plan, data: Data) -> groups.Groups:
    prepared = made.data[data.name]
    return groups.of(prepared.images, prepared.split.test, data.attributes)


def _expose(made: Plan, data: Data) -> None:
    """Say whether official weights were trained on pictures that test them."""
    prepared = made.data[data.name]
    images = prepared.images
    for entry in made.suite.methods:
        title = made.suite.title_of(entry)
        said = list(exposure.remarks(entry, made.suite, data, images.ids, prepared.split, images.named))
        made.exposed[title, data.name] = said
        for remark in said:
            say(f"{title} on {data.name}: {remark}")


def prepare(suite: Suite, root: Path, progress: Progress | None = None) -> dict[str, Prepared]:
    """Decode and split the data sets of a suite; their masks are not there yet. Equal training images are named."""
    here = (*suite.data, *(data for data in suite.training if not data.absent))
    made = {data.name: _prepared(data, suite, root, progress) for data in here}
    for data in suite.data:
        _tell_copies(made[data.name], made.get(data.trained or ""))
    return made


def _prepared(data: Data, suite: Suite, root: Path, progress: Progress | None) -> Prepared:
    if data.absent:
        raise BenchError(f"{suite.suite} needs your copy of {data.name}: --data {data.name}=DIR")
    images = _images(data, suite, suite.size, root, progress)
    sides = {entry.at for entry, _ in fit.models(suite) if entry.at and fit.is_trained(entry)}
    others: dict[Size, ImageData] = {side: _images(data, suite, side, root, progress) for side in sorted(sides)}
    if data in suite.training:
        split = splits.only_training(data.name, images.fingerprint, images.ids, suite.seed)
        return Prepared(images, split, {}, others)
    if data.trained and not images.published and not data.split:
        data = data.model_copy(update={"train": 0, "test": data.test or len(images)})
    place = f"-{digest(str(data.folder.resolve()))[:6]}" if data.folder else ""  # other folders may have this name, too
    given = data.split.files if data.split else {}
    named = given | ({dataset.PEOPLE: data.identities} if data.identities else {})
    said = f"-{digest([[kind, identity.file_digest(path)] for kind, path in named.items()])[:6]}" if named else ""
    parts = f"{data.name}{place}-{suite.seed}-{data.train or 'all'}-{data.test or 'default'}{said}"
    path = root / suite.suite / "splits" / f"{parts}.json"
    split = images.split(suite.seed, data.train, data.test, given)
    if path.exists() and splits.load(path, images.fingerprint) != split:
        raise BenchError(
            f"{path} holds another split than is made of {data.name} today: delete it, or take another folder with "
            "--out (results of the two splits must not be compared)"
        )
    split.save(path)
    for shots in suite.shots if not data.trained else ():
        splits.shots(split, shots)
    return Prepared(images, split, {}, others)


def _images(data: Data, suite: Suite, size: Size, root: Path, progress: Progress | None) -> ImageData:
    """The images of a data set, with what is known beside them, at that size."""
    cache = root / "cache"
    height, width = extent(suite.size)
    squeezed = isinstance(size, int) and height != width  # of a row with `at`: it sees what it completes
    framing = Framing(suite.framing, (height, width) if squeezed else None)
    if data.folder is None:
        assert isinstance(size, int)  # see `bench.fit.check`
        count = int(data.train or 0) + int(data.test or 0)
        images = dataset.prepare_synthfaces(count, size, suite.seed, cache, progress)
    else:
        name, others = data.name if data.published else None, _named_otherwise(suite, root)
        images = dataset.prepare_folder(data.folder, size, cache, name, progress, others, framing)
    companions = {}
    for name, folder in data.beside.items():
        guide, order = guides.get(name), data.labels_order
        files = Files(folder, size, cache, progress, framing, order, images.place, images.fingerprint)
        companions[guide.companion] = replace(guide.prepared(files), place=folder)
    return replace(images, companions=companions)


def freeze(prepared: Prepared, data: Data, suite: Suite, root: Path) -> None:
    """Draw the test masks of all conditions of a data set and keep them."""
    images, split = prepared.images, prepared.split
    tested = images.indices(split.test)
    for companion in images.companions.values():
        images.namesakes(companion, tested)
    if images.people(tested) is None and any(
        dataset.PEOPLE in guides.get(name).reads("") for name in suite.needs | suite.guides
    ):
        say(
            f"{data.name}: whom its pictures show is not known, so an exemplar may show the same person: give a list "
            "of people (`identities`)"
        )
    for condition in suite.conditions:
        read = conditions.parse(condition)
        asked = guides.Asked(images, condition, tested, condition, read.source, suite.seed)
        for make in guides.makers(read.guides, asked).values():
            make(tested[:1])
        for name in read.guides:
            guides.get(name).check(images, tested)
        path = root / suite.suite / "masks" / data.name / f"{file_slug(condition)}.npz"
        prepared.masks[condition] = mask_set(path, read.masks, images, split, suite.seed)


def _paired(made: Plan, condition: str) -> Suite:
    """The suite, with masks that have the names of all test images paired with these."""
    suite, read = made.suite, masks.parse(condition)
    with about(read.argument):
        folder = masks.MaskFolder(str(read.argument))
    names = [name for data in suite.data for name in made.data[data.name].split.test]
    if read.generator != "folder" or not all(data.folder for data in suite.data) or folder.missing(names):
        return suite
    say(f"masks: each test image has the mask of its own name in {folder.path}")
    methods = [
        entry.model_copy(update={"conditions": _renamed(entry.conditions, condition)}) if entry.conditions else entry
        for entry in suite.methods
    ]
    return suite.model_copy(update={"conditions": _renamed(suite.conditions, condition), "methods": methods})


def _renamed(names: Sequence[str], condition: str) -> list[str]:
    return [f"{name}/paired" if name == condition else name for name in names]


def _tell_copies(tested: Prepared, trained: Prepared | None) -> None:
    """Say which training images, of a data set of their own where one is given, equal a test image, and their fate."""
    images, split = tested.images, tested.split
    of, copies, fate = "", split.copies, "do not train"
    if trained:
        of, fate = f" of {trained.images.name}", "stay, for the data set is given"
        copies = tuple(images.leaks(split, trained.images).items())
    elif not copies:
        copies, fate = tuple(images.leaks(split).items()), f"stay, for the split is given ({split.rule})"
    if copies:
        pairs = ", ".join(f"{name} = {same}" for name, same in copies[:SHOWN]) + (", ..." * (len(copies) > SHOWN))
        say(f"{images.name}: {len(copies):,} training images{of} equal test images and {fate}: {pairs}")


def _named_otherwise(suite: Suite, root: Path) -> dict[Path, str]:
    """Folders that are no pictures of a data set, though they may lie in it, and what the suite names them for."""
    named: list[tuple[Path | None, str]] = [(root, "runs")]
    for data in (*suite.data, *suite.training):
        named += [(folder, guides.get(name).files) for name, folder in data.beside.items()]
    for condition in suite.conditions:
        erased = masks.parse(conditions.parse(condition).masks)
        named.append((Path(erased.argument) if erased.generator == "folder" and erased.argument else None, "masks"))
    for entry in (*suite.methods, *suite.priors):
        named += [(path, f"files of {entry.method}") for path in suite.config_of(entry).files()]
    return {path.resolve(): what for path, what in named if path is not None}


def mask_set(path: Path, condition: str, images: ImageData, split: Split, seed: int) -> masks.MaskSet:
    """The frozen test masks of a condition; drawn once, for all processes that plan the run, and kept in `path`."""
    labels = semantics.maps(images, images.indices(split.test)) if masks.parse(condition).labelled else None
    maps = None if labels is None else list(labels.numpy())
    try:
        return masks.MaskSet.make(condition, images.size, len(split.test), seed, maps, split.test, kept=path)
    except masks.MaskError as error:
        if maps is None:
            raise
        raise _without_region(condition, images, split.test, maps, seed) or error from error


def _without_region(
    condition: str, images: ImageData, tested: Sequence[str], maps: Sequence[np.ndarray], seed: int
) -> BenchError | None:
    """Says which test images have no mask of a region; None where all have one."""
    lacking = []
    for number, labels in enumerate(maps):
        try:
            masks.draw(condition, images.size, seed, number, semantics=labels)
        except masks.MaskError:
            lacking.append(tested[number])
    if not lacking:
        return None
    erased = masks.parse(condition)
    what = f"no {erased.generator}" if erased.bucket is None else f"no {erased.generator} of {erased.bucket} %"
    place = images.companions[semantics.GUIDE.companion].place if images.companions else None
    return BenchError(
        f"condition '{condition}': {len(lacking):,} of {len(tested):,} test images of {images.name} have {what} "
        f"{f'in {place} ' if place else ''}({lists.some(lacking)}): take another region, or list with `split` the "
        "images that have it"
    )


def _expand(made: Plan) -> Iterator[Job]:
    suite = made.suite
    for entry in suite.methods:
        registered = registry.get(entry.method)
        trained = fit.learns(entry, suite)
        config = suite.config_of(entry)
        for data in suite.data:
            for shots in suite.shots if trained else suite.shots[:1]:
                for seed in suite.seeds if trained else (0,):
                    learned = data.trained if data.trained and trained else data.name
                    cell = {"dataset": learned, "shots": str(shots), "seed": seed}
                    *before, model = _models(entry, suite, made.named(learned), cell)
                    yield from (job for job in (*before, model) if isinstance(job, Job))
                    for condition in suite.conditions_of(entry) if registered.card.evaluated else ():
                        yield from _measured(entry, config, model, made, data.name, condition)


@dataclass(frozen=True)
class Untrained:
    """A method that needs no training job of its own: a classical fill, official weights, a sampler of a prior."""

    identity: dict[str, Any]
    row: dict[str, Any]
    needs: tuple[str, ...] = ()  # ids of the jobs that train its priors


def _models(
    entry: Entry,
    suite: Suite,
    prepared: Prepared,
    cell: dict[str, Any],
    wanted: fit.Presets = fit.NONE,
) -> Iterator[Job | Untrained]:
    """The training jobs of a row's priors, then of the row itself; each prior is one job for all that require it.

    A row with official weights has none. `wanted`: presets of priors, see `bench.fit.required`.
    """
    preset, config = suite.preset_of(entry), suite.config_of(entry)
    row = {"title": suite.title_of(entry), "method": entry.method, "preset": preset} | cell
    priors = {}
    required, wanted = fit.required(entry, suite, wanted)
    for prior in required:
        *before, model = _models(prior, suite, prepared, cell, wanted)
        yield from before
        yield model
        priors[prior.method] = model
    described = identity.of_model(entry, config, {slug: _reference(model) for slug, model in priors.items()})
    needs = tuple(dict.fromkeys(need for model in priors.values() for need in _awaited(model)))
    if not fit.is_trained(entry):
        yield Untrained(described, row, needs)
        return
    shown = [prepared.images.ids[i] for i in prepared.train(row["shots"])]
    images = prepared.at(entry.at or suite.size)
    trained = identity.of_training(described, entry, suite, images, shown, row["seed"])
    yield Job("train", _label("train", row), trained, row, needs, entry.resources or suite.resources)


def _reference(model: Job | Untrained) -> Any:
    return model.id if isinstance(model, Job) else model.identity


def _awaited(model: Job | Untrained) -> tuple[str, ...]:
    """Ids of the jobs that must be done before a model can be used."""
    return (model.id,) if isinstance(model, Job) else model.needs


def _measured(
    entry: Entry, config: Config, model: Job | Untrained, made: Plan, name: str, condition: str
) -> Iterator[Job]:
    """The jobs that complete the test images of one condition, and score them."""
    suite, prepared = made.suite, made.data[name]
    trained = (model.id,) if isinstance(model, Job) else ()
    tested, holes = prepared.split.test, prepared.masks[condition].fingerprint
    completed = identity.of_completion(
        model.identity, trained, entry, config, suite, prepared.images, tested, condition, holes
    )
    row = model.row | {"dataset": name, "condition": condition}
    resources = entry.resources or suite.resources
    completion = Job("complete", _label("complete", row), completed, row, _awaited(model), resources)
    scored = identity.of_score(completion.id, entry.method, suite, made.against(name))
    yield completion
    yield Job("score", _label("score", row), scored, row, (completion.id,), resources)


def _label(kind: str, row: dict[str, Any]) -> str:
    known = row["title"] == registry.get(row["method"]).card.name
    titled = "" if known else f" as {row['title']}"  # rows of one method are told apart
    parts = [f"{kind} {row['method']} ({row['preset']}){titled} on {row['dataset']}"]
    if row["shots"] != "all":
        parts.append(f"{row['shots']} shots")
    if row["seed"]:
        parts.append(f"seed {row['seed']}")
    return ", ".join([*parts, *([row["condition"]] if "condition" in row else [])])
