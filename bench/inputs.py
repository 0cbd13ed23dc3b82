"""What another program is given to complete: pictures, masks and guides of a suite, and the place of its results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from bench import condition as conditions
from bench import export, matching
from bench.batch import Batch
from bench.data import guides, labels
from bench.data.guides import semantics
from bench.data.guides.semantics import Semantics
from bench.errors import BenchError
from bench.jobs import Plan
from bench.metrics.images import to_uint8
from bench.samples import save_png
from bench.store import digest, file_slug, read_json, write_json, write_text
from bench.suite import Suite
from bench.task import Task

FACTS, README, RESULTS = "inputs.json", "README.txt", "results"
MASKED, TEXT, PROMPTS = "masked", "text", "prompts.txt"
KINDS = {
    export.ORIGINALS: "the test pictures",
    export.HOLES: "white (255) = hole, black (0) = known",
    MASKED: "the known pixels; holes are grey (128), as the methods of the benchmark see them",
}
"""What lies in the folders of every condition; a guide has a folder of its name."""
FIRST = "Inputs for another program, written by `facebench export inputs`.\n"


@dataclass(frozen=True)
class Inputs:
    """One data set and condition."""

    dataset: str
    task: Task
    root: Path
    order: str = labels.OWN  # how label maps are numbered

    @property
    def folder(self) -> Path:
        """Where the inputs lie, as `facebench export images` lays out its pictures."""
        return self.root / self.dataset / file_slug(self.task.condition)

    @property
    def results(self) -> Path:
        """Where the results of this condition belong; the folder above it is that of a row `external`."""
        return self.root / self.dataset / RESULTS / self.folder.name

    @property
    def facts(self) -> dict[str, Any]:
        """What decides every file of the folder."""
        images = self.task.images
        return {
            "condition": self.task.condition,
            "images": images.fingerprint,
            "beside": images.beside,
            "names": digest(export.stems(self.task)),
            "masks": self.task.masks.fingerprint,
            "size": list(self.task.masks.size),
            "seed": self.task.seed,
            "guides": sorted(self.task.guides),
        } | ({} if self.order == labels.OWN else {"labels": self.order})

    def check(self) -> None:
        """BenchError where the folder holds anything but a part of these very inputs."""
        path = self.folder / FACTS
        if path.exists():
            if read_json(path) != self.facts:
                raise BenchError(
                    f"{self.folder} holds inputs of other pictures, masks or guides: delete it or choose another folder"
                )
        elif self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise BenchError(f"{self.folder} is there already, and of something else: choose another folder")
        for below in (*KINDS, *guides.every()):
            export.check_others(self.folder / below, export.stems(self.task))

    def write(self, step: Callable[[int], None]) -> None:
        """Write what is not there yet; `step` is called with the number of pictures that are done."""
        write_json(self.folder / FACTS, self.facts)
        self.results.mkdir(parents=True, exist_ok=True)
        names = iter(export.stems(self.task))
        prompts = []
        for batch in self.task.batches():
            called = [next(names) for _ in range(len(batch))]
            for below, contents in _contents(batch, self.order):
                for name, content in zip(called, contents, strict=True):
                    _save(self.folder / below / name, content)
                    if below == TEXT:
                        prompts.append(f"{name}\t{str(content).strip()}\n")
            step(len(batch))
        export.export_order(self.task, self.folder)
        if prompts:
            write_text(self.folder / PROMPTS, "".join(prompts))


def of_suite(made: Plan, root: Path, order: str = labels.OWN) -> list[Inputs]:
    """The inputs of a suite whose data are ready. Guides are those of its conditions, and those that a row needs.

    `order`: how label maps are numbered, one of `bench.data.labels.ORDERS`; BenchError for another one.
    """
    if order not in labels.ORDERS:
        raise BenchError(f"--labels-as: {order!r} is none of {', '.join(labels.ORDERS)}")
    needs = tuple(sorted(made.suite.needs & set(guides.shown())))
    return [
        Inputs(
            data.name,
            Task(found.images, found.test, found.masks[condition], condition, made.suite.seed, needs),
            root,
            order,
        )
        for data in made.suite.data
        for found in (made.data[data.name],)
        for condition in made.suite.conditions
    ]


def write(suite: Suite, every: list[Inputs], root: Path, step: Callable[[int], None]) -> None:
    """Write the inputs of a suite below `root`, and a page that says what they are; what is there stays.

    Raises BenchError before anything is written where `root` holds files of something else.
    """
    path = root / README
    if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(FIRST):
        raise BenchError(f"{path} is there already, and of something else: choose another folder")
    if inside := next((data for data in suite.data if data.folder and _within(root, data.folder)), None):
        raise BenchError(
            f"{root} lies in the images of {inside.name}, which would become others: choose another folder"
        )
    for inputs in every:
        inputs.check()
    write_text(path, readme(suite, every))
    for inputs in every:
        inputs.write(step)


def readme(suite: Suite, every: list[Inputs]) -> str:
    """What to give to the program, what must come back under which names, and the rows of a suite that read it."""
    first = every[0]
    height, width = first.task.masks.size
    shown = sorted({guide for inputs in every for guide in inputs.task.guides})
    erased = any(not conditions.parse(inputs.task.condition).degraded for inputs in every)
    always = {export.ORIGINALS, export.HOLES, *([MASKED] if erased else [])}
    told = {kind: KINDS[kind] for kind in KINDS if kind in always} | {name: _told(name, first.order) for name in shown}
    kinds = [f"  {below + '/':12} {said}" for below, said in told.items()]
    many = suite.completions > 1
    called = "NAME_0.png" if many else "NAME.png"
    further = f" (and so on: {suite.completions} of each picture, counted from 0)" if many else ""
    rows = []
    for dataset, results in dict.fromkeys((inputs.dataset, inputs.results.parent) for inputs in every):
        options = {"folder": str(results.resolve())} | (
            {"match": f"{matching.PLAIN}_{matching.NUMBER}"} if many else {}
        )
        said = json.dumps(options, ensure_ascii=False)
        rows.append(f"  - {{method: external, title: My method, options: {said}}}  # {dataset}")
    several = (
        "\nA row reads the results of one data set: run the data sets one after another, each with its row.\n"
        if len(rows) > 1
        else ""
    )
    listed = "\n".join(
        f"  {inputs.dataset}/{inputs.folder.name}/  {len(inputs.task.positions)} pictures, {inputs.task.condition}"
        for inputs in every
    )
    kinds.append(f"  {matching.ORDER:12} the names, one a line, in the order of the test list")
    kinds += [f"  {PROMPTS:12} the same sentences in one file, NAME<tab>SENTENCE a line"] * (TEXT in shown)
    lines = "\n".join(kinds)
    outside = "".join(
        f"\n{row.title}: as above, in DATASET/{RESULTS}/{file_slug(row.title)}/CONDITION/; its row is in the suite: "
        f"run it with --outside DATASET/{RESULTS}\n"
        for row in suite.outside
    )
    return f"""{FIRST}
