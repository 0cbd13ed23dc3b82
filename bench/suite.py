"""Suite files: what is compared, on what, and how it is measured. YAML, typed, every key documented."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bench import expect, registry, seed
from bench.choice import either
from bench.data import catalogue, sources
from bench.data.lists import HELD_OUT
from bench.errors import BenchError
from bench.expect import Expectation
from bench.framing import Rule, Size, extent, normal
from bench.nn.sizes import LARGEST, SMALLEST
from bench.sources import BackboneSource, Source, mixed
from bench.store import LONGEST, file_slug
from bench.study.design import Kind
from bench.trackers import Tracker
from bench.yamlfile import read_yaml

if TYPE_CHECKING:
    from bench.method import Config
    from bench.metrics.sets import Chosen

SUITES = files("bench") / "suites"
SMOKE: dict[str, Any] = {  # a suite in seconds: the same for all suites, so that they share their training jobs
    "size": 64,
    "data": [{"name": "synthfaces", "train": 16, "test": 8}],
    "shots": ["all"],
    "seeds": [0],
    "conditions": ["irregular/20-30", "center/25"],
    "train": {"steps": 2, "batch": 4, "features": "embedded", "precision": "32-true"},
    "metrics": [
        "perceptual@lite0",
        "perceptual@embedded",
        "l1@hole",
        "psnr",
        "fid@embedded",
        "identity@embedded",
        "emotion@embedded",
    ],
    "report": {"main": ["perceptual@lite0", "l1@hole"], "samples": 1},
}

SHAPES = (  # what options of the command line add to
    ("data", list, "a list of data sets"),
    ("methods", list, "a list of methods"),
    ("conditions", list, "a list of masks"),
    ("train", dict, "a table of settings"),
    ("smoke", dict, "a table of settings"),
)
MOST = 200_000  # cells of a suite
IMAGES = 10_000_000  # most of a data set
RESERVED = ("jobs", "cache", "profile")  # folders beside those of suites
PICTURES = ("original", "masked", "input", "exemplar", "steps")  # other pictures beside those of methods


class Section(BaseModel):
    """A part of a suite file; unknown keys are errors. The text below a key explains it in docs/suite.md and schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Lists(Section):
    """Files that say which images are for what: a list for each part, or one file for all."""

    train: Path | None = None
    """What trains: one name or path a line."""
    val: Path | None = None
    """What neither trains nor tests."""
    test: Path | None = None
    """What tests."""
    partition: Path | None = None
    """Lines `NAME 0|1|2`, as in CelebA's list_eval_partition.txt."""
    mapping: Path | None = None
    """CelebA-HQ-to-CelebA-mapping.txt: CelebA's own partition of CelebA-HQ."""
    held_out: Path | None = None
    """What tests, one name a line: all others train."""

    @model_validator(mode="after")
    def _check(self) -> Lists:
        if {*self.files} not in ({"partition"}, {"mapping"}, {"held_out"}) and (
            self.test is None or not {*self.files} <= {"train", "val", "test"}
        ):
            raise ValueError(
                "give {train: FILE, test: FILE}, with or without val; or one FILE of lines `NAME 0|1|2`; "
                f"or {{mapping: FILE}}, {{held_out: FILE}}; or the name of a published test: {', '.join(HELD_OUT)}"
            )
        return self

    @property
    def files(self) -> dict[str, Path]:
        """The files that are given, by what they say."""
        return {name: path for name, path in self if path is not None}


def _listed(value: Any) -> Any:
    if isinstance(value, str) and value in HELD_OUT:
        return {"held_out": HELD_OUT[value]}
    return {"partition": value} if isinstance(value, str | Path) else value


class Data(Section):
    """A data set: the embedded synthetic faces, or a folder or archive of images."""

    name: str = Field(pattern=r"^[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*$", max_length=80)
    """Printed in tables; `synthfaces` is the embedded generator, `facebench data list` shows published ones."""
    folder: Path | None = None
    """A folder, zip, tar, LMDB or Parquet of images; none for `synthfaces`, or where `--data NAME=DIR` gives it."""
    train: int | None = Field(default=None, ge=1, le=IMAGES)
    """Training images; default: what the test set leaves."""
    test: int | None = Field(default=None, ge=1, le=IMAGES)
    """Test images; default: the published split, else a fifth, at least 10 and at most 2,000."""
    split: Annotated[Lists | None, BeforeValidator(_listed, json_schema_input_type=str | Lists | None)] = None
    """Lists of images, instead of a draw or folders; or a FILE of lines `NAME 0|1|2`, or the published test lama."""
    published: bool = True
    """A name in `facebench data list` has its published split; false: it is read and split like any other folder."""
    labels: Path | None = None
    """Folder of label maps of the same names (CelebAMask-HQ's classes), for regions and guides."""
    labels_order: Literal["celebamask-hq", "face-parsing"] | None = None
    """How label maps are numbered; default: face-parsing."""
    degraded: Path | None = None
    """Folder of degraded copies of the same names, for the condition `degraded/given`."""
    captions: Path | None = None
    """Folder of text files of the same names, whose first lines guide by text."""
    landmarks: Path | None = None
    """Folder of files of 68 landmarks of the same names, NAME.txt or NAME.pts, which guide."""
    attributes: Path | None = None
    """CSV `name,ATTRIBUTE,...` of numbers that guide, or of groups for a report; list_attr_celeba.txt: groups."""
    identities: Path | None = None
    """List `NAME PERSON` as identity_CelebA.txt: exemplars, and tests that are drawn, show other people."""
    trained: str | None = None
    """Name of a data set of `training`: methods train on it, and all images of this one test."""

    @model_validator(mode="after")
    def _check(self) -> Data:
        if self.name == "synthfaces" and (self.train is None or self.test is None):
            raise ValueError("synthfaces is made on demand: say how many images with `train` and `test`")
        if self.name != "synthfaces" and self.folder is None and catalogue.known(self.name) is None:
            raise ValueError("give the `folder` that holds the images (or --data on the command line)")
        if self.labels_order and not self.labels:
            raise ValueError("`labels_order` says how label maps are numbered: give their folder, too, as `labels`")
        if self.split and (self.train or self.test or self.name == "synthfaces"):
            raise ValueError("`split` lists the images of a folder: leave out the numbers `train` and `test`")
        if self.split and "test" in self.split.files and not (self.split.train or self.trained):
            raise ValueError("`split` lists what tests and not what trains: add {train: FILE}")
        return self

    @property
    def beside(self) -> dict[str, Path]:
        """Folders of files that guide beside the images, or a file of all, by the names of `bench.data.guides`."""
        named = {
            "semantics": self.labels,
            "degraded": self.degraded,
            "text": self.captions,
            "landmarks": self.landmarks,
            "attributes": self.attributes,
            "identity": self.identities,
        }
        return {name: folder for name, folder in named.items() if folder is not None}

    @property
    def absent(self) -> bool:
        """Whether the user has yet to say where the images of this published data set are."""
        return _absent(self.model_dump())


def _named(value: Any) -> Any:
    return {"method": value} if isinstance(value, str) else value


class Resources(Section):
    """What one job asks of a Ray cluster: it starts where so much is free."""

    cpus: float = Field(default=1, gt=0)
    """Cores."""
    gpus: float | None = Field(default=None, ge=0)
    """0.5: two jobs share one; default: 1 where there are any."""
    memory: float | None = Field(default=None, gt=0)
    """GB of main memory; default: whatever the machine has."""

    @model_validator(mode="after")
    def _check(self) -> Resources:
        for key in ("cpus", "gpus"):
            value = getattr(self, key) or 0
            if value > 1 and value != int(value):
                raise ValueError(f"{key}: {value} is neither a part of one nor a whole number")
        return self


class Entry(Section):
    """A row of the tables: a method, its preset and options. A bare name stands for {method: name}."""

    method: str
    """Its name in `facebench list`."""
    preset: str | None = None
    """`facebench info METHOD` lists them; default: `tiny` at 64 px and below where the method has it, else `paper`."""
    variant: str | None = None
    """An ablation of the paper: `facebench info METHOD` lists them."""
    options: dict[str, Any] = {}
    """Single options of the preset, changed."""
    title: str | None = None
    """Its name in tables; default: the method's, and the variant."""
    steps: int | None = Field(default=None, ge=1)
    """Training iterations of this method; default: `train: steps`."""
    batch: int | None = Field(default=None, ge=1)
    """Images an iteration of this method; default: `train: batch`."""
    at: int | None = Field(default=None, ge=SMALLEST, le=LARGEST)
    """The side, in pixels, at which it is trained and completes; pictures are resized there and back."""
    weights: Path | None = None
    """An official checkpoint instead of training."""
    trained_on: Path | None = None
    """List of the images that `weights` were trained on; default: as the card says."""
    paste: bool = True
    """Score known pixels as the original's; false: as the method left them."""
    conditions: Annotated[list[str], Field(min_length=1)] | None = None
    """In which of the suite's conditions it completes; default: in all."""
    resources: Resources | None = None
    """Of the jobs of this method; default: the suite's."""

    @model_validator(mode="after")
    def _check(self) -> Entry:
        if self.trained_on and not self.weights:
            raise ValueError(
                "`trained_on` lists what a file of weights was trained on: give the file, too, as `weights`"
            )
        return self

    def with_variant(self, name: str) -> str:
        """A name of the method with the ablation behind it: `GRIG (A)`."""
        if not self.variant:
            return name
        return f"{name} {self.variant}" if self.variant.startswith("(") else f"{name} ({self.variant})"