Suite {suite.suite}, {width} x {height} pixels:

{listed}

In each of these folders:

{lines}

All pictures are PNG files of 8 bits, called NAME.png.

1. Give your program masked/ or originals/, and masks/, of the same names. It must not use what lies under a hole: with
   masked/ it cannot. If black marks its holes, invert the masks. Guides are for programs that take them.
2. Save each result as DATASET/{RESULTS}/CONDITION/{called}, {width} x {height} pixels in RGB, best as PNG{further}.
   For example {first.dataset}/{RESULTS}/{first.folder.name}/{called.replace("NAME", export.stems(first.task)[0])}
   Known pixels are the originals' when it is scored, whatever the program did to them.
3. Add the row to the suite, and run it with the same options:

methods:
{chr(10).join(rows)}

   For results under other names add `match`, for example match: "{matching.PLAIN}_pred".
{several}{outside}"""


def _told(guide: str, order: str) -> str:
    """What lies in the folder of a guide, whose label maps are numbered in that order."""
    found = guides.get(guide)
    return f"{found.told}, in the order of {order}" if isinstance(found, Semantics) else found.told


def _contents(batch: Batch, order: str) -> Iterator[tuple[str, Sequence[Tensor | str]]]:
    """The folders of a batch, each with its pictures as they are saved (uint8, colours or grey), or its texts."""
    yield export.ORIGINALS, list(to_uint8(batch.image))
    yield export.HOLES, list(export.white(batch.mask))
    if batch.degraded is None:
        yield MASKED, list(to_uint8(batch.masked))
    for name, value in batch.guides.items():
        guide = guides.get(name)
        yield name, guide.exported(semantics.renumbered(value, order) if isinstance(guide, Semantics) else value)


def _save(path: Path, content: Tensor | str) -> None:
    """A picture or a text, unless it stands there."""
    if isinstance(content, str):
        write_text(path.with_name(f"{path.name}.txt"), content)
    elif not (file := path.with_name(f"{path.name}.png")).exists():
        save_png(file, content)


def _within(folder: Path, other: Path) -> bool:
    return folder.resolve().is_relative_to(other.resolve())