Row = Annotated[Entry, BeforeValidator(_named, json_schema_input_type=str | Entry)]


class Outside(Section):
    """A row of a program that is no method here: `facebench run SUITE --outside DIR` measures its pictures."""

    title: str
    """Its name in tables; its pictures lie in DIR/TITLE/CONDITION/NAME.png, docs/outside-systems.md says how."""
    paste: bool = True
    """Score known pixels as the original's; false: as the program left them."""
    conditions: Annotated[list[str], Field(min_length=1)] | None = None
    """In which of the suite's conditions there are pictures; default: in all."""
    expect: list[str] = []
    """What its results must show."""


class Features(Section):
    """Where the networks behind training losses come from, each by itself."""

    projected: BackboneSource
    """Backbone of projected discriminators; imagenet: the extra `backbones` brings it."""
    perceptual: Source
    """All others: VGG, LPIPS, face recognition."""

    def __str__(self) -> str:
        return f"{{projected: {self.projected}, perceptual: {self.perceptual}}}"


Seed = Annotated[int, Field(ge=0, le=seed.LARGEST)]
Side = Annotated[int, Field(ge=SMALLEST, le=LARGEST)]
Shots = Annotated[Annotated[int, Field(ge=1)] | Literal["all"], either("a number of images from 1 on, or all")]
Sides = Annotated[list[Side], Field(min_length=2, max_length=2)]


def _sized(value: Any) -> Any:
    """A size in its normal form."""
    sides = list(value) if isinstance(value, list | tuple) else [value]
    if len(sides) not in (1, 2) or not all(type(side) is int and SMALLEST <= side <= LARGEST for side in sides):
        raise ValueError(
            f"{value!r} is no size: give the side of square pictures, {SMALLEST} to {LARGEST:,} pixels, or "
            "[height, width]"
        )
    return normal(sides if len(sides) == 2 else sides[0])


KINDS = ("word", "each")  # of `features`, which pydantic tells in the place of a problem


def _kind(value: Any) -> str:
    return KINDS[isinstance(value, Mapping | Features)]


class Train(Section):
    """The training budget and what stands in for weights that are not there."""

    steps: int = Field(default=1000, ge=1)
    """Iterations a method; stages share them."""
    batch: int = Field(default=8, ge=1)
    """Images an iteration."""
    features: Annotated[
        Annotated[Literal["official", "embedded", "auto"], Tag(KINDS[0])] | Annotated[Features, Tag(KINDS[1])],
        Discriminator(_kind),
    ] = "official"
    """Networks behind losses, of all kinds or of each; auto: what needs no download."""
    checkpoint: int = Field(default=200, ge=1)
    """Iterations between checkpoints."""
    trackers: list[Tracker] = []
    """Also log the losses there: tensorboard, mlflow, wandb (extras `tensorboard`, `trackers`), in the job's folder."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """auto: bf16 on a GPU that has it, else fp32."""
    compile: bool = False
    """torch.compile for the networks: faster steps after minutes of compiling; other last bits."""

    @model_validator(mode="before")
    @classmethod
    def _named_before(cls, given: Any) -> Any:
        """`tensorboard: true` of earlier suites."""
        if not isinstance(given, Mapping) or type(given.get("tensorboard")) is not bool:
            return given
        rest = {key: value for key, value in given.items() if key != "tensorboard"}
        return rest | {"trackers": [*rest.get("trackers", []), *["tensorboard"] * given["tensorboard"]]}


class Report(Section):
    """What the report shows."""

    main: list[str] = ["perceptual@embedded", "l1@hole"]
    """Metrics of the table that ends a run; default: these two where both are measured, else the suite's first two."""
    groups: list[str] = []
    """Attributes by whose groups results are shown, too: of `data: attributes`, or of synthfaces."""
    samples: int = Field(default=4, ge=0)
    """Test images kept for the picture grid, from each condition."""


class Study(Section):
    """A user study of the pictures: what `facebench study make` does where no option says otherwise."""

    kind: Kind = "2afc"
    """Order all pictures (ranking), choose between two (2afc), or choose the best of all (best)."""
    against: str | None = None
    """2afc: only pairs with this row, by title; default: all pairs."""
    images: int = Field(default=100, ge=1)
    """Test images of each data set that are judged."""
    questions: int = Field(default=20, ge=1, le=500)
    """That each person is asked, without controls."""
    people: int = Field(default=20, ge=1, le=10_000)
    """Pages to make."""
    repeated: int = Field(default=2, ge=0)
    """Of the questions, how many each person is asked again."""
    obvious: int | None = Field(default=None, ge=0)
    """Questions with one right answer; default: so many that guessing passes in at most 2 of 100 cases."""
    original: bool = True
    """Show the original picture, too."""


class Smoke(Section):
    """The smoke run of a suite: its rows in their smallest presets, trained for a moment on synthetic faces."""

    conditions: list[str] = []
    """Default: two kinds of masks."""
    expect: list[str] = []
    """What it must show."""


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Suite(Section):
    """A suite: methods x data sets x shots x conditions x seeds."""

    suite: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=80)
    """Its name, of small letters, digits, `.`, `_` and `-`; also the folder of its results."""
    title: str = ""
    """One line for reports."""
    version: int = 1
    """Of the protocol: raise it when numbers are no longer comparable."""
    size: Annotated[Size, BeforeValidator(_sized, json_schema_input_type=Side | Sides)] = 256
    """Pixels of a side; or [height, width] of pictures that are not square."""
    framing: Rule = "crop"
    """How pictures come into it: their largest central part, or all of them, padded by their outermost pixels."""
    seed: Seed = 0
    """Of splits, masks and draws."""
    seeds: list[Seed] = Field(default=[0], min_length=1)
    """One training run each."""
    data: list[Data] = Field(min_length=1)
    """What methods train on, and what tests them."""
    training: list[Data] = []
    """Data sets that only train, with all their images, or that `fid/NAME` reads."""
    methods: list[Row] = Field(min_length=1)
    """The rows of the tables."""
    outside: list[Outside] = []
    """Further rows, of programs that are no methods here; --outside takes those whose pictures are there."""
    priors: list[Row] = []
    """How priors that methods require are made; default: they are trained, too."""
    shots: list[Shots] = ["all"]
    """Training images: numbers, or all."""
    conditions: list[str] = Field(min_length=1)
    """Masks, guided or not, or degradations; `facebench list --masks` shows the generators."""
    completions: int = Field(default=1, ge=1, le=100)
    """Of each test image, each with a seed of its own."""
    train: Train = Train()
    """The training budget."""
    metrics: Annotated[list[str], BeforeValidator(_several, json_schema_input_type=str | list[str])] = Field(
        min_length=1
    )
    """Metrics, or sets of them: `facebench list --metrics` shows both."""
    report: Report = Field(default=Report(), validate_default=True)
    """Its tables and pictures."""
    study: Study = Study()
    """A user study of its pictures."""
    keep: Literal["all", "samples", "none"] = "all"
    """Completed pictures that stay on the disk; without them a new metric completes again."""
    retries: int = Field(default=1, ge=0, le=100)
    """How often a job is tried again that failed by what may pass, such as want of memory."""
    resources: Resources = Resources()
    """What a job asks of a cluster."""
    expect: list[str] = []
    """What the results must show: a run says whether they do, and `pytest SUITE.yaml` makes tests of it."""
    smoke: Smoke | None = None
    """The suite in seconds: `facebench run SUITE --smoke`."""

    @field_validator("report")
    @classmethod
    def _measured(cls, report: Report, info: ValidationInfo) -> Report:
        """The report with a main table that holds only what is measured, unless the user chose it."""
        if "main" in report.model_fields_set or not {"size", "training", "conditions", "metrics"} <= info.data.keys():
            return report
        metrics = _chosen(info.data).metrics
        if set(report.main) <= set(metrics):
            return report
        several = sum(name.startswith("ssim") for name in metrics[:2]) > 1  # which never share a table
        return report.model_copy(update={"main": metrics[: 1 if several else 2]})

    @model_validator(mode="after")
    def _check(self) -> Suite:
        from bench import condition, metrics
        from bench.metrics import sets

        sections = (("methods", self.methods), ("priors", self.priors))
        checks: list[Check] = [
            (f"{key}.{i}.method", registry.get, entry.method)
            for key, entries in sections
            for i, entry in enumerate(entries)
        ]
        checks += [(f"conditions.{i}", condition.parse, name) for i, name in enumerate(self.conditions)]
        checks += [(f"metrics.{i}", sets.check, name) for i, name in enumerate(self.metrics)]
        checks += [
            (f"report.main.{i}", metrics.get, name)
            for i, name in enumerate(self.report.main)
            if name not in self.measured
        ]
        _each(checks)
        for name in self.report.main:
            if name not in self.measured:
                raise ValueError(f"report.main: {name!r} is not among the metrics of this suite")
        if len(variants := [name for name in self.report.main if name.startswith("ssim")]) > 1:
            raise ValueError(f"report.main: {' and '.join(variants)} are different measures: one a table")
        for key, values in (("conditions", self.conditions), ("shots", self.shots), ("seeds", self.seeds)):
            if len(set(map(str, values))) < len(values):
                raise ValueError(f"{key}: a value stands there twice")
        names = [data.name for data in (*self.data, *self.training)]
        if len(set(names)) < len(names):
            raise ValueError("data: two data sets have the same name")
        for i, data in enumerate(self.training):
            if data.split:
                raise ValueError(f"training.{i}.split: all images of {data.name} train: leave it out")
        if any(data.attributes for data in self.data) and not (self.report.groups or self._guided_by_attributes):
            raise ValueError(
                "data: `attributes` guide a condition such as repose, or group results: name those to show as "
                "`report: {groups: [NAME, ...]}`"
            )
        others = [data.name for data in self.training]
        for i, data in enumerate(self.data):
            if data.trained not in (None, *others):
                raise ValueError(
                    f"data.{i}.trained: {data.trained!r} is none of `training`: {', '.join(others) or '-'}"
                )
        for name in self.measured:
            if (read := metrics.get(name).reference) not in (None, "train", *others):
                raise ValueError(
                    f"metrics: {name}: {read!r} is none of `training`: {', '.join(others) or '-'}, or train"
                )
        checks = [(f"methods.{i}", self._check_conditions, entry) for i, entry in enumerate(self.methods)]
        checks += [(f"conditions.{i}", self._check_labels, name) for i, name in enumerate(self.conditions)]
        _each([*checks, *((f"outside.{i}", self.conditions_of, row) for i, row in enumerate(self.outside))])
        if not self.measured:
            raise ValueError(f"metrics: nothing is left: {'; '.join(self.left_out)}")
        titles = [self.title_of(entry) for entry in self.methods]
        if len(set(titles)) < len(titles):
            raise ValueError("methods: two rows would have the same title; set `title` to tell them apart")
        folders = [file_slug(title).lower() for title in titles]
        for i, (title, folder) in enumerate(zip(titles, folders, strict=True)):
            if folder in (*PICTURES, *folders[:i]) or len(title) > LONGEST:
                raise ValueError(
                    f"methods.{i}.title: {title[:80]!r} cannot name a folder of its own beside the other rows and "
                    f"{', '.join(PICTURES)}: choose another title"
                )
        if self.suite in RESERVED:
            raise ValueError(f"suite: {self.suite!r} is the name of another folder of the results: choose another one")
        counts = len(self.methods), len(self.data), len(self.shots), len(self.seeds), len(self.conditions)
        if (cells := math.prod(counts)) > MOST:
            raise ValueError(f"the suite has {cells:,} cells, more than {MOST:,}: split it into several suites")
        _each((f"expect.{i}", partial(expect.read, suite=self), line) for i, line in enumerate(self.expect))
        return self

    @property
    def needs(self) -> set[str]:
        """The guides that its methods need."""
        return {guide for entry in self.methods for guide in registry.get(entry.method).card.needs}

    @property
    def guides(self) -> set[str]:
        """The guides that its conditions show."""
        from bench import condition

        return {guide for name in self.conditions for guide in condition.parse(name).guides}

    @property
    def _guided_by_attributes(self) -> bool:
        """Whether a condition or a method reads the numbers of `data: attributes`."""
        cards = [registry.get(entry.method).card for entry in (*self.methods, *self.priors)]
        read = {guide for card in cards for guide in (*card.needs, *card.takes, *card.learns)}
        return bool((read | self.guides) & {"attributes", "wanted"})

    def _check_conditions(self, entry: Entry) -> None:
        """Restoration starts from a degraded picture, and nothing else does."""
        from bench import condition

        card = registry.get(entry.method).card
        for name in self.conditions_of(entry):
            degraded = condition.parse(name).degraded
            if degraded and "degraded" not in (*card.needs, *card.takes):
                raise ValueError(f"{entry.method} fills holes and restores no pictures: {name} is nothing for it")
            if not degraded and "degraded" in card.needs:
                raise ValueError(f"{entry.method} restores degraded pictures: {name} is nothing for it")

    def _check_labels(self, name: str) -> None:
        """Regions of label maps can be holes only where there are such maps."""
        import masks
        from bench import condition

        lacking = [data.name for data in self.data if data.folder and not data.labels]
        if lacking and masks.parse(condition.parse(name).masks).labelled:
            raise ValueError(
                f"{name} erases regions of label maps, and {lacking[0]} has none: say `labels: DIR` of it, or "
                f"--labels {lacking[0]}=DIR"
            )

    @property
    def measured(self) -> list[str]:
        """The metrics, those of sets by their own names."""
        return _chosen(dict(self)).metrics

    @property
    def left_out(self) -> list[str]:
        """What the sets of its metrics are without, with the reason and the remedy."""
        return _chosen(dict(self)).left_out

    @property
    def expectations(self) -> list[Expectation]:
        """The lines of `expect`, read."""
        return [one for line in self.expect for one in expect.read(line, self)]

    def preset_of(self, entry: Entry) -> str:
        """The preset of a row."""
        presets = registry.get(entry.method).load().presets
        if entry.preset is None:
            return "tiny" if max(extent(entry.at or self.size)) <= 64 and "tiny" in presets else "paper"
        return entry.preset

    def config_of(self, entry: Entry) -> Config:
        """The options of a row."""
        return registry.get(entry.method).load().configure(self.preset_of(entry), entry.variant, entry.options)

    def made_of(self, entry: Entry) -> tuple[str, dict[str, Any]]:
        """The method of a row and its options, JSON-like."""
        return entry.method, self.config_of(entry).model_dump(mode="json")

    def source_of(self, entry: Entry) -> Source:
        """Where the networks behind a row's losses come from; `auto` that is not settled yet counts as embedded."""
        features = self.train.features
        if not isinstance(features, Features):
            return "embedded" if features == "auto" else features
        backbone = registry.get(entry.method).card.backbone
        return mixed(features.perceptual, features.projected if backbone else features.perceptual)

    def prior(self, slug: str, preset: str) -> Entry:
        """How a required prior is made: as `priors` says, else trained in the preset of the method that requires it."""
        return next((entry for entry in self.priors if entry.method == slug), Entry(method=slug, preset=preset))

    def conditions_of(self, entry: Entry | Outside) -> list[str]:
        """The conditions of a row, in the suite's order. ValueError for one that is not the suite's."""
        if entry.conditions is None:
            return self.conditions
        if unknown := [name for name in entry.conditions if name not in self.conditions]:
            raise ValueError(f"conditions: {unknown[0]!r} is none of the suite's: {', '.join(self.conditions)}")
        return [name for name in self.conditions if name in entry.conditions]

    def title_of(self, entry: Entry) -> str:
        """The printed name of a row."""
        return title_of(entry)


def _chosen(fields: Mapping[str, Any]) -> Chosen:
    from bench.metrics import sets

    references = ["train", *(data.name for data in fields["training"])]
    truth = set(fields["conditions"]) != {"degraded/itself"}
    return sets.chosen(fields["metrics"], min(extent(fields["size"])), references, truth)


def title_of(entry: Entry) -> str:
    """The printed name of a row."""
    return entry.title or entry.with_variant(registry.get(entry.method).card.name)


Check = tuple[str, Callable[[Any], object], Any]  # key of the file, what looks at its value, the value


def _each(checks: Iterable[Check]) -> None:
    """Look at each value; ValueError with the problems of all of them."""
    problems = []
    for key, check, value in checks:
        try:
            check(value)
        except (BenchError, ValueError) as error:
            problems.append(f"{key}: {error}")
    if problems:
        raise ValueError(*problems)


def shipped() -> dict[str, Path]:
    """The suites that ship with the product, by name."""
    paths = (Path(str(file)) for file in SUITES.iterdir())
    return {path.stem: path for path in sorted(paths, key=lambda path: path.stem) if path.suffix == ".yaml"}


def file(name: str) -> Path:
    """The file of a suite that ships, or the given YAML file."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return path
    known = shipped()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"shipped are {', '.join(known)}"
        raise BenchError(f"there is no suite {name!r}: {hint}; or give the path of a .yaml file")
    return known[name]


def content(name: str) -> dict[str, Any]:
    """What a suite that ships, or a YAML file, says. BenchError names the file and the remedy."""
    path = file(name)
    found = read_yaml(path)
    if not isinstance(found, dict):
        raise BenchError(f"{path} is not a suite: it must hold keys such as `suite`, `data`, `methods`, `conditions`")
    found = {key: value for key, value in found.items() if value is not None}
    for key, kind, what in SHAPES:
        if not isinstance(found.get(key, kind()), kind):
            raise BenchError(f"{path}: {key}: must be {what}")
    return found


def load(name: str) -> Suite:
    """A suite that ships with the product, or a YAML file."""
    return parse(content(name), name)


def select(entries: list[Any], wanted: Iterable[str], also: Collection[str] = ()) -> list[Any]:
    """The rows of a suite with these names (see `called`), and those with the titles `also`."""
    known = [called(entry) for entry in entries]
    names = {name.lower(): name for row in known for name in row}
    for name in wanted:
        if name.lower() not in names:
            close = difflib.get_close_matches(name.lower(), names, n=1)
            hint = f"did you mean {names[close[0]]}?" if close else f"it has {', '.join(row[0] for row in known)}"
            raise BenchError(f"--methods: the suite has no row {name!r}: {hint}")
    chosen = {name.lower() for name in wanted}
    return [
        entry
        for entry, row in zip(entries, known, strict=True)
        if row[0] in also or chosen.intersection(name.lower() for name in row)
    ]


def called(entry: Any) -> tuple[str, ...]:
    """The names of a row, as a file says it: its title, which no other row has, `method (variant)`, and its method."""
    entry = _named(entry)
    try:
        row = Entry.model_validate(entry)
        return title_of(row), row.with_variant(row.method), row.method
    except (BenchError, ValidationError):  # `parse` says what is wrong with it
        return (str(entry.get("method") if isinstance(entry, dict) else entry),)


def smoke(content: Mapping[str, Any]) -> dict[str, Any]:
    """The smoke run of a suite, as content: its rows in small, without those that need a folder of the user's, and a
    floor, Telea's fill or the degraded picture."""
    if not content.get("smoke"):
        raise BenchError(f"the suite {content.get('suite')} has no `smoke` section")
    rows = [row for row in map(_named, content.get("methods", [])) if not _from_folder(row)]
    small = ("method", "variant", "options", "title")
    kept = [{k: v for k, v in row.items() if k in small} if isinstance(row, dict) else row for row in rows]
    conditions = content["smoke"].get("conditions") or SMOKE["conditions"]
    floor = "input" if str(conditions[0]).startswith("degraded/") else "telea"
    if not any(isinstance(row, dict) and row.get("method") == floor for row in kept):
        kept.append({"method": floor})
    name, title = f"{content.get('suite')}-smoke", f"{content.get('title', '')} (smoke run)".strip()
    return {"suite": name, "title": title, "methods": kept} | SMOKE | content["smoke"]


def _from_folder(row: Any) -> bool:
    """Whether a row's networks are those of a folder: it has no small preset."""
    entry = registry.entries().get(str(row.get("method"))) if isinstance(row, dict) else None
    return entry is not None and entry.card.from_folder


def located(
    content: Mapping[str, Any], given: Sequence[str], **companions: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """The sections `data` and `training` of a suite, with the folders of --data and of what belongs to the images.

    `given`: of --data. `companions`: of --labels, --labels-order, --degraded, --captions, --landmarks, --attributes
    and --identities, by their names in `Data`.
    Each is NAME=DIR (or NAME=ORDER), or DIR where there is one data set.

    One DIR of --data is the folder of the suite's only published data set, else it takes the place of all data.
    Published data sets without a folder are left out when others have one.
    """
    sections = {key: content.get(key) or [] for key in ("data", "training")}
    entries = [*sections["data"], *sections["training"]]
    if not all(isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in entries):
        return {}  # `parse` says what is wrong
    names = [entry["name"] for entry in entries]
    folders: list[tuple[str, str]] = []
    for text in given:
        name, sign, folder = text.partition("=")
        if sign and name in names:
            folders.append((name, folder))
        elif len(given) > 1 or (sign and not Path(text).exists()):
            wanted = " ".join(f"--data {name}=DIR" for name in names)
            raise BenchError(f"--data {text}: the suite takes {wanted or 'one folder'}")
        elif len(names) == 1 and _absent(entries[0]):
            folders.append((names[0], text))
        else:
            own = {"name": sources.title(Path(text)), "folder": text, "published": False}
            sections["data"], names = [own], [own["name"]]
    beside = {what: assigned(f"--{what.replace('_', '-')}", texts, names) for what, texts in companions.items()} | {
        "folder": once("--data", folders)
    }
    placed = {
        key: [
            entry | {what: found[entry["name"]] for what, found in beside.items() if entry["name"] in found}
            for entry in section
        ]
        for key, section in sections.items()
    }
    placed["data"] = [entry for entry in placed["data"] if not _absent(entry)]
    if content.get("data") == [] and not placed["data"]:
        raise BenchError(f"the suite {content.get('suite')} is for your own images: add --data DIR")
    if entries and not placed["data"]:
        wanted = " ".join(f"--data {name}=DIR" for name in names)
        raise BenchError(f"the suite needs your copies of its data sets, all or some: {wanted}")
    return {key: section for key, section in placed.items() if section != (content.get(key) or [])}


def still_expected(content: Mapping[str, Any], changes: Mapping[str, Any]) -> list[str]:
    """The lines of `expect` that a changed suite keeps: where it is only said where images are, those about them.

    Any other change makes another suite, of which nothing is expected.
    """
    before, now = (
        [str(entry["name"]) for entry in part.get("data") or []] for part in (content, {**content, **changes})
    )
    if not (changes.keys() <= {"data", "training"} and {*now} <= {*before}):
        return []
    left_out = {*before} - {*now}
    return [line for line in content.get("expect", []) if left_out.isdisjoint(re.split(r"[\s,\[\]]+", str(line)))]


def assigned(option: str, texts: Sequence[str], names: Sequence[str], whose: str = "suite") -> dict[str, str]:
    """Value by name of NAME=VALUE, or of VALUE where there is one name. `whose`: what has these names, for errors.

    BenchError where a text names none of them, or one that another names.
    """
    return once(option, [_assigned(option, text, names, whose) for text in texts])


def _assigned(option: str, text: str, names: Sequence[str], whose: str) -> tuple[str, str]:
    name, sign, folder = text.partition("=")
    if sign and name in names:
        return name, folder
    if len(names) == 1 and not sign:
        return names[0], text
    value = {"--labels-order": "ORDER", "--attributes": "FILE", "--identities": "FILE"}.get(option, "DIR")
    wanted = " ".join(f"{option} {name}={value}" for name in names) or "no folder: its images are drawn, or it has none"
    raise BenchError(f"{option} {text}: the {whose} takes {wanted}")


def once(option: str, given: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The values of an option by their names; BenchError where one name has two."""
    found: dict[str, str] = {}
    for name, value in given:
        if name in found:
            raise BenchError(f"{option} gives {name} twice, {found[name]} and {value}: leave one of them")
        found[name] = value
    return found


def _absent(entry: Mapping[str, Any]) -> bool:
    return entry["name"] != "synthfaces" and not entry.get("folder")


SPELT = {
    "suite": "take small letters, digits, '.', '_' and '-', as in my-suite",
    "name": "it must not begin with '.' or hold '/' or '\\\\'",
}


def parse(content: Mapping[str, Any], source: str) -> Suite:
    """A suite from its content; `source` names it in errors. Test masks that also train are refused."""
    try:
        suite = Suite.model_validate(content)
        _check_masks(suite)
        return suite
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            key = ".".join(str(part) for part in problem["loc"] if part not in KINDS)
            messages = [problem["msg"]]
            if problem["type"] == "extra_forbidden":
                messages = [f"unknown key{_close(str(problem['loc'][-1]), problem['loc'][:-1])}"]
            elif problem["type"] == "string_pattern_mismatch":
                messages = [f"{problem['input']!r} is no name: {SPELT[str(problem['loc'][-1])]}"]
            elif problem["type"] == "value_error":
                messages = list(problem["ctx"]["error"].args)
            lines += [f"  {key + ': ' if key else ''}{message}" for message in messages]
        raise BenchError("\n".join([f"{source}: {len(lines)} problem(s) in the suite", *lines])) from None


def _check_masks(suite: Suite) -> None:
    """Generators draw other masks for training than for the test; mask files must be others, too."""
    from bench import condition
    from masks.overlap import shared
    from masks.training import recipe_of

    erased = [condition.parse(name).masks for name in suite.conditions]
    tested = [name for name in erased if name.startswith(("folder:", "frozen:"))]
    for entry in (*suite.methods, *suite.priors):
        trained = recipe_of(str(entry.options.get("masks", "")))[1]
        for name in tested if trained else ():
            if found := shared(trained, name, suite.size):
                ours, theirs = found[0]
                raise BenchError(
                    f"{suite.suite}: {entry.method} would train with masks that test it: {len(found)} of {trained} "
                    f"stand in {name}, for example {ours} = {theirs}; take other files, or buckets that do not overlap"
                )


def _close(key: str, where: tuple[int | str, ...]) -> str:
    sections: dict[str, type[Section]] = {
        "data": Data,
        "split": Lists,
        "methods": Entry,
        "priors": Entry,
        "outside": Outside,
        "train": Train,
        "features": Features,
        "report": Report,
        "study": Study,
        "resources": Resources,
        "smoke": Smoke,
    }
    section: type[Section] = Suite
    for part in where:
        section = sections.get(str(part), section)
    close = difflib.get_close_matches(key, section.model_fields, n=1)
    return f" (did you mean {close[0]}?)" if close else f"; allowed are {', '.join(section.model_fields)}"
